//! Whether keys survive their bytes and sort as they should.

use proptest::prelude::*;

use super::*;
use crate::domain::{ids::MessageKey, inbound::InboundId};

fn any_return() -> impl Strategy<Value = Key> {
    let message = any::<([u8; 16], u32)>().prop_map(|(job, index)| MessageKey { job: JobId::from_bytes(job), index });
    let mail = any::<([u8; 16], u16)>().prop_map(|(id, chunk)| (InboundId::from_bytes(id), chunk));
    let at = any::<u64>().prop_map(Timestamp::from_millis);
    prop_oneof![
        (any::<u32>(), at, message.clone()).prop_map(|(account, since, message)| ReturnKey::Doubt {
            account,
            since,
            message
        }),
        any::<(u32, [u8; 16])>().prop_map(|(account, hash)| ReturnKey::Name { account, hash }),
        (message, any::<(u32, [u8; 16])>()).prop_map(|(message, (account, hash))| ReturnKey::NameOf {
            message,
            account,
            hash
        }),
        any::<(u32, [u8; 16], [u8; 16])>().prop_map(|(account, mailbox, message)| ReturnKey::Read {
            account,
            mailbox,
            message
        }),
        any::<(u32, [u8; 16], [u8; 8])>().prop_map(|(account, mailbox, folder)| ReturnKey::ReadUpTo {
            account,
            mailbox,
            folder
        }),
        any::<(u32, [u8; 16])>().prop_map(|(account, hash)| ReturnKey::Fingerprint { account, hash }),
        any::<(u32, u32, [u8; 16])>().prop_map(|(day, account, hash)| ReturnKey::FingerprintDay { day, account, hash }),
        mail.clone().prop_map(|(id, chunk)| ReturnKey::Mail { id, chunk }),
        mail.prop_map(|(id, chunk)| ReturnKey::Content { id, chunk }),
    ]
    .prop_map(Key::Return)
}

fn any_key() -> impl Strategy<Value = Key> {
    let job = any::<[u8; 16]>().prop_map(JobId::from_bytes);
    let priority = prop::sample::select(Priority::ALL.to_vec());
    prop_oneof![
        any_return(),
        any::<u8>().prop_map(|fact| Key::Meta { fact }),
        any::<(u32, u16)>().prop_map(|(account, chunk)| Key::Account { account, chunk }),
        any::<(u32, u16)>().prop_map(|(account, chunk)| Key::Standing { account, chunk }),
        any::<u32>().prop_map(|account| Key::Tally { account }),
        any::<(u32, u16)>().prop_map(|(account, chunk)| Key::Tokens { account, chunk }),
        any::<u16>().prop_map(|chunk| Key::Routing { chunk }),
        any::<u16>().prop_map(|chunk| Key::DkimRules { chunk }),
        any::<([u8; 16], u16)>().prop_map(|(hash, chunk)| Key::Dkim { hash, chunk }),
        (any::<(u32, u64)>(), job.clone()).prop_map(|((account, due), job)| Key::Divertible {
            account,
            due: Timestamp::from_millis(due),
            job
        }),
        (job.clone(), any::<u16>()).prop_map(|(job, chunk)| Key::Job { job, chunk }),
        (job.clone(), any::<u16>()).prop_map(|(job, chunk)| Key::Body { job, chunk }),
        (any::<u32>(), job.clone(), any::<(u32, u16)>()).prop_map(|(account, job, (index, chunk))| Key::Mark {
            account,
            job,
            index,
            chunk
        }),
        (job.clone(), any::<(u32, u16)>()).prop_map(|(job, (first, chunk))| Key::Recipients { job, first, chunk }),
        (job.clone(), any::<(u32, u16)>()).prop_map(|(job, (page, chunk))| Key::Outcomes { job, page, chunk }),
        (job.clone(), any::<(u64, u32)>()).prop_map(|(job, (due, index))| Key::Retry {
            job,
            due: Timestamp::from_millis(due),
            index
        }),
        job.clone().prop_map(|job| Key::Doomed { job }),
        (any::<u32>(), priority, any::<u32>(), any::<u64>(), job.clone()).prop_map(
            |(account, priority, lane, due, job)| Key::Ready {
                account,
                priority,
                lane,
                due: Timestamp::from_millis(due),
                job
            }
        ),
        (any::<u64>(), job.clone()).prop_map(|(at, job)| Key::Expiry { at: Timestamp::from_millis(at), job }),
        any::<[u8; 16]>().prop_map(|hash| Key::Idempotency { hash }),
        any::<(u32, [u8; 16])>().prop_map(|(day, hash)| Key::IdempotencyDay { day, hash }),
        any::<(u32, [u8; 8], u64)>().prop_map(|(account, quota, bucket)| Key::Bucket { account, quota, bucket }),
        any::<(u64, u16)>().prop_map(|(seq, chunk)| Key::Events { seq, chunk }),
        any::<(u64, u16)>().prop_map(|(place, chunk)| Key::Tail { place: Place::from_number(place), chunk }),
        (any::<[u8; 32]>(), job).prop_map(|(file, job)| Key::FileEdge { file, job }),
        any::<([u8; 32], [u8; 16])>().prop_map(|(file, caller)| Key::Blob { file, caller }),
        (any::<u32>(), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(number, original)| Key::Quarantine { number, original }),
    ]
}

proptest! {
    #[test]
    fn keys_survive_their_bytes(key in any_key()) {
        let bytes = key.to_bytes();
        prop_assert!(bytes.len() <= 5 + 60);
        prop_assert_eq!(Key::parse(&bytes), Some(key));
    }

    #[test]
    fn ready_keys_sort_by_account_priority_lane_due_and_job(
        a in any::<(u32, u8, u32, u64, [u8; 16])>(), b in any::<(u32, u8, u32, u64, [u8; 16])>(),
    ) {
        let key = |(account, rank, lane, due, job): (u32, u8, u32, u64, [u8; 16])| {
            let priority = Priority::ALL[usize::from(rank % 4)];
            let due = Timestamp::from_millis(due);
            let job = JobId::from_bytes(job);
            ((account, priority, lane, due, job), Key::Ready { account, priority, lane, due, job }.to_bytes())
        };
        let (a, b) = (key(a), key(b));
        prop_assert_eq!(a.0.cmp(&b.0), a.1.cmp(&b.1));
    }
}

#[test]
fn a_lane_ends_where_the_next_begins() {
    let job = JobId::from_bytes([0xff; 16]);
    let last = Key::Ready { account: 1, priority: Priority::High, lane: 7, due: Timestamp::from_millis(u64::MAX), job };
    let end = ready_lane_end(1, Priority::High, 7);
    assert!(last.to_bytes() < end);
    assert!(end < ready_lane_start(1, Priority::High, 8));
    assert!(ready_lane_start(1, Priority::High, 7) < last.to_bytes());
}

#[test]
fn what_is_no_key_is_none() {
    for bytes in [&[][..], &[0xee, 1], &[0x10, 1], &[0x00], &[0x00, 1, 2]] {
        assert_eq!(Key::parse(bytes), None, "{bytes:?}");
    }
}
