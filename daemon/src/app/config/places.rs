//! Where things lie when the configuration does not say: a service's folders, or those of the person who starts it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The environment's variables, as an argument, so that tests bring their own.
pub type Environment = BTreeMap<String, String>;

/// The folders for what is kept and for what lives as long as the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    state: PathBuf,
    runtime: PathBuf,
}

impl Places {
    /// Under systemd what the unit names; else the person's own folders (XDG base directories); else, for somebody
    /// without a home, those of a service.
    pub(super) fn of(environment: &Environment) -> Self {
        let folder = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = |path: PathBuf| path.join("hikyaku");
        let state = folder("STATE_DIRECTORY")
            .or_else(|| folder("XDG_STATE_HOME").map(own))
            .or_else(|| folder("HOME").map(|home| home.join(".local/state/hikyaku")));
        let runtime = folder("RUNTIME_DIRECTORY")
            .or_else(|| folder("XDG_RUNTIME_DIR").map(own))
            .or_else(|| state.clone())
            .unwrap_or_else(|| PathBuf::from("/run/hikyaku"));
        Self { state: state.unwrap_or_else(|| PathBuf::from("/var/lib/hikyaku")), runtime }
    }

    pub(super) fn store(&self) -> PathBuf {
        self.state.join("store")
    }

    pub(super) fn inbound(&self) -> PathBuf {
        self.state.join("inbound")
    }

    pub(super) fn seal_key(&self) -> PathBuf {
        self.state.join("seal.key")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.runtime.join(Path::new("hikyaku.sock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], store: &str, socket: &str) {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let places = Places::of(&environment);
        assert_eq!((places.store(), places.socket()), (store.into(), socket.into()));
    }

    #[test]
    fn a_service_a_person_and_nobody_have_their_places() {
        check(&[], "/var/lib/hikyaku/store", "/run/hikyaku/hikyaku.sock");
        check(
            &[("HOME", "/"), ("STATE_DIRECTORY", "/var/lib/x"), ("RUNTIME_DIRECTORY", "/run/x")],
            "/var/lib/x/store",
            "/run/x/hikyaku.sock",
        );
        check(
            &[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/1")],
            "/home/a/.local/state/hikyaku/store",
            "/run/user/1/hikyaku/hikyaku.sock",
        );
        check(
            &[("HOME", "/home/a")],
            "/home/a/.local/state/hikyaku/store",
            "/home/a/.local/state/hikyaku/hikyaku.sock",
        );
        check(
            &[("XDG_STATE_HOME", "s"), ("HOME", "/h")],
            "/h/.local/state/hikyaku/store",
            "/h/.local/state/hikyaku/hikyaku.sock",
        );
    }
}
