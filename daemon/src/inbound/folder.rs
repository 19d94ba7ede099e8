//! Where do raw mails and their files go? Below the daemon's own folder, whatever the account says, and nowhere else.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write below {}: {cause}", .folder.display())]
pub(super) struct FolderError {
    folder: PathBuf,
    cause: io::Error,
}

/// Saves `bytes` as a file of the folder `name` below `root`, unless there is one of this name; it is on stable storage when this
/// returns. Returns whether it was not there before. Folders are made as they are needed, for this user only.
///
/// # Errors
/// When `name` leads out of `root`, by its words or by a symbolic link, or the file cannot be written.
pub(super) fn save(root: &Path, name: &str, file_name: &str, bytes: &[u8]) -> Result<bool, FolderError> {
    let saved = folder(root, name).and_then(|folder| write(&folder, file_name, bytes));
    saved.map_err(|cause| FolderError { folder: root.join(name), cause })
}

/// Removes a file that [`save`] has just written and that nothing names. Whether it is there does not matter.
pub(super) fn discard(root: &Path, name: &str, file_name: &str) {
    if let Ok(folder) = folder(root, name) {
        drop(fs::remove_file(folder.join(file_name)));
    }
}

/// The folder, made if it is not there.
fn folder(root: &Path, name: &str) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(root)?;
    let root = root.canonicalize()?;
    let mut folder = root.clone();
    let mut is_below = false;
    for component in Path::new(name).components() {
        let Component::Normal(part) = component else {
            return Err(refused("the name must be relative and without \"..\""));
        };
        folder.push(part);
        is_below = true;
        match fs::symlink_metadata(&folder) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Err(refused("a part of the name is no folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&folder)?;
                sync(folder.parent().unwrap_or(&root))?;
            }
            Err(error) => return Err(error),
        }
    }
    if is_below { Ok(folder) } else { Err(refused("the name is empty")) }
}

fn write(folder: &Path, file_name: &str, bytes: &[u8]) -> io::Result<bool> {
    let path = folder.join(file_name);
    if path.parent() != Some(folder) || Path::new(file_name).file_name() != Some(file_name.as_ref()) {
        return Err(refused("the file's name is none"));
    }
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(false);
    }
    let draft = folder.join(format!(".{file_name}.new"));
    // One that was left by a crash.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file follows no link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&draft, &path)?;
    sync(folder)?;
    Ok(true)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn files_are_private_and_written_once() {
        let root = tempfile::tempdir().expect("a folder");
        assert!(save(root.path(), "a/b", "1.eml", b"one").expect("written"));
        assert!(!save(root.path(), "a/b", "1.eml", b"two").expect("it is there"));
        let path = root.path().join("a/b/1.eml");
        assert_eq!(fs::read(&path).expect("it is there"), b"one");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path().join("a/b")).expect("a folder").count(), 1, "nothing else is left");
        discard(root.path(), "a/b", "1.eml");
        assert!(!path.exists());
    }

    #[test]
    fn no_name_leads_out() {
        let (root, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        symlink(other.path(), root.path().join("link")).expect("a link");
        for name in ["..", "a/../../b", "/etc", "", ".", "link", "link/a"] {
            assert!(save(root.path(), name, "1.eml", b"x").is_err(), "{name}");
        }
        for file_name in ["../x", "a/b", "", ".."] {
            assert!(save(root.path(), "ok", file_name, b"x").is_err(), "{file_name}");
        }
        assert_eq!(fs::read_dir(other.path()).expect("a folder").count(), 0);
        // What is there already is never written through.
        fs::create_dir(root.path().join("f")).expect("a folder");
        symlink(other.path().join("target"), root.path().join("f/1.eml")).expect("a link");
        assert!(!save(root.path(), "f", "1.eml", b"x").expect("something is there"));
        assert!(!other.path().join("target").exists());
    }
}
