//! How a store is opened without trusting sled: its leftovers are removed, its panics caught, a copy is tried.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    Changed, Publisher, SledStore,
    blob_store::load_claims,
    care, codec,
    disk::{Disk, Failure},
    dkim::KnownDkim,
    jobs::Shelves,
    known::KnownAccounts,
    loaded::{load_accounts, load_head, read_number},
    merge::{
        read::{PAGES_BYTES_MAX, TEMPLATES_BYTES_MAX},
        recent::Recent,
    },
    open_error::{FORMAT, OpenError},
    returns,
    routing::KnownRouting,
    seal, segments,
    settings::SledSettings,
    shelving::SoundFiles,
    space::Space,
    suppressions::KnownLists,
    tally::AccountEntry,
    tip::{TIP_FILE, Tip},
    txn::{META_FORMAT, Txn},
    writer::Writer,
};
use crate::{
    domain::{ids::AccountId, time::Clock},
    platform::sealing::Sealer,
    storage::{
        blobs::{Files, sync_dir},
        spool::{Spool, SpoolWriter},
        uploads::Uploads,
    },
};

/// How often a long opening is mentioned in the log.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn open(
    path: &Path,
    settings: SledSettings,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
) -> Result<Arc<SledStore>, OpenError> {
    let broken = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    fs::create_dir_all(path).map_err(broken(path))?;
    let lock = lock(path)?;
    let db_path = path.join("db");
    let db = open_fenced(path, &db_path, &settings, clock.as_ref())?;
    let (shelves, uploads, spool_writer) = open_shelves(path, &settings)?;
    let disk = checked_disk(path, &db, &sealer)?;
    let (accounts, next_account) = load_accounts(&disk)?;
    let (head, next_seq) = load_head(&disk)?;
    let tip = open_tip(path, next_seq)?;
    tidy(&disk, &shelves, &uploads, &accounts)?;
    let space = Space::new(path, &settings);
    let directory = Arc::new(RwLock::new(accounts.clone()));
    let changed = Arc::new(Changed::default());
    let known = Arc::<KnownAccounts>::default();
    let routing = KnownRouting::load(&disk)?;
    let dkim = KnownDkim::load(&disk)?;
    let lists = KnownLists::load(&disk)?;
    let head = watch::Sender::new(head);
    let publisher = Publisher {
        directory: Arc::clone(&directory),
        changed: Arc::clone(&changed),
        head: head.clone(),
        shelves: shelves.clone(),
        uploads: uploads.clone(),
        known: Arc::clone(&known),
        routing: routing.clone(),
        dkim: dkim.clone(),
        lists: lists.clone(),
        tip,
    };
    let txn = Txn::new(disk.clone(), accounts, next_account, next_seq, spool_writer);
    let descriptor = File::open(db_path.join("db")).map_err(broken(&db_path))?;
    let writer = Writer::start(txn, descriptor, space.clone(), publisher, settings.waiting_bytes_max);
    let writer = writer.map_err(broken(path))?;
    Ok(Arc::new(SledStore {
        writer: Arc::new(writer),
        disk,
        shelves,
        uploads,
        sound: SoundFiles::default(),
        known,
        routing,
        dkim,
        lists,
        space,
        directory,
        changed,
        head,
        sealer: Arc::new(sealer),
        settings: Arc::new(settings),
        staging: Arc::default(),
        templates: Arc::new(Recent::new(TEMPLATES_BYTES_MAX)),
        pages: Arc::new(Recent::new(PAGES_BYTES_MAX)),
        _clock: clock,
        _lock: Arc::new(lock),
    }))
}

