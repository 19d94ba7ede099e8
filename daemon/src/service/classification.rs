//! ClassificationService: asking what a provider's reply means.

use std::sync::Arc;

use hikyaku_proto::v1::{self, classification_service_server::ClassificationService};
use tonic::{Request, Response, Status};

use super::{
    convert::{
        finding::{from_blame, from_verdict},
        values::{from_duration, parse},
        violations::{Violation, Violations},
    },
    status::Refusal,
};
use crate::{
    domain::{
        account::ProviderKind,
        reply::{REPLY_TEXT_BYTES_MAX, Reply},
        verdict::Phase,
    },
    policy::classify::rules::Rules,
};

/// The service.
#[derive(Debug)]
pub(super) struct Classification {
    rules: Arc<Rules>,
}

impl Classification {
    pub(super) const fn new(rules: Arc<Rules>) -> Self {
        Self { rules }
    }
}

#[tonic::async_trait]
impl ClassificationService for Classification {
    async fn classify(&self, request: Request<v1::ClassifyRequest>) -> Result<Response<v1::ClassifyResponse>, Status> {
        let (provider, phase, reply) = read(&request.into_inner()).map_err(Refusal::from)?;
        let ruling = self.rules.classify(provider, phase, &reply);
        Ok(Response::new(v1::ClassifyResponse {
            verdict: from_verdict(ruling.verdict).into(),
            blame: from_blame(ruling.blame).into(),
            wait: ruling.wait.map(from_duration),
            rule: ruling.rule.into(),
        }))
    }
}

fn read(wire: &v1::ClassifyRequest) -> Result<(ProviderKind, Phase, Reply), Vec<Violation>> {
    let mut violations = Violations::default();
    let provider = match wire.provider.as_str() {
        "" => Some(ProviderKind::Generic),
        name => parse::<ProviderKind>(name, "provider", &mut violations),
    };
    // Before a greeting there is no reply.
    let phase = Phase::ALL.into_iter().filter(|phase| *phase >= Phase::Greeting).find(|p| p.as_str() == wire.phase);
    if phase.is_none() {
        violations.add("phase", "must be greeting, hello, tls, sign-in, mail, rcpt, data or end-of-data");
    }
    let lines = wire.reply.replace("\r\n", "\n");
    let reply = Reply::from_lines(lines.trim_end_matches('\n')).filter(|_| lines.len() <= REPLY_TEXT_BYTES_MAX);
    if reply.is_none() {
        violations.add(
            "reply",
            format_args!("must begin with a code from 200 to 599 and have at most {REPLY_TEXT_BYTES_MAX} bytes"),
        );
    }
    let read = provider.zip(phase).zip(reply).map(|((provider, phase), reply)| (provider, phase, reply));
    violations.finish(read)
}
