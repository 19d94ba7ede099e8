//! Is the sealing key the one with which the store's secrets were sealed?

use std::path::Path;

use super::{
    codec::{self, Frame},
    disk::{Disk, View as _},
    open_error::OpenError,
    txn::META_SEAL,
};
use crate::platform::sealing::Sealer;

/// What is sealed as the proof, and for which record.
const PROOF: &[u8] = b"store";

/// Refuses a key that is not the store's own. A store that has no proof of its key yet gets one.
pub(super) fn check(path: &Path, disk: &Disk, sealer: &Sealer) -> Result<(), OpenError> {
    let bytes = META_SEAL.to_bytes();
    match disk.get(&bytes)?.map(|value| Frame::parse(&bytes, value)) {
        Some(Ok(frame)) if sealer.open(PROOF, frame.payload()).is_ok() => return Ok(()),
        Some(Ok(_)) => return Err(OpenError::OtherKey(path.to_owned())),
        Some(Err(error)) => tracing::error!(%error, "the proof of the sealing key is damaged: a new one is made"),
        None => {}
    }
    let (key, value) = codec::single(&META_SEAL, &sealer.seal(PROOF, PROOF));
    disk.checked(disk.tree.insert(key, value))?;
    Ok(())
}