/// Opens what keeps messages, and parts of files.
fn open_shelves(path: &Path, settings: &SledSettings) -> Result<(Shelves, Uploads, SpoolWriter), OpenError> {
    let broken = |path: PathBuf| |source| OpenError::Io { path, source };
    let [files_path, spool_path, uploads_path] = ["files", "spool", "uploads"].map(|name| path.join(name));
    let files = Files::open(&files_path).map_err(broken(files_path))?;
    let (spool, writer) = Spool::open(&spool_path).map_err(broken(spool_path))?;
    let uploads = Uploads::open(&uploads_path, settings.uploads).map_err(broken(uploads_path))?;
    Ok((Shelves { spool, files }, uploads, writer))
}

/// The tree of a store, once it is known to be of our format and sealed with our key.
fn checked_disk(path: &Path, db: &::sled::Db, sealer: &Sealer) -> Result<Disk, OpenError> {
    sync_names(path)?;
    let disk = Disk { tree: (**db).clone(), failure: Failure::new() };
    check_format(path, &disk)?;
    seal::check(path, &disk, sealer)?;
    Ok(disk)
}

/// Makes the names of a store and of what is in it durable.
fn sync_names(path: &Path) -> Result<(), OpenError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    for dir in [Some(path), parent].into_iter().flatten() {
        sync_dir(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    }
    Ok(())
}

/// Removes what a crash left, once it is known what is referred to, and makes what an older store does not have.
fn tidy(
    disk: &Disk,
    shelves: &Shelves,
    uploads: &Uploads,
    accounts: &BTreeMap<AccountId, AccountEntry>,
) -> Result<(), OpenError> {
    returns::doubts::build(disk, accounts)?;
    load_claims(disk, uploads)?;
    care::collect_left_files(disk, &shelves.files);
    segments::restore(disk, &shelves.spool)?;
    segments::sweep(disk, &shelves.spool)?;
    Ok(())
}

/// Refuses a store whose newest commits are missing.
fn open_tip(path: &Path, next_seq: u64) -> Result<Tip, OpenError> {
    let (tip, remembered) = Tip::open(path).map_err(|source| OpenError::Io { path: path.join(TIP_FILE), source })?;
    match remembered.map_or(0, |remembered| remembered.saturating_sub(next_seq)) {
        0 => Ok(tip),
        lost => Err(OpenError::Behind { path: path.to_owned(), lost }),
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = path.join("lock");
    let broken = |source| OpenError::Io { path: lock_path.clone(), source };
    let file = File::options().create(true).append(true).open(&lock_path).map_err(broken)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(broken(source)),
    }
}

/// Opens sled's directory; when that fails, a copy of it without snapshots, which then takes its place.
fn open_fenced(
    path: &Path,
    db_path: &Path,
    settings: &SledSettings,
    clock: &dyn Clock,
) -> Result<::sled::Db, OpenError> {
    let broken = |source| OpenError::Io { path: db_path.to_owned(), source };
    let copy = path.join("db.rescue");
    if copy.is_dir() && !db_path.exists() {
        // The store was put aside only after this copy had opened: a crash came between the two renames.
        tracing::warn!("finishing a rescue that was cut short: verify the store now");
        fs::rename(&copy, db_path).and_then(|()| sync_dir(path)).map_err(broken)?;
    }
    fs::create_dir_all(db_path).map_err(broken)?;
    remove_unfinished_snapshots(db_path).map_err(broken)?;
    let first = match open_guarded(db_path, settings) {
        Ok(db) => {
            sync_dir(db_path).map_err(broken)?;
            check_spilled_pages(db_path);
            return Ok(db);
        }
        Err(why) => why,
    };
    tracing::error!(reason = %first, "the store does not open; trying a copy without its snapshots");
    copy_without_snapshots(db_path, &copy).map_err(broken)?;
    match open_guarded(&copy, settings) {
        Ok(db) => drop(db),
        Err(second) => {
            fs::remove_dir_all(&copy).map_err(broken)?;
            return Err(OpenError::Damaged {
                path: path.to_owned(),
                why: format!("{first}; without snapshots: {second}"),
            });
        }
    }
    let damaged = path.join(format!("db.damaged-{}", clock.now().as_millis()));
    fs::rename(db_path, &damaged).map_err(broken)?;
    fs::rename(&copy, db_path).map_err(broken)?;
    sync_dir(path).map_err(broken)?;
    tracing::warn!(kept = %damaged.display(), "the copy opened and has taken the store's place; verify the store now");
    open_guarded(db_path, settings).map_err(|why| OpenError::Damaged { path: path.to_owned(), why })
}

