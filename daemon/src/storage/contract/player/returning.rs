//! How a player gives mail back, finds out about doubts, and reads what came of it.

use std::time::Duration;

use super::{ACCOUNTS, Player, account};
use crate::{
    domain::{
        ids::MessageKey,
        inbound::{InboundId, InboundMail, MailboxId, Nature, ReadMark},
        report::{Report, ReportKind},
        statistics::StatisticsGroup,
        suppression::{SoftBounce, Suppression, SuppressionScope},
    },
    storage::{
        Consequence, InboundFilter, Ingestion, PAGE_MAX,
        contract::{
            samples::{
                consequence, finding_about, inbound_mail, ingestion,
                lists::{accepted, suppression},
                report,
            },
            step::Step,
        },
        settlement::Doubt,
    },
};

const MAILBOX: MailboxId = MailboxId::new([1; 16]);
const FOLDER: [u8; 8] = [3; 8];

impl Player {
    pub(super) async fn give_back(&mut self, step: &Step) -> String {
        match step {
            Step::Ingest { .. } => {
                let given = self.ingestion(step);
                format!("{:?}", self.store.ingest(given).await.map_err(|error| error.to_string()))
            }
            Step::ForgetRead { account: id, uids } => {
                let uids = uids.iter().map(|uid| [*uid; 16]).collect();
                self.store.forget_read(&account(*id), MAILBOX, uids).await.expect("an answer");
                String::new()
            }
            Step::ResolveDoubt { account: id, job, index, found } => {
                let message = MessageKey { job: self.id(*job), index: u32::from(*index) };
                let doubts = self.store.doubts(&account(*id), PAGE_MAX).await.expect("an answer");
                let since = doubts.iter().find(|doubt| doubt.message == message).map_or(self.now, |doubt| doubt.since);
                let doubt = Doubt { message, since };
                let resolved = self.store.resolve_doubt(&account(*id), doubt, *found, self.now).await;
                format!("{:?}", resolved.expect("an answer"))
            }
            _ => unreachable!("play() sends no other step here"),
        }
    }

    fn ingestion(&mut self, step: &Step) -> Ingestion {
        let Step::Ingest { account: id, uid, imap, fingerprint, reports } = step else {
            unreachable!("give_back() sends no other step here")
        };
        self.given_back += 1;
        let name = ACCOUNTS[usize::from(*id)];
        let mut findings = Vec::new();
        let mut consequences = Vec::new();
        for (place, (job, index, recipient, kind)) in reports.iter().enumerate() {
            let message = MessageKey { job: self.id(*job), index: u32::from(*index) };
            // Often the message of a plain job, which is its first.
            let message = if index % 2 == 0 { MessageKey::only(message.job) } else { message };
            findings.push(finding_about(Some((message, u32::from(*recipient)))));
            consequences.push(self.consequence(place, *kind));
        }
        let nature = if findings.is_empty() { Nature::Ordinary } else { Nature::Bounce };
        let mail = InboundMail {
            id: InboundId::new(self.now, [self.given_back; 10]),
            arrived_at: self.now,
            nature,
            findings,
            ..inbound_mail(name, 0)
        };
        let mark = match imap {
            true => ReadMark::UpTo { folder: FOLDER, uid_validity: u32::from(uid / 8), uid: u32::from(*uid) },
            false => ReadMark::Message([*uid; 16]),
        };
        Ingestion {
            mailbox: MAILBOX,
            mark,
            fingerprint: fingerprint.map(|number| [number; 16]),
            mail: Some(Box::new(mail)),
            consequences,
            now: self.now,
            ..ingestion(name, 0, &[])
        }
    }

    fn consequence(&self, place: usize, kind: ReportKind) -> Consequence {
        let report = Report { at: self.now, ..report(kind) };
        let then = Suppression { added_at: self.now, ..suppression(SuppressionScope::Global, "user1@example.com") };
        let (hard, soft) = (kind == ReportKind::Hard, kind == ReportKind::Soft);
        let bounce = SoftBounce { then: then.clone(), run_max: 2, within: Duration::from_secs(60) };
        Consequence {
            report,
            suppression: hard.then_some(then),
            soft_bounce: soft.then_some(bounce),
            counted: vec![accepted(StatisticsGroup::All, 1)],
            ..consequence(place, kind, 0)
        }
    }

    pub(super) async fn read_returns(&self, all: &mut Vec<String>) {
        for number in (0..).take(ACCOUNTS.len()) {
            let id = account(number);
            for limit in [2, PAGE_MAX] {
                all.push(format!("{:?}", self.store.doubts(&id, limit).await.expect("an answer")));
            }
            let mut read: Vec<_> =
                self.store.read_messages(&id, MAILBOX).await.expect("an answer").into_iter().collect();
            read.sort_unstable();
            all.push(format!("{read:?} {:?}", self.store.read_up_to(&id, MAILBOX, FOLDER).await.expect("an answer")));
            let given = (0..5).map(|number| format!("p{number}"));
            for name in given.chain((0..self.submitted.len()).map(|number| format!("<{number}@example.jp>"))) {
                all.push(format!("{:?}", self.store.message_named(&id, &name).await.expect("an answer")));
            }
        }
        let filters = [
            InboundFilter::default(),
            InboundFilter { accounts: vec![account(1)], ..InboundFilter::default() },
            InboundFilter { nature: Some(Nature::Ordinary), ..InboundFilter::default() },
            InboundFilter { arrived_from: Some(self.now.before(Duration::from_secs(60))), ..InboundFilter::default() },
            InboundFilter { arrived_before: Some(self.now), uncorrelated: true, ..InboundFilter::default() },
        ];
        for filter in filters {
            let mut after = None;
            loop {
                let page = self.store.list_inbound(&filter, after, 3).await.expect("an answer");
                all.extend(page.mails.iter().map(|mail| format!("{mail:?}")));
                for mail in page.mails {
                    all.push(format!("{:?}", self.store.inbound(mail.id).await.expect("an answer")));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
    }
}
