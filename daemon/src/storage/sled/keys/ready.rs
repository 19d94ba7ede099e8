//! Where an account's keys of the ready index begin and end.

use super::Family;
use crate::domain::job::Priority;

/// The end of an account's keys of one priority and lane in the ready index: `bytes` that sort after all of them.
pub(in crate::storage::sled) fn ready_lane_end(account: u32, priority: Priority, lane: u32) -> Vec<u8> {
    let mut bytes = ready_lane_start(account, priority, lane);
    bytes.extend_from_slice(&[0xff; 25]);
    bytes
}

/// The beginning of an account's keys of one priority and lane in the ready index.
pub(in crate::storage::sled) fn ready_lane_start(account: u32, priority: Priority, lane: u32) -> Vec<u8> {
    let mut bytes = ready_priority(account, priority);
    bytes.extend_from_slice(&lane.to_be_bytes());
    bytes
}

/// What an account's keys of one priority in the ready index begin with.
pub(in crate::storage::sled) fn ready_priority(account: u32, priority: Priority) -> Vec<u8> {
    let mut bytes = Family::Ready.of_account(account).to_vec();
    bytes.push(priority_rank(priority));
    bytes
}

pub(super) const fn priority_rank(priority: Priority) -> u8 {
    match priority {
        Priority::High => 0x10,
        Priority::Normal => 0x20,
        Priority::Low => 0x30,
        Priority::Bulk => 0x40,
    }
}

pub(super) fn priority_of_rank(rank: u8) -> Option<Priority> {
    Priority::ALL.into_iter().find(|priority| priority_rank(*priority) == rank)
}
