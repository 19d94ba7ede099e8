//! What commits do for the spool: messages go in, segments to which nothing refers go, and what was not synced is carried.

use super::{
    codec,
    disk::{self, Disk},
    keys::{Family, Key},
    referred::Referred,
    txn::Txn,
};
use crate::{
    domain::ids::JobId,
    storage::{
        StorageError,
        spool::{Carried, Place, Spool},
    },
};

impl Txn {
    /// Puts a job's message into the spool.
    pub(super) fn spool(&mut self, job: JobId, message: &[u8]) -> Result<Place, StorageError> {
        let place = self.spool.append(job, message);
        self.referred(place.segment)?.0 += 1;
        Ok(place)
    }

    /// Notes that nothing refers to a message in the spool any more.
    pub(super) fn unspool(&mut self, place: Place) -> Result<(), StorageError> {
        let referred = self.referred(place.segment)?;
        referred.0 = referred.0.saturating_sub(1);
        Ok(())
    }

    /// What is referred to of a segment, to be changed.
    pub(super) fn referred(&mut self, segment: u32) -> Result<&mut Referred, StorageError> {
        if !self.segments.contains_key(&segment) {
            let stored = Referred::read(&self.disk, segment)?;
            self.segments.insert(segment, stored);
        }
        Ok(self.segments.entry(segment).or_default())
    }

    /// Writes the messages of this commit; nothing may refer to them before. What is not synced there goes with the
    /// commit.
    pub(super) fn write_spool(&mut self) -> std::io::Result<()> {
        let written = self.spool.write()?;
        for (place, bytes) in written.synced {
            let frames = u16::try_from(codec::frames_of(bytes)).expect("what is carried is short");
            self.remove_frames(|chunk| Key::Tail { place, chunk }, 0..frames);
        }
        if let Some(Carried { place, bytes }) = written.carried {
            let frames = codec::frames(|chunk| Key::Tail { place, chunk }, &bytes);
            self.overlay.extend(frames.into_iter().map(|(key, value)| (key, Some(value))));
        }
        Ok(())
    }

    /// Writes how many messages the segments have that this commit has changed; what is empty goes.
    pub(super) fn write_segments(&mut self) {
        let current = self.spool.current();
        for (number, referred) in std::mem::take(&mut self.segments) {
            let key = Key::Segment { number };
            if referred.0 == 0 && number != current {
                self.remove_key(&key);
                self.made.empty_segments.push(number);
            } else {
                let (key, value) = codec::single(&key, &referred.to_bytes());
                self.put(key, value);
            }
        }
    }
}

/// Puts back into the spool what commits carried for it, as a power cut may have taken it from there.
pub(super) fn restore(disk: &Disk, spool: &Spool) -> Result<(), StorageError> {
    for key in disk.keys_with(&Family::Tail.prefix())? {
        let Some(Key::Tail { place, chunk }) = Key::parse(&key) else { continue };
        if chunk == 0 && Referred::read(disk, place.segment)?.0 > 0 {
            match disk::read(disk, |chunk| Key::Tail { place, chunk }) {
                Ok(carried) => {
                    let bytes = carried.map(|stored| stored.value).unwrap_or_default();
                    let restored = spool.restore(place, &bytes);
                    restored.map_err(|error| disk.failure.record(format_args!("cannot restore the spool: {error}")))?;
                }
                // The spool has it too, unless there was a power cut; whoever reads it there checks it.
                Err(StorageError::Damaged(why)) => {
                    tracing::error!(reason = %why, "a part of the spool is not restored")
                }
                Err(error) => return Err(error),
            }
        }
    }
    // Only now, as a value may have several frames.
    for key in disk.keys_with(&Family::Tail.prefix())? {
        disk.checked(disk.tree.remove(key))?;
    }
    Ok(())
}

/// Removes the segments to which nothing refers: what a crash left before their commit, and what was emptied while it was
/// being written to.
pub(super) fn sweep(disk: &Disk, spool: &Spool) -> Result<(), StorageError> {
    let segments = match spool.segments() {
        Ok(segments) => segments,
        Err(error) => {
            tracing::warn!(%error, "cannot list the segments of the spool");
            return Ok(());
        }
    };
    for segment in segments {
        if Referred::read(disk, segment)?.0 == 0 {
            let key = Key::Segment { number: segment }.to_bytes();
            disk.checked(disk.tree.remove(key))?;
            spool.retire(segment);
        }
    }
    Ok(())
}
