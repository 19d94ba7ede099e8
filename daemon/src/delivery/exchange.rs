//! What the replies of one transaction say of each recipient: from the wire's terms to the rules' rulings.

use crate::{
    domain::{
        account::ProviderKind,
        attempt::Response,
        reply::Reply,
        verdict::{Blame, Phase, Ruling, Verdict},
    },
    policy::{
        assess::Met,
        classify::{
            broken::{Breakage, classify_broken, classify_no_token, classify_refused_on_the_way},
            rules::Rules,
        },
    },
    wire::smtp::{Broken, EnvelopeFailure, EnvelopeReplies, Fault, Needed, Obstacle, ObstacleCause},
};

/// Judges replies for one provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) rules: &'a Rules,
    pub(super) provider: ProviderKind,
}

/// The recipients of a transaction, sorted by the replies to its envelope.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Those for whom the message is sent, or would be.
    pub(super) accepted: Vec<u32>,
    /// Those that met something else, and what.
    pub(super) met: Vec<Met>,
}

impl Judge<'_> {
    /// Sorts recipients by the replies to MAIL, RCPT and DATA. `recipients` are those of the envelope, in its order.
    pub(super) fn sort(&self, recipients: &[u32], replies: &EnvelopeReplies) -> Sorted {
        if !replies.mail.is_positive() {
            let met = vec![self.replied(recipients.to_vec(), Phase::Mail, &replies.mail)];
            return Sorted { accepted: Vec::new(), met };
        }
        let mut sorted = self.sort_answered(recipients, &replies.recipients);
        if let Some(data) = &replies.data
            && !replies.may_send_message()
            && !sorted.accepted.is_empty()
        {
            let refused = std::mem::take(&mut sorted.accepted);
            sorted.met.push(self.replied(refused, Phase::Data, data));
        }
        sorted
    }

    /// What recipients met whose envelope failed.
    pub(super) fn failed(&self, recipients: &[u32], failure: EnvelopeFailure) -> Vec<Met> {
        match failure {
            EnvelopeFailure::NotOffered(needed) => vec![self.not_offered(recipients.to_vec(), needed)],
            EnvelopeFailure::Broken(broken) => self.sort_broken(recipients, &broken),
        }
    }

    /// Sorts recipients when the session broke before the message was sent: those whose RCPT was refused met that, the
    /// others met the break.
    pub(super) fn sort_broken(&self, recipients: &[u32], broken: &Broken) -> Vec<Met> {
        let rcpts = broken.answered.get(1..).unwrap_or_default();
        let answered = rcpts.len().min(recipients.len());
        let mut sorted = self.sort_answered(&recipients[..answered], &rcpts[..answered]);
        sorted.accepted.extend(&recipients[answered..]);
        if !sorted.accepted.is_empty() {
            sorted.met.push(self.broke(sorted.accepted, broken));
        }
        sorted.met
    }

    fn sort_answered(&self, recipients: &[u32], replies: &[Reply]) -> Sorted {
        let mut sorted = Sorted::default();
        for (&recipient, reply) in recipients.iter().zip(replies) {
            if reply.is_positive() {
                sorted.accepted.push(recipient);
                continue;
            }
            let same = |met: &&mut Met| met.response.reply() == Some(reply);
            match sorted.met.iter_mut().find(same) {
                Some(met) => met.recipients.push(recipient),
                None => sorted.met.push(self.replied(vec![recipient], Phase::Rcpt, reply)),
            }
        }
        sorted
    }

    /// What recipients met that all got the same reply.
    pub(super) fn replied(&self, recipients: Vec<u32>, phase: Phase, reply: &Reply) -> Met {
        let ruling = self.rules.classify(self.provider, phase, reply);
        Met { recipients, phase, response: Response::Replied(reply.clone()), ruling }
    }

    /// What recipients met whose session broke.
    pub(super) fn broke(&self, recipients: Vec<u32>, broken: &Broken) -> Met {
        if let Fault::Closing(reply) = &broken.cause {
            return self.replied(recipients, broken.phase, reply);
        }
        // A message whose final dot never left is as safe to send again as one whose DATA was never answered.
        let is_safe = broken.phase == Phase::EndOfData && !broken.in_doubt;
        let phase = if is_safe { Phase::Data } else { broken.phase };
        let ruling = classify_broken(phase, breakage(&broken.cause));
        Met { recipients, phase, response: Response::Broken(broken.cause.to_string()), ruling }
    }

    /// What recipients met whose server may have forgotten our POP3 sign-in, as it does not relay: they are tried again.
    pub(super) fn pop_lapsed(&self, recipients: Vec<u32>, phase: Phase, reply: Reply) -> Met {
        let ruling = Ruling {
            verdict: Verdict::RetryOnNewConnection,
            blame: Some(Blame::Account),
            wait: None,
            rule: "pop-sign-in-lapsed".into(),
        };
        Met { recipients, phase, response: Response::Replied(reply), ruling }
    }

    /// What recipients met whose message needs an extension that the server lacks.
    pub(super) fn not_offered(&self, recipients: Vec<u32>, needed: Needed) -> Met {
        let what = format!("the server does not offer {}, which the message needs", needed.keyword());
        let ruling = Ruling {
            verdict: Verdict::RejectMessage,
            blame: Some(Blame::Provider),
            wait: None,
            rule: "extension-not-offered".into(),
        };
        Met { recipients, phase: Phase::Mail, response: Response::Broken(what), ruling }
    }

    /// What kept a session from being opened, with no recipient: it concerns the account.
    pub(super) fn obstructed(&self, obstacle: &Obstacle) -> Met {
        let met = |response, ruling| Met { recipients: Vec::new(), phase: obstacle.phase, response, ruling };
        match &obstacle.cause {
            ObstacleCause::Replied(reply) | ObstacleCause::Fault(Fault::Closing(reply)) => {
                self.replied(Vec::new(), obstacle.phase, reply)
            }
            ObstacleCause::Fault(fault) => {
                met(Response::Broken(fault.to_string()), classify_broken(obstacle.phase, breakage(fault)))
            }
            ObstacleCause::Token(error) => {
                met(Response::Broken(error.to_string()), classify_no_token(error.needs_a_person()))
            }
            cause if cause.refuses_credentials() => {
                met(Response::Broken(cause.to_string()), classify_refused_on_the_way())
            }
            other => met(Response::Broken(other.to_string()), classify_broken(obstacle.phase, Breakage::Garbled)),
        }
    }
}

fn breakage(fault: &Fault) -> Breakage {
    match fault {
        Fault::TimedOut(_) => Breakage::TimedOut,
        Fault::Closed | Fault::Closing(_) | Fault::Io(_) => Breakage::Closed,
        Fault::Unreadable(_) | Fault::ReplyTooLong(_) | Fault::Unsolicited(_) => Breakage::Garbled,
        Fault::Unusable => Breakage::Ours,
    }
}
