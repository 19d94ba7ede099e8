//! Where do the demo's files lie, and who removes them?

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Longest path of a Unix socket that every system takes, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 100;
/// Most names that are tried.
const NAMES_MAX: u32 = 16;

/// A folder that only this user may enter, removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes one in the system's folder for temporary files, or in /tmp when a socket would have too long a path there.
    pub(super) fn create(keep: bool) -> anyhow::Result<Self> {
        let process = std::process::id();
        let name = |attempt: u32| format!("hikyaku-demo-{process}-{attempt}");
        let mut parent = std::env::temp_dir();
        if parent.join(name(NAMES_MAX)).join("demo.sock").as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            parent = PathBuf::from("/tmp");
        }
        for attempt in 1..=NAMES_MAX {
            let path = parent.join(name(attempt));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, keep }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
            }
        }
        anyhow::bail!("{} is full of folders of earlier demos: remove them", parent.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is left to the system's own cleaning.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_what_is_in_it_unless_it_is_kept() {
        let folder = Folder::create(false).unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());

        let kept = Folder::create(true).unwrap();
        let path = kept.path().to_owned();
        drop(kept);
        assert!(path.exists());
        fs::remove_dir(path).unwrap();
    }
}
