//! Whether the disk has room: intake stops early, and a ballast file is given up late.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use fs4::FileExt;

use super::settings::SledSettings;
use crate::storage::{StorageError, blobs::sync_dir};

/// The disk's free space as it was last seen. The committer looks; everybody may ask.
#[derive(Clone, Debug)]
pub(super) struct Space {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    intake_free_bytes_min: Option<u64>,
    work_free_bytes_min: u64,
    ballast_bytes: u64,
    free_bytes: AtomicU64,
    needed_bytes: AtomicU64,
    has_ballast: AtomicBool,
    can_work: AtomicBool,
}

impl Space {
    /// Looks at the file system of `path` for the first time.
    pub(super) fn new(path: &Path, settings: &SledSettings) -> Self {
        let shared = Shared {
            path: path.to_owned(),
            intake_free_bytes_min: settings.intake_free_bytes_min,
            work_free_bytes_min: settings.work_free_bytes_min,
            ballast_bytes: settings.ballast_bytes,
            free_bytes: AtomicU64::new(u64::MAX),
            needed_bytes: AtomicU64::new(0),
            can_work: AtomicBool::new(true),
            has_ballast: AtomicBool::new(path.join("ballast").exists()),
        };
        let space = Self { shared: Arc::new(shared) };
        space.look();
        space
    }

    /// Looks again, and gives the ballast up or takes it back. Blocks.
    pub(super) fn look(&self) {
        let shared = &self.shared;
        let Ok(facts) = fs4::statvfs(&shared.path) else {
            return;
        };
        let free = facts.available_space();
        let needed = shared.intake_free_bytes_min.unwrap_or((facts.total_space() / 10).max(1 << 30));
        let can_work = free >= shared.work_free_bytes_min;
        if shared.can_work.swap(can_work, Ordering::Relaxed) != can_work {
            let needed_bytes = shared.work_free_bytes_min;
            tracing::warn!(free_bytes = free, needed_bytes, sending = can_work, "disk space for sending changed");
        }
        let was_short = shared.free_bytes.swap(free, Ordering::Relaxed) < shared.needed_bytes.load(Ordering::Relaxed);
        shared.needed_bytes.store(needed, Ordering::Relaxed);
        if (free < needed) != was_short {
            tracing::warn!(free_bytes = free, needed_bytes = needed, accepting = free >= needed, "disk space changed");
        }
        let has_ballast = shared.has_ballast.load(Ordering::Relaxed);
        let changed = if has_ballast && free < shared.work_free_bytes_min {
            fs::remove_file(self.ballast()).map(|()| false)
        } else if !has_ballast && shared.ballast_bytes > 0 && free >= needed.saturating_add(shared.ballast_bytes) {
            self.make_ballast().map(|()| true)
        } else {
            return;
        };
        match changed {
            Ok(now) => shared.has_ballast.store(now, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "cannot change the ballast file"),
        }
    }

    /// Refuses when jobs must not be accepted.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let free_bytes = self.shared.free_bytes.load(Ordering::Relaxed);
        let needed_bytes = self.shared.needed_bytes.load(Ordering::Relaxed);
        if free_bytes < needed_bytes { Err(StorageError::DiskNearlyFull { free_bytes, needed_bytes }) } else { Ok(()) }
    }

    /// Whether there is room to record what attempts meet. Without it nothing may be sent: a reply that cannot be
    /// recorded leaves its message in doubt.
    pub(super) fn can_work(&self) -> bool {
        self.shared.can_work.load(Ordering::Relaxed)
    }

    /// Refuses when jobs must not be accepted or cannot be sent.
    pub(super) fn check_health(&self) -> Result<(), StorageError> {
        self.check()?;
        let free_bytes = self.shared.free_bytes.load(Ordering::Relaxed);
        let needed_bytes = self.shared.work_free_bytes_min;
        if self.can_work() { Ok(()) } else { Err(StorageError::DiskNearlyFull { free_bytes, needed_bytes }) }
    }

    fn ballast(&self) -> PathBuf {
        self.shared.path.join("ballast")
    }

    fn make_ballast(&self) -> io::Result<()> {
        let file = File::create(self.ballast())?;
        file.allocate(self.shared.ballast_bytes)?;
        file.sync_all()?;
        sync_dir(&self.shared.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(intake: u64, work: u64) -> SledSettings {
        SledSettings {
            intake_free_bytes_min: Some(intake),
            work_free_bytes_min: work,
            ballast_bytes: 1 << 20,
            ..SledSettings::default()
        }
    }

    #[test]
    fn a_full_disk_refuses_intake_and_gives_the_ballast_up() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = dir.path().join("ballast");
        let roomy = Space::new(dir.path(), &settings(0, 0));
        assert!(roomy.check().is_ok());
        assert_eq!(fs::metadata(&ballast).unwrap().len(), 1 << 20);
        let tight = Space::new(dir.path(), &settings(u64::MAX, 0));
        assert!(matches!(tight.check(), Err(StorageError::DiskNearlyFull { needed_bytes: u64::MAX, .. })));
        assert!(ballast.exists(), "there is still room to work");
        let full = Space::new(dir.path(), &settings(u64::MAX, u64::MAX));
        assert!(full.check().is_err());
        assert!(!full.can_work() && full.check_health().is_err());
        assert!(roomy.can_work() && tight.can_work());
        roomy.check_health().unwrap();
        assert!(!ballast.exists());
    }
}
