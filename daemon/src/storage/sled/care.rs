//! Looking after the store itself, on sled.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use async_trait::async_trait;

use super::{
    SledStore,
    disk::Disk,
    keys::{Family, Key},
};
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
        self.writer.check_open()?;
        self.space.check_health()
    }

    async fn prune(&self, finished_before: Timestamp, limit: usize, now: Timestamp) -> Result<u64, StorageError> {
        self.prune_some(finished_before, limit, now).await
    }

    async fn expire_overdue(&self, now: Timestamp, limit: usize) -> Result<u64, StorageError> {
        self.expire_some(now, limit).await
    }

    async fn verify(&self, progress: &dyn Progress) -> Result<Findings, StorageError> {
        self.verify_all(progress).await
    }

    async fn backup(&self, target: &Path, progress: &dyn Progress) -> Result<u64, StorageError> {
        self.backup_to(target, progress).await
    }

    async fn export(&self, out: &mut (dyn Write + Send), progress: &dyn Progress) -> Result<u64, StorageError> {
        self.export_to(out, progress)
    }

    async fn import(&self, from: &mut (dyn BufRead + Send), progress: &dyn Progress) -> Result<u64, StorageError> {
        self.import_from(from, progress).await
    }

    async fn close(&self) -> Result<(), StorageError> {
        let store = self.clone();
        let stopped = tokio::task::spawn_blocking(move || store.writer.stop()).await;
        stopped.map_err(|error| self.disk.failure.record(error))?;
        self.disk.failure.check()
    }
}

/// Deletes a file that no job refers to any more and no caller has uploaded lately.
pub(super) fn collect_file(disk: &Disk, files: &Files, hash: &FileHash) {
    let is_referenced = || -> std::io::Result<bool> {
        for family in [Family::FileEdge, Family::Blob] {
            let prefix = Key::of_file(family, hash);
            if disk.seek(&prefix, &prefix).map_err(std::io::Error::other)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    if let Err(error) = files.collect(hash, is_referenced) {
        tracing::warn!(%error, "cannot delete a file that is not needed any more; verify finds it again");
    }
}

/// Deletes the files that a crash left before a job referred to them.
pub(super) fn collect_left_files(disk: &Disk, files: &Files) {
    match files.all() {
        Ok(all) => all.iter().for_each(|hash| collect_file(disk, files, hash)),
        Err(error) => tracing::warn!(%error, "cannot list the files of messages"),
    }
}
