//! Tests of accounts on the wire.

use hikyaku_proto::v1;

use super::values::from_duration;
use crate::{
    delivery::trial::Report,
    domain::time::Timestamp,
    policy::diagnosis::Diagnosis,
    wire::{steps::Step, tls::TlsFacts},
};

/// A test from its beginning to its end.
pub(in crate::service) fn from_report(report: Report) -> v1::AccountTest {
    let Report { record, diagnosis, contents } = report;
    v1::AccountTest {
        passed: diagnosis.is_none(),
        steps: record.steps.into_iter().map(from_step).collect(),
        diagnosis: diagnosis.map(from_diagnosis),
        tls: record.tls.map(from_facts),
        capabilities: record.capabilities,
        folders: contents.folders,
        messages: contents.messages,
    }
}

fn from_step(step: Step) -> v1::TestStep {
    v1::TestStep {
        name: step.name.as_str().to_owned(),
        succeeded: step.succeeded,
        took: Some(from_duration(step.took)),
        sent: step.sent,
        reply: step.reply,
        note: step.note,
    }
}

fn from_diagnosis(diagnosis: Diagnosis) -> v1::Diagnosis {
    v1::Diagnosis {
        cause: diagnosis.cause.as_str().to_owned(),
        explanation: diagnosis.explanation.to_owned(),
        advice: diagnosis.advice.into_iter().map(str::to_owned).collect(),
        help_url: diagnosis.help_url.unwrap_or_default(),
    }
}

fn from_facts(facts: TlsFacts) -> v1::TlsFacts {
    let shown = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    v1::TlsFacts {
        version: facts.version,
        cipher: facts.cipher,
        certificate_names: facts.names,
        issuer: facts.issuer,
        valid_from: shown(facts.valid_from),
        valid_until: shown(facts.valid_until),
    }
}
