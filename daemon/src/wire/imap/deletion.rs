//! How are messages deleted, and no others with them?

use async_imap::imap_proto::Response;

use super::{ImapSession, commands::Order};
use crate::wire::mailbox::{MailboxCause, MailboxFailure};

/// Longest set of UIDs in a command, about. RFC 2683 3.2.1.5 asks for lines of at most 1,000 bytes.
const SET_BYTES_MAX: usize = 900;

/// How far messages were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// They are gone.
    Expunged,
    /// They are marked as \Deleted. The server does not offer UIDPLUS (RFC 4315), and without it only all marked messages of
    /// a folder can be removed, also those that others have marked: so they stay until somebody removes them.
    Marked,
}

impl ImapSession {
    /// Deletes messages of the folder, which is open for [`Access::Change`](super::Access::Change): marks them as \Deleted,
    /// and removes them where the server can remove them alone. Those that are gone already do not matter.
    ///
    /// # Errors
    /// When the folder is open for reading only, the server refuses, or the connection fails; some may be deleted then.
    pub async fn delete(&mut self, uids: &[u32]) -> Result<Deletion, MailboxFailure> {
        // Some servers say OK to changes that they do not make (RFC 3501 6.3.2).
        if !self.can_change {
            return Err(self.refuse(MailboxCause::NotOffered("changes of a folder that is open for reading")));
        }
        let can_expunge = self.offers("UIDPLUS").await?;
        let mut visit = |_: &Response<'_>| {};
        for set in sets(uids) {
            let store = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
            self.command(&Order::on_messages(store), &mut visit).await?;
            if can_expunge {
                self.command(&Order::on_messages(format!("UID EXPUNGE {set}")), &mut visit).await?;
            }
        }
        Ok(if can_expunge { Deletion::Expunged } else { Deletion::Marked })
    }
}

/// Exactly these UIDs as sequence sets (RFC 3501 9), each short enough for a line.
pub(super) fn sets(uids: &[u32]) -> Vec<String> {
    let mut sorted: Vec<_> = uids.iter().copied().filter(|uid| *uid != 0).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut sets: Vec<String> = Vec::new();
    for run in sorted.chunk_by(|left, right| left + 1 == *right) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let range = if first == last { first.to_string() } else { format!("{first}:{last}") };
        match sets.last_mut().filter(|set| set.len() + range.len() < SET_BYTES_MAX) {
            Some(set) => {
                set.push(',');
                set.push_str(&range);
            }
            None => sets.push(range),
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_exactly_the_uids_in_short_lines() {
        assert_eq!(sets(&[]), Vec::<String>::new());
        assert_eq!(sets(&[7, 3, 4, 5, 4, 0, 9, u32::MAX]), ["3:5,7,9,4294967295"]);
        let odd: Vec<_> = (0..1_000).map(|n| 1_000_000 + 2 * n).collect();
        let sets = sets(&odd);
        assert!(sets.iter().all(|set| set.len() <= SET_BYTES_MAX));
        let listed: Vec<u32> = sets.iter().flat_map(|set| set.split(',')).map(|uid| uid.parse().expect(uid)).collect();
        assert_eq!(listed, odd);
    }
}
