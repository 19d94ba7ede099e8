//! Is every mistake of a configuration named, with its key? `tests/bad_configs` holds files and what is said of them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use hikyaku_daemon::{
    app::config::{Config, Environment},
    domain::ids::Caller,
    platform::entropy::SeededEntropy,
    service::api_keys::{Role, new_key},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bad_configs");
const DEPLOYED: [&str; 3] = ["examples/hikyaku.toml", "docker/hikyaku.toml", "kubernetes/sidecar/hikyaku.toml"];
/// Stands for the folder of the files that a configuration names.
const PLACEHOLDER: &str = "{dir}";

#[test]
fn every_mistake_is_named_at_once() {
    let files = named_files();
    let mut names: Vec<PathBuf> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() > 10, "the fixtures are not where they should be");
    let wrong: Vec<String> = names.iter().filter_map(|name| difference(name, files.path())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_deployed_configurations_have_no_mistake() {
    for name in DEPLOYED {
        let path = Path::new(FOLDER).join("../../deploy").join(name);
        assert_eq!(said_of(&fs::read_to_string(path).expect("the fixture is readable")), "", "{name}");
    }
}

/// What is said of a fixture and should not be, or should be and is not.
fn difference(path: &Path, files: &Path) -> Option<String> {
    let fill = |path: &Path| {
        fs::read_to_string(path).expect("the fixture is readable").replace(PLACEHOLDER, &files.display().to_string())
    };
    let expected = fill(&path.with_extension("expected"));
    let said = said_of(&fill(path));
    // A library's own words at the end of a line may change with its version.
    let matches = said.lines().count() == expected.lines().count()
        && said.lines().zip(expected.lines()).all(|(said, expected)| said.starts_with(expected));
    (!matches).then(|| format!("{}:\n--- expected\n{expected}--- said\n{said}", path.display()))
}

fn said_of(text: &str) -> String {
    match Config::read(text, &Environment::new()) {
        Ok(_) => String::new(),
        Err(mistakes) => mistakes.as_slice().iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

/// A certificate with its key, a key of another one, API keys, and a secret that everybody can read.
fn named_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let names = vec!["localhost".to_owned()];
    let own = rcgen::generate_simple_self_signed(names.clone()).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(names).expect("another certificate");
    let caller: Caller = "shop".parse().expect("a caller");
    let (_, line) = new_key(&caller, Role::Member, &SeededEntropy::new(1));
    let write = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("the file is ours");
    };
    write("tls.crt", &own.cert.pem(), 0o644);
    write("tls.key", &own.signing_key.serialize_pem(), 0o600);
    write("other.key", &other.signing_key.serialize_pem(), 0o600);
    write("api-keys", &line, 0o640);
    write("no-keys", "secret", 0o600);
    write("open-key", "secret", 0o644);
    folder
}
