//! `hikyaku classify --jsonl`: what the built-in rules make of many replies, without a daemon.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use hikyaku_client::proto::{Blame as WireBlame, Verdict as WireVerdict};
use hikyaku_recognition::{
    classify::{evidence::Evidence, rules::Rules},
    provider::ProviderKind,
    reply::Reply,
    verdict::{Blame, ParkCause, Phase, Ruling, Verdict},
};
use serde_json::{Map, Value};

use super::{
    failure::Failure,
    job_view::{blame_name, verdict_name},
    output::Output,
};

pub(crate) fn run<W: Write>(path: &Path, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let name = path.display();
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {name}"))?))
    };
    let rules = Rules::built_in();
    for (number, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {name}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let mut fields: Map<String, Value> =
            serde_json::from_str(&line).with_context(|| format!("{name}: line {}: no JSON object", number + 1))?;
        let Some(reply) = fields.get("reply").and_then(Value::as_str) else {
            return Err(anyhow!("{name}: line {}: has no \"reply\"", number + 1).into());
        };
        let judged = judge(&rules, reply);
        fields.extend(judged.map(|(field, value)| (field.to_owned(), value)));
        output.json(&fields)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields that are added to a reply. It may stand in the words of whoever passes it on.
fn judge(rules: &Rules, reply: &str) -> [(&'static str, Value); 4] {
    let positive = Reply::from_lines(reply).filter(|reply| reply.code() < 400);
    let (kind, ruling, reason) = match positive {
        Some(reply) => ("none", rules.classify(ProviderKind::Generic, Phase::Rcpt, &reply), None),
        None => {
            let judgement = rules.judge(&Evidence { words: reply, ..Evidence::default() });
            let kind = if judgement.is_hard() { "hard" } else { "soft" };
            (kind, judgement.ruling, Some(judgement.reason.as_str()))
        }
    };
    let Ruling { verdict, blame, .. } = ruling;
    [
        ("kind", kind.into()),
        ("verdict", verdict_name(wire_verdict(verdict)).into()),
        ("blame", blame_name(wire_blame(blame)).into()),
        ("reason", reason.map_or(Value::Null, Into::into)),
    ]
}

const fn wire_verdict(verdict: Verdict) -> WireVerdict {
    match verdict {
        Verdict::Accepted => WireVerdict::Accepted,
        Verdict::RetryLater => WireVerdict::RetryLater,
        Verdict::RetrySlower => WireVerdict::RetrySlower,
        Verdict::RejectRecipient => WireVerdict::RejectRecipient,
        Verdict::RejectMessage => WireVerdict::RejectMessage,
        Verdict::ParkAccount(ParkCause::Quota) => WireVerdict::ParkAccountQuota,
        Verdict::ParkAccount(ParkCause::SignIn) => WireVerdict::ParkAccountSignIn,
        Verdict::ParkAccount(ParkCause::Suspended) => WireVerdict::ParkAccountSuspended,
        Verdict::RetryOnNewConnection => WireVerdict::RetryOnNewConnection,
        Verdict::InDoubt => WireVerdict::InDoubt,
    }
}

const fn wire_blame(blame: Option<Blame>) -> WireBlame {
    match blame {
        None => WireBlame::Unspecified,
        Some(Blame::Recipient) => WireBlame::Recipient,
        Some(Blame::Message) => WireBlame::Message,
        Some(Blame::Account) => WireBlame::Account,
        Some(Blame::Provider) => WireBlame::Provider,
        Some(Blame::Us) => WireBlame::Us,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_line_gets_its_judgement() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("replies.jsonl");
        let lines = "{\"id\": 7, \"reply\": \"550 5.1.1 no such user\"}\n\n{\"reply\": \"host said: 552 mailbox full\"}\n\
            {\"reply\": \"250 ok\"}\n";
        fs::write(&path, lines).expect("writes");
        let mut out = Vec::new();
        let mut output = Output::new(&mut out, true);
        run(&path, &mut output).expect("judges");
        output.flush().expect("writes");
        drop(output);
        let out = String::from_utf8(out).expect("text");
        let judged: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(judged.len(), 3);
        assert_eq!((&judged[0]["kind"], &judged[0]["reason"]), (&"hard".into(), &"user-unknown".into()));
        assert_eq!((&judged[0]["id"], &judged[0]["verdict"]), (&7.into(), &"REJECT_RECIPIENT".into()));
        assert_eq!((&judged[1]["kind"], &judged[1]["blame"]), (&"soft".into(), &"RECIPIENT".into()));
        assert_eq!((&judged[2]["kind"], &judged[2]["reason"]), (&"none".into(), &Value::Null));
    }
}
