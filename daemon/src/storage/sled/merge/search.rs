//! Whether a merge job has a recipient of an address: its pages are looked through part by part, and nothing is kept.

use crate::{
    domain::ids::JobId,
    storage::{
        StorageError,
        records::recipients::has_address,
        sled::{
            SledStore,
            keys::{Family, Key},
        },
    },
};

impl SledStore {
    /// Whether a merge job has a recipient of this address, case ignored. Blocks.
    pub(in crate::storage::sled) fn has_recipient(&self, job: JobId, wanted: &str) -> Result<bool, StorageError> {
        let damaged = |why: &dyn std::fmt::Display| StorageError::Damaged(format!("recipients of {job}: {why}"));
        for key in self.disk.tree.scan_prefix(Key::of_job(Family::Recipients, job)).keys() {
            let key = self.disk.checked(key)?;
            let Some(Key::Recipients { first, chunk: 0, .. }) = Key::parse(&key) else { continue };
            let Some(part) = self.whole_part(job, first)? else { continue };
            let mut rest = part.pages.as_slice();
            for length in part.lengths {
                let cut = rest.split_at_checked(length as usize).ok_or_else(|| damaged(&"a page is cut"))?;
                rest = cut.1;
                if has_address(cut.0, wanted).map_err(|error| damaged(&error))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
