//! How does a store come onto a file system of its own?

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, bail};

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    point: PathBuf,
}

impl Mount {
    /// A small file system in memory.
    pub(crate) fn tmpfs(point: &Path, bytes: u64) -> anyhow::Result<Self> {
        let size = format!("size={bytes}");
        Self::at(point, &["-t", "tmpfs", "-o", &size, "hikyaku-crash"])
    }

    /// An ext4 in a file, which keeps what was not synced in memory for five minutes.
    pub(crate) fn image(point: &Path, image: &Path) -> anyhow::Result<Self> {
        let image = image.to_str().context("the path is not UTF-8")?;
        Self::at(point, &["-t", "ext4", "-o", "loop,commit=300", image])
    }

    fn at(point: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(point).context("cannot make a mount point")?;
        run(Command::new("mount").args(arguments).arg(point))?;
        Ok(Self { point: point.to_owned() })
    }

    /// Where it is.
    pub(crate) fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: what is still open must not keep it from going.
        drop(Command::new("umount").arg("--lazy").arg(&self.point).output());
    }
}

/// A new ext4 in a file of this size.
pub(crate) fn make_image(image: &Path, bytes: u64) -> anyhow::Result<()> {
    File::create(image).and_then(|file| file.set_len(bytes)).context("cannot make an image")?;
    run(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(image))?;
    Ok(())
}

/// Why nothing can be mounted here, if so.
pub(crate) fn cannot_mount(folder: &Path) -> Option<String> {
    match Mount::tmpfs(&folder.join("probe"), 1 << 20) {
        Ok(_) => None,
        Err(error) => Some(format!("mounting needs root: {error:#}")),
    }
}

/// Runs a program to its end; the error has its words.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}
