//! How is a daemon given a wall clock that a test sets?

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

const SOURCE: &str = include_str!("wallclock.c");

/// The wall clock of the daemons that were given it. It begins with the host's time.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl WallClock {
    /// Builds it in a folder, with the host's C compiler; the inner error says why it cannot be built.
    pub(crate) fn build(folder: &Path) -> anyhow::Result<Result<Self, String>> {
        let (source, library) = (folder.join("wallclock.c"), folder.join("wallclock.so"));
        fs::write(&source, SOURCE).context("cannot write a source file")?;
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut command = Command::new(&compiler);
        let built = match command.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("no C compiler ({}): {error}", compiler.display())),
        };
        if let Err(why) = built {
            return Ok(Err(why));
        }
        let path = folder.join("wallclock");
        let file = File::options().write(true).create_new(true).open(&path).context("cannot make a file")?;
        let clock = Self { library, path, file };
        clock.set_ahead(0).context("cannot write a file")?;
        Ok(Ok(clock))
    }

    /// Sets it so many milliseconds ahead of the host's clock, or behind it, at once.
    pub(crate) fn set_ahead(&self, millis: i64) -> io::Result<()> {
        self.file.write_all_at(&millis.to_ne_bytes(), 0)
    }

    /// What a process that shall have it must find in its environment.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("WALLCLOCK", self.path.clone())]
    }
}
