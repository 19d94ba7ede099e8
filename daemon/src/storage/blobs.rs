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

/// How much of a file is read or written at once.
const BLOCK_BYTES: usize = 128 * 1_024;

/// Most files of which it is remembered that they were found sound.
const SOUND_FILES_MAX: usize = 65_536;

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
    /// Files whose content was what their names say when this process wrote or read them last, with their lengths.
    sound: Mutex<HashMap<FileHash, u64>>,
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
                sound: Mutex::default(),
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
        let mut incoming = self.incoming()?;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match content.read(&mut block)? {
                0 => break,
                read => incoming.write(&block[..read])?,
            }
        }
        incoming.finish()
    }

    /// The same for content in memory, of which nothing is written when it is there already and sound. Blocks.
    ///
    /// # Errors
    /// When writing fails.
    pub fn store_bytes(&self, content: &[u8]) -> io::Result<Pin> {
        match self.pin_known(*blake3::hash(content).as_bytes())? {
            Some(pin) => Ok(pin),
            None => self.store(content),
        }
    }

    /// Pins the file of this hash and makes its name durable, if it is there and sound: who has its content may store it
    /// over a damaged one. Blocks.
    ///
    /// # Errors
    /// When a directory cannot be synced.
    pub fn pin_known(&self, hash: FileHash) -> io::Result<Option<Pin>> {
        let pin = self.pin(hash);
        if !self.is_sound(&hash) {
            return Ok(None);
        }
        let path = self.path(&hash);
        // Another caller may have made it and not synced its name yet.
        self.make_name_durable(&path, hash[0])?;
        Ok(Some(pin))
    }

    /// Whether a file is there and what its name says. Its content is read once in the life of this process, and again
    /// when its length is another or a reader found it damaged. Blocks.
    #[must_use]
    pub fn is_sound(&self, hash: &FileHash) -> bool {
        let length = fs::metadata(self.path(hash)).map(|facts| facts.len());
        let Ok(length) = length else { return false };
        if self.sound().get(hash) == Some(&length) {
            return true;
        }
        match self.check(hash) {
            Ok(()) => {
                let mut sound = self.sound();
                if sound.len() >= SOUND_FILES_MAX {
                    // They are read once more.
                    sound.clear();
                }
                sound.insert(*hash, length);
                true
            }
            Err(error) => {
                let file = blake3::Hash::from(*hash).to_hex();
                tracing::error!(%file, %error, "a file that messages may need cannot be read: it is not used for new ones");
                false
            }
        }
    }

    /// Begins a file that comes in pieces.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let number = self.shared.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.root.join(format!("new.{number}"));
        let file = File::create(&path)?;
        Ok(Incoming { files: self.clone(), file, path, hasher: blake3::Hasher::new() })
    }

    /// Takes over a file that was written elsewhere on the same file system, and whose content has this hash. It takes the
    /// place of one that is there, which may be damaged. Blocks.
    ///
    /// # Errors
    /// When it cannot be synced or moved.
    pub fn adopt(&self, path: &Path, hash: FileHash) -> io::Result<Pin> {
        let pin = self.pin(hash);
        // The content before its name, and the name before anything refers to it.
        File::open(path)?.sync_data()?;
        let target = self.path(&hash);
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::rename(path, &target)?;
        // It is read once before others rely on it: what the disk has counts.
        self.distrust(&hash);
        self.make_name_durable(&target, hash[0])?;
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
        let read = fs::read(self.path(hash));
        let read = read
            .and_then(|content| if blake3::hash(&content).as_bytes() == hash { Ok(content) } else { Err(changed()) });
        read.inspect_err(|_| self.distrust(hash))
    }

    /// Whether a file still is what its name says, without keeping it in memory. Blocks.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn check(&self, hash: &FileHash) -> io::Result<()> {
        let found = hash_of(&self.path(hash));
        let checked = found.and_then(|found| if found == *hash { Ok(()) } else { Err(changed()) });
        checked.inspect_err(|_| self.distrust(hash))
    }

    fn distrust(&self, hash: &FileHash) {
        self.sound().remove(hash);
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
        self.distrust(hash);
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

    fn sound(&self) -> std::sync::MutexGuard<'_, HashMap<FileHash, u64>> {
        self.shared.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, HashMap<FileHash, usize>> {
        self.shared.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that comes in pieces; it goes again unless it is finished.
#[derive(Debug)]
pub struct Incoming {
    files: Files,
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
}

impl Incoming {
    /// Takes the next piece. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hasher.update(piece);
        self.file.write_all(piece)
    }

    /// Gives the file its name, unless a sound one of that name is there. It is durable then. Blocks.
    ///
    /// # Errors
    /// When it cannot be synced or moved.
    pub fn finish(self) -> io::Result<Pin> {
        let hash = *self.hasher.finalize().as_bytes();
        match self.files.pin_known(hash)? {
            Some(pin) => Ok(pin),
            None => self.files.adopt(&self.path, hash),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // One that has its name by now is not here; what cannot be removed goes at the next start.
        let _ = fs::remove_file(&self.path);
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

/// The hash of a file's content. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn hash_of(path: &Path) -> io::Result<FileHash> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(*hasher.finalize().as_bytes()),
            read => hasher.update(&block[..read]),
        };
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file's content is not that of its name")
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
