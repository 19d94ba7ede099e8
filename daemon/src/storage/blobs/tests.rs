//! Are files kept once, and durable before they are named?

use super::*;

#[test]
fn what_is_there_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    assert!(files.pin_known([7; 32]).unwrap().is_none());
    let pin = files.store_bytes(b"hello").unwrap();
    let before = fs::metadata(files.path(&pin.hash)).unwrap().modified().unwrap();
    drop(files.store_bytes(b"hello").unwrap());
    assert_eq!(fs::metadata(files.path(&pin.hash)).unwrap().modified().unwrap(), before);
    files.check(&pin.hash).unwrap();
    fs::write(files.path(&pin.hash), b"jello").unwrap();
    assert_eq!(files.check(&pin.hash).unwrap_err().kind(), io::ErrorKind::InvalidData);
    fs::write(dir.path().join("elsewhere"), b"hello").unwrap();
    drop(files.adopt(&dir.path().join("elsewhere"), pin.hash).unwrap());
    files.check(&pin.hash).expect("a sound one has taken the place of a damaged one");
}

#[test]
fn a_damaged_file_is_stored_over_by_whoever_has_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let hash = files.store_bytes(b"hello").unwrap().hash;
    assert!(files.is_sound(&hash));
    // One that has another length is noticed at once, any other when a reader has found it or after a restart.
    for (damage, is_found) in [(&b"hell"[..], false), (b"jello", true)] {
        fs::write(files.path(&hash), damage).unwrap();
        assert!(!is_found || files.read(&hash).is_err());
        assert!(!files.is_sound(&hash));
        assert!(files.pin_known(hash).unwrap().is_none());
        drop(files.store_bytes(b"hello").unwrap());
        assert_eq!(files.read(&hash).unwrap(), b"hello");
        fs::write(files.path(&hash), damage).unwrap();
        let files = Files::open(dir.path()).unwrap();
        drop(files.store(&b"hello"[..]).unwrap());
        assert_eq!(files.read(&hash).unwrap(), b"hello");
    }
}

#[test]
fn a_file_in_pieces_is_there_when_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let mut incoming = files.incoming().unwrap();
    incoming.write(b"hel").unwrap();
    drop(incoming);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let mut incoming = files.incoming().unwrap();
    incoming.write(b"hel").unwrap();
    incoming.write(b"lo").unwrap();
    let pin = incoming.finish().unwrap();
    assert_eq!(files.read(&pin.hash).unwrap(), b"hello");
}

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
