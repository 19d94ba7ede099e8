//! Has sled lost the newest commits without a word?
//!
//! sled takes a damaged part of its log for the log's end: what came after it is gone, and mail that was sent would be
//! sent again. So a file beside it remembers how far the commits had come. It is written after each durable commit and
//! never synced itself: after a power cut it may be behind the store, never before it.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

/// The file within the store's directory.
pub(super) const TIP_FILE: &str = "tip";

const NUMBER_BYTES: usize = 8;
const TIP_BYTES: usize = NUMBER_BYTES + 4;

/// Remembers the number of the next commit.
#[derive(Debug)]
pub(super) struct Tip {
    file: File,
}

impl Tip {
    /// Opens the file in the store's directory, and tells what it remembers; nothing when it is new or damaged.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<u64>)> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path.join(TIP_FILE))?;
        let mut bytes = [0; TIP_BYTES];
        let remembered = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| read(&bytes));
        Ok((Self { file }, remembered))
    }

    /// Remembers the number of the next commit, once all before it are durable.
    pub(super) fn note(&self, next_seq: u64) -> io::Result<()> {
        let number = next_seq.to_be_bytes();
        let mut bytes = [0; TIP_BYTES];
        bytes[..NUMBER_BYTES].copy_from_slice(&number);
        bytes[NUMBER_BYTES..].copy_from_slice(&crc32c::crc32c(&number).to_be_bytes());
        self.file.write_all_at(&bytes, 0)
    }
}

fn read(bytes: &[u8; TIP_BYTES]) -> Option<u64> {
    let (number, sum) = bytes.split_at(NUMBER_BYTES);
    let is_whole = sum == crc32c::crc32c(number).to_be_bytes();
    number.try_into().ok().map(u64::from_be_bytes).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_is_remembered_unless_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let (tip, remembered) = Tip::open(folder.path()).unwrap();
        assert_eq!(remembered, None);
        tip.note(7).unwrap();
        tip.note(8).unwrap();
        assert_eq!(Tip::open(folder.path()).unwrap().1, Some(8));
        std::fs::write(folder.path().join(TIP_FILE), [1; TIP_BYTES]).unwrap();
        assert_eq!(Tip::open(folder.path()).unwrap().1, None);
    }
}
