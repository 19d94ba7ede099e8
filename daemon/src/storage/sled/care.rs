//! Looking after the store itself, on sled.

use std::path::Path;

use async_trait::async_trait;

use super::{SledStore, disk::Disk, keys::Family};
use crate::{
    domain::time::Timestamp,
    storage::{
        Findings, Progress, StorageError, StoreCare,
        blobs::{FileHash, Files},
    },
};

#[async_trait]
impl StoreCare for SledStore {
    async fn health(&self) -> Result<(), StorageError> {
        self.disk.failure.check()?;
        self.space.check()
    }

    async fn prune(&self, _finished_before: Timestamp, _limit: usize, _now: Timestamp) -> Result<u64, StorageError> {
        Ok(0)
    }

    async fn verify(&self, _progress: &dyn Progress) -> Result<Findings, StorageError> {
        Ok(Findings::default())
    }

    async fn backup(&self, _target: &Path, _progress: &dyn Progress) -> Result<u64, StorageError> {
        Ok(0)
    }

    async fn export(
        &self,
        _out: &mut (dyn std::io::Write + Send),
        _progress: &dyn Progress,
    ) -> Result<u64, StorageError> {
        Ok(0)
    }

    async fn import(
        &self,
        _from: &mut (dyn std::io::BufRead + Send),
        _progress: &dyn Progress,
    ) -> Result<u64, StorageError> {
        Ok(0)
    }

    async fn close(&self) -> Result<(), StorageError> {
        let store = self.clone();
        let stopped = tokio::task::spawn_blocking(move || store.writer.stop()).await;
        stopped.map_err(|error| self.disk.failure.record(error))?;
        self.disk.failure.check()
    }
}

/// Deletes a file that no job refers to any more.
pub(super) fn collect_file(disk: &Disk, files: &Files, hash: &FileHash) {
    let is_referenced = || {
        let prefix = [&Family::FileEdge.prefix()[..], hash].concat();
        disk.seek(&prefix, &prefix).map(|key| key.is_some()).map_err(std::io::Error::other)
    };
    if let Err(error) = files.collect(hash, is_referenced) {
        tracing::warn!(%error, "cannot delete a file that is not needed any more; verify finds it again");
    }
}