/// Opens sled and turns its panics into texts. Says in the log that it takes long when it does.
pub(super) fn open_guarded(db_path: &Path, settings: &SledSettings) -> Result<::sled::Db, String> {
    let config = ::sled::Config::new()
        .path(db_path)
        .cache_capacity(settings.cache_bytes)
        .mode(::sled::Mode::HighThroughput)
        // Garbage is collected in the flushing thread only: it must run.
        .flush_every_ms(Some(500))
        .use_compression(false);
    let started = Instant::now();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let bytes = fs::metadata(db_path.join("db")).map_or(0, |facts| facts.len());
    let opened = std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = waiting.recv_timeout(PATIENCE) {
                let seconds = started.elapsed().as_secs();
                tracing::info!(seconds, bytes, "still opening the store: sled reads its whole log");
            }
        });
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        drop(done);
        opened
    });
    match opened {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(super::writer::panic_text(&*panic).to_owned()),
    }
}

/// sled does not open beside a snapshot that a crash or a full disk left unfinished; everything in it is in the log.
fn remove_unfinished_snapshots(db_path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(db_path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing a snapshot that was left unfinished");
            fs::remove_file(entry.path())?;
        }
    }
    sync_dir(db_path)
}

/// sled never syncs pages that it puts into files of their own; our values are too short for that to happen.
fn check_spilled_pages(db_path: &Path) {
    let spilled = fs::read_dir(db_path.join("blobs")).map_or(0, Iterator::count);
    if spilled > 0 {
        tracing::error!(
            files = spilled,
            "sled has spilled pages that a power cut can lose: export and import the store"
        );
    }
}

fn copy_without_snapshots(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        // sled makes both anew: snapshots from its log, its settings from ours, which never change.
        let is_derived = name.to_string_lossy().starts_with("snap.") || name == "conf";
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_without_snapshots(&entry.path(), &target)?;
        } else if !is_derived {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    sync_dir(to)
}

/// Checks the format, and that the tree is the one that was made here: sled opens some damaged logs as if they were
/// empty, so a file beside it says that there was a store.
fn check_format(path: &Path, disk: &Disk) -> Result<(), OpenError> {
    let marker = path.join("format");
    let broken = |source| OpenError::Io { path: marker.clone(), source };
    match read_number(disk, &META_FORMAT)? {
        Some(FORMAT) => {}
        Some(found) => return Err(OpenError::Format { path: path.to_owned(), found }),
        None if marker.exists() => {
            let why = "sled reads it as empty, but there was a store".to_owned();
            return Err(OpenError::Damaged { path: path.to_owned(), why });
        }
        None if disk.tree.is_empty() => {
            let (key, value) = codec::single(&META_FORMAT, &FORMAT.to_be_bytes());
            disk.checked(disk.tree.insert(key, value))?;
            disk.checked(disk.tree.flush())?;
            // sled syncs a range only; the marker must not become durable before what it speaks of.
            let database = path.join("db").join("db");
            File::open(&database).and_then(|file| file.sync_all()).map_err(broken)?;
        }
        None => return Err(OpenError::Format { path: path.to_owned(), found: 0 }),
    }
    if !marker.exists() {
        fs::write(&marker, format!("{FORMAT}\n")).map_err(broken)?;
        File::open(&marker).and_then(|file| file.sync_all()).map_err(broken)?;
        sync_dir(path).map_err(broken)?;
    }
    Ok(())
}
