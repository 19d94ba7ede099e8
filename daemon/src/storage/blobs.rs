//! Large messages as files that are named by the BLAKE3 hash of their content, so that equal ones are kept once.
//!
//! A file is durable before anything refers to it: it is written under another name, synced, renamed, and its directory
//! is synced. A [`Pin`] keeps a file that nothing refers to yet from being collected.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// The name of a file: the hash of its content.
pub type FileHash = [u8; 32];

/// A directory of files named by their content.
#[derive(Clone, Debug)]
pub struct Files {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    pins: Mutex<HashMap<FileHash, usize>>,
    next_temporary: AtomicU64,
    holds: AtomicUsize,
    /// Which directories have their name on disk since this process began, by the first byte of their files' hashes.
    durable_dirs: Mutex<[bool; 256]>,
    sync_dir: fn(&Path) -> io::Result<()>,
}

/// Keeps all files from being collected for as long as it lives.
#[derive(Debug)]
pub struct Hold(Arc<Shared>);

/// Keeps a file from being collected for as long as it lives.
#[derive(Debug)]
pub struct Pin {
    shared: Arc<Shared>,
    /// Which file.
    pub hash: FileHash,
}

impl Files {
    /// Opens the directory, which is made when it is not there, and removes what a crash left half-written.
    ///
    /// # Errors
    /// When the directory cannot be made, read or synced.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::open_with(root, sync_dir)
    }

    fn open_with(root: &Path, sync_dir: fn(&Path) -> io::Result<()>) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        sync_dir(root)?;
        Ok(Self {
            shared: Arc::new(Shared {
                root: root.to_owned(),
                pins: Mutex::default(),
                next_temporary: AtomicU64::new(0),
                holds: AtomicUsize::new(0),
                durable_dirs: Mutex::new([false; 256]),
                sync_dir,
            }),
        })
    }

    /// Where the file of this hash is.
    #[must_use]
    pub fn path(&self, hash: &FileHash) -> PathBuf {
        let name = blake3::Hash::from(*hash).to_hex();
        self.shared.root.join(&name[..2]).join(name.as_str())
    }

    /// Stores what `content` gives and returns its hash, pinned. The file is durable then. Blocks.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn store(&self, mut content: impl Read) -> io::Result<Pin> {
        let number = self.shared.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.shared.root.join(format!("new.{number}"));
        let stored = self.write(&temporary, &mut content);
        if stored.is_err() {
            // What stays is removed at the next start.
            let _ = fs::remove_file(&temporary);
        }
        stored
    }

    fn write(&self, temporary: &Path, content: &mut impl Read) -> io::Result<Pin> {
        let mut file = File::create(temporary)?;
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; 128 * 1_024];
        loop {
            match content.read(&mut block)? {
                0 => break,
                read => {
                    hasher.update(&block[..read]);
                    file.write_all(&block[..read])?;
                }
            }
        }
        let pin = self.pin(*hasher.finalize().as_bytes());
        let path = self.path(&pin.hash);
        if path.exists() {
            fs::remove_file(temporary)?;
        } else {
            file.sync_data()?;
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::rename(temporary, &path)?;
        }
        // Also for a name that was there: another caller may have made it and not synced it yet.
        self.make_name_durable(&path, pin.hash[0])?;
        Ok(pin)
    }

    fn make_name_durable(&self, path: &Path, first_byte: u8) -> io::Result<()> {
        let shared = &self.shared;
        (shared.sync_dir)(path.parent().unwrap_or(&shared.root))?;
        let place = usize::from(first_byte);
        let is_durable = || shared.durable_dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_durable()[place] {
            (shared.sync_dir)(&shared.root)?;
            is_durable()[place] = true;
        }
        Ok(())
    }

    /// Reads a whole file and checks that it still is what its name says. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or with [`io::ErrorKind::InvalidData`] when its content is not that of its name.
    pub fn read(&self, hash: &FileHash) -> io::Result<Vec<u8>> {
        let content = fs::read(self.path(hash))?;
        if blake3::hash(&content).as_bytes() == hash {
            Ok(content)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the file's content is not that of its name"))
        }
    }

    /// Reads a part of a file as it is: whether it is what the file's name says is not known. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or with [`io::ErrorKind::UnexpectedEof`] when the file is too short.
    pub fn read_at(&self, hash: &FileHash, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut part = vec![0; bytes];
        File::open(self.path(hash))?.read_exact_at(&mut part, offset)?;
        Ok(part)
    }

    /// Keeps a file from being collected.
    #[must_use]
    pub fn pin(&self, hash: FileHash) -> Pin {
        *self.pins().entry(hash).or_default() += 1;
        Pin { shared: Arc::clone(&self.shared), hash }
    }

    /// Keeps all files from being collected; what is not needed any more is found by a later check of the store.
    #[must_use]
    pub fn hold(&self) -> Hold {
        // Under the lock, so that no collection is under way when this returns.
        let _pins = self.pins();
        self.shared.holds.fetch_add(1, Ordering::SeqCst);
        Hold(Arc::clone(&self.shared))
    }

    /// Deletes a file unless it is pinned, or `is_referenced` says that something refers to it. Returns whether it went.
    ///
    /// # Errors
    /// When `is_referenced` fails or the file cannot be deleted; one that is not there is no error.
    pub fn collect<E: From<io::Error>>(
        &self,
        hash: &FileHash,
        is_referenced: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        // The lock is held on purpose: nobody may pin the file between the question and the deletion.
        let pins = self.pins();
        let is_held = self.shared.holds.load(Ordering::SeqCst) > 0;
        if is_held || pins.contains_key(hash) || is_referenced()? {
            return Ok(false);
        }
        match fs::remove_file(self.path(hash)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The hashes of all files. Blocks.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn all(&self) -> io::Result<Vec<FileHash>> {
        let mut hashes = Vec::new();
        for dir in fs::read_dir(&self.shared.root)? {
            let dir = dir?;
            if !dir.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(dir.path())? {
                let name = file?.file_name();
                let hash = name.to_str().and_then(|name| blake3::Hash::from_hex(name).ok());
                hashes.extend(hash.map(|hash| *hash.as_bytes()));
            }
        }
        Ok(hashes)
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, HashMap<FileHash, usize>> {
        self.shared.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.shared.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pins.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.hash);
            }
        }
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreferenced() -> Result<bool, io::Error> {
        Ok(false)
    }

    #[test]
    fn equal_content_is_kept_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let first = files.store(&b"hello"[..]).unwrap();
        let second = files.store(&b"hello"[..]).unwrap();
        assert_eq!(first.hash, second.hash);
        assert_eq!(files.read(&first.hash).unwrap(), b"hello");
        assert_eq!(files.all().unwrap(), [first.hash]);
    }

    #[test]
    fn a_name_that_is_not_durable_is_never_answered() {
        // Two hexadecimal digits: a directory of files.
        fn fail_below(path: &Path) -> io::Result<()> {
            let is_below = path.file_name().is_some_and(|name| name.len() == 2);
            if is_below { Err(io::Error::other("no sync")) } else { sync_dir(path) }
        }
        fn fail_at_the_root(path: &Path) -> io::Result<()> {
            let is_root = path.file_name().is_some_and(|name| name.len() != 2) && path.read_dir()?.next().is_some();
            if is_root { Err(io::Error::other("no sync")) } else { sync_dir(path) }
        }
        for sync in [fail_below, fail_at_the_root] {
            let dir = tempfile::tempdir().unwrap();
            let files = Files::open_with(dir.path(), sync).unwrap();
            assert!(files.store(&b"hello"[..]).is_err());
            assert_eq!(files.all().unwrap().len(), 1, "the name is there");
            assert!(files.store(&b"hello"[..]).is_err(), "but nobody has made it durable");
            let files = Files::open(dir.path()).unwrap();
            assert!(files.store(&b"hello"[..]).is_ok());
        }
    }

    #[test]
    fn a_file_is_collected_when_nothing_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let pin = files.store(&b"hello"[..]).unwrap();
        let hash = pin.hash;
        assert!(!files.collect(&hash, unreferenced).unwrap(), "pinned");
        drop(pin);
        assert!(!files.collect(&hash, || Ok::<_, io::Error>(true)).unwrap(), "referenced");
        assert!(files.collect(&hash, unreferenced).unwrap());
        assert!(!files.collect(&hash, unreferenced).unwrap(), "gone");
        assert!(files.all().unwrap().is_empty());
    }

    #[test]
    fn a_changed_file_and_half_written_ones_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let pin = files.store(&b"hello"[..]).unwrap();
        fs::write(files.path(&pin.hash), b"jello").unwrap();
        assert_eq!(files.read(&pin.hash).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(dir.path().join("new.7"), b"half").unwrap();
        let files = Files::open(dir.path()).unwrap();
        assert!(!dir.path().join("new.7").exists());
        assert_eq!(files.all().unwrap().len(), 1);
    }
}
