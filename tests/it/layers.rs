//! Do imports in the daemon go down only, without a circle, in files that are short and say what they are for?

mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path as FsPath,
};

use source::Path;

/// The top folders of `daemon/src`, lowest first. A module may use those of lower layers; two of one layer are siblings
/// and may not know each other. `main.rs` stands above `app` because it is allowed to call it.
const LAYERS: &[(&str, u8)] = &[
    ("domain", 0),
    ("policy", 1),
    ("compose", 1),
    ("platform", 2),
    ("storage", 3),
    ("wire", 3),
    ("accounts", 4),
    ("delivery", 5),
    ("inbound", 5),
    ("notify", 5),
    ("service", 6),
    ("http", 6),
    ("app", 7),
    ("main", 8),
];

/// Longest source file, in lines; its tests at the end are not counted.
const FILE_LINES_MAX: usize = 400;

/// Folders whose files are held to length and heading, below the workspace.
const FOLDERS: &[&str] = &["daemon/src", "daemon/recognition/src", "client/src", "proto/src", "tests/it"];

/// A source file as the rules see it.
struct File {
    /// As shown in messages, from the workspace: `daemon/src/domain/job.rs`.
    name: String,
    code: String,
}

#[test]
fn imports_of_the_daemon_go_down_only() {
    report(&wrong_imports(&read("daemon/src")));
}

#[test]
fn files_of_the_daemon_form_no_circle() {
    report(&circles(&read("daemon/src")));
}

#[test]
fn the_root_of_the_daemon_only_lists_modules() {
    report(&wrong_root(&read("daemon/src")));
}

#[test]
fn files_are_short_and_say_which_question_they_answer() {
    let files: Vec<File> = FOLDERS.iter().flat_map(|folder| read(folder)).collect();
    report(&wrong_shape(&files));
}

#[track_caller]
fn report(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "{} broken rule(s):\n{}", mistakes.len(), mistakes.join("\n"));
}

/// Imports that go up, to a sibling, or to a module that has no layer.
fn wrong_imports(files: &[File]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for file in files.iter().filter(|file| !file.is_root()) {
        let module = file.module();
        let Some(own) = layer(&module[0]) else {
            mistakes.push(format!(
                "{}:1: `{}` has no layer: move the file into a folder of LAYERS in tests/it/layers.rs, or add it there",
                file.name, module[0]
            ));
            continue;
        };
        for path in file.paths() {
            if let Some(mistake) = wrong_import(&module[0], own, &path) {
                mistakes.push(format!("{}:{}: {mistake}", file.name, path.line));
            }
        }
    }
    mistakes
}

fn wrong_import(from: &str, own: u8, path: &Path) -> Option<String> {
    let to = path.names.first()?;
    if to == from {
        return None;
    }
    let shown = format!("crate::{}", path.names.join("::"));
    match layer(to) {
        None => Some(format!("`{shown}` is in no layer: name the folder in LAYERS in tests/it/layers.rs")),
        Some(other) if other > own => Some(format!(
            "{from} (layer {own}) imports `{shown}` from above (layer {other}): take it as an argument or a trait, or \
             move this code up"
        )),
        Some(other) if other == own => Some(format!(
            "{from} imports `{shown}` from its sibling: move what both need down, or join the two in the layer above"
        )),
        Some(_) => None,
    }
}

/// Circles of imports between files. A module and the files below it are one in this, and tests are left out.
fn circles(files: &[File]) -> Vec<String> {
    let names: BTreeMap<Vec<String>, &str> = files.iter().map(|file| (file.module(), file.name.as_str())).collect();
    let mut edges: BTreeMap<Vec<String>, BTreeMap<Vec<String>, usize>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_root() && !file.is_tests()) {
        let from = file.module();
        for path in file.paths().into_iter().filter(|path| !path.in_tests) {
            let target = (1..=path.names.len()).rev().map(|n| &path.names[..n]).find(|n| names.contains_key(*n));
            let Some(target) = target.filter(|to| !to.starts_with(&from) && !from.starts_with(to)) else { continue };
            edges.entry(from.clone()).or_default().entry(target.to_vec()).or_insert(path.line);
        }
    }
    let mut mistakes = Vec::new();
    let mut reported = BTreeSet::new();
    for (start, targets) in &edges {
        for (next, line) in targets {
            let Some(way) = way_back(&edges, next, start) else { continue };
            if reported.insert(way.iter().cloned().collect::<BTreeSet<_>>()) {
                let shown: Vec<&str> = way.iter().map(|module| names[module]).collect();
                mistakes.push(format!(
                    "{}:{line}: a circle of imports, back over {}: move what they share into a file of its own",
                    names[start],
                    shown.join(" -> ")
                ));
            }
        }
    }
    mistakes
}

/// The shortest way along the imports from one file to another.
fn way_back(
    edges: &BTreeMap<Vec<String>, BTreeMap<Vec<String>, usize>>,
    from: &[String],
    to: &[String],
) -> Option<Vec<Vec<String>>> {
    let mut ways = vec![vec![from.to_vec()]];
    let mut seen = BTreeSet::from([from.to_vec()]);
    let mut at = 0;
    while let Some(way) = ways.get(at).cloned() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        for next in edges.get(last).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                ways.push([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
        at += 1;
    }
    None
}

fn wrong_root(files: &[File]) -> Vec<String> {
    let Some(root) = files.iter().find(|file| file.is_root()) else { return vec!["daemon/src/lib.rs is gone".into()] };
    let is_list = |line: &str| {
        line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")).is_some_and(|name| {
            name.strip_suffix(';').is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        })
    };
    source::statements(&root.code)
        .filter(|(_, line)| !is_list(line))
        .map(|(number, line)| format!("{}:{number}: `{line}`: list modules here only, move the rest", root.name))
        .collect()
}

fn wrong_shape(files: &[File]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for file in files {
        let File { name, code } = file;
        let lines = source::without_tests(code).lines().count();
        if lines > FILE_LINES_MAX && !file.is_tests() {
            mistakes.push(format!("{name}:{lines}: {lines} lines, {FILE_LINES_MAX} at most: split it by question"));
        }
        if !code.starts_with("//! ") {
            mistakes.push(format!("{name}:1: begin with `//! ` and the question that the file answers"));
        }
    }
    mistakes
}

impl File {
    fn is_root(&self) -> bool {
        self.name == "daemon/src/lib.rs"
    }

    /// Whether all of it is tests, declared by `#[cfg(test)] mod tests;`.
    fn is_tests(&self) -> bool {
        self.name.ends_with("/tests.rs")
    }

    /// `daemon/src/storage/sled/mod.rs` is `["storage", "sled"]`.
    fn module(&self) -> Vec<String> {
        let below = self.name.strip_prefix("daemon/src/").unwrap_or(&self.name);
        let below = below.strip_suffix(".rs").unwrap_or(below);
        below.strip_suffix("/mod").unwrap_or(below).split('/').map(str::to_owned).collect()
    }

    fn paths(&self) -> Vec<Path> {
        source::paths(&self.code, &self.module())
    }
}

fn layer(folder: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == folder).map(|(_, layer)| *layer)
}

/// Every Rust file below a folder of the workspace.
fn read(folder: &str) -> Vec<File> {
    let workspace = FsPath::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
    let mut files = Vec::new();
    let mut folders = vec![workspace.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("the folder can be read to its end").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(workspace).expect("it lies in the workspace").display().to_string();
                let code = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
                files.push(File { name, code });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

mod self_test {
    //! Planted mistakes are found, and what only looks like one is not.

    use super::*;

    fn planted(files: &[(&str, &str)]) -> Vec<File> {
        files.iter().map(|(name, code)| File { name: format!("daemon/src/{name}"), code: (*code).into() }).collect()
    }

    #[track_caller]
    fn check(found: Vec<String>, want: &[&str]) {
        assert_eq!(found.len(), want.len(), "{found:#?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.contains(want), "`{want}` is not in `{found}`");
        }
    }

    #[track_caller]
    fn check_import(name: &str, code: &str, want: &[&str]) {
        check(wrong_imports(&planted(&[(name, code)])), want);
    }

    #[test]
    fn a_planted_import_is_found() {
        check_import("policy/quota.rs", "//! Q\nuse crate::domain::job::Job;", &[]);
        check_import("policy/quota.rs", "//! Q\nuse crate::storage::Store;", &["policy/quota.rs:2: policy (layer 1)"]);
        check_import("policy/quota.rs", "use crate::compose::Mail;", &["from its sibling"]);
        check_import(
            "wire/dial.rs",
            "use crate::{\n    domain::Job,\n    storage::{sled, Store as S},\n};",
            &["dial.rs:1: wire imports `crate::storage::sled`", "`crate::storage::Store`"],
        );
        check_import("domain/job.rs", "fn f() {\n    crate::app::run::<u8>()\n}", &["job.rs:2: domain (layer 0)"]);
        check_import("domain/job.rs", "use super::super::wire::Dial;", &["`crate::wire::Dial` from above"]);
        check_import("domain/mod.rs", "use super::{super::nothing, wire};", &["is in no layer", "`crate::wire`"]);
        check_import("accounts/mod.rs", "mod tests { use super::super::app; }", &["`crate::app`"]);
        check_import("main.rs", "use hikyaku_daemon::app;", &[]);
        check_import("app/mod.rs", "use hikyaku_daemon::main;", &["from above"]);
        check_import("toolbox/mod.rs", "", &["`toolbox` has no layer"]);
        check_import("domain/job.rs", "use crate::toolbox::X;", &["`crate::toolbox::X` is in no layer"]);
    }

    #[test]
    fn comments_and_literals_are_no_imports() {
        check_import("domain/job.rs", "/// [`crate::app`]\n/* crate::app /* */ crate::app */ // crate::app", &[]);
        check_import("domain/job.rs", r##"const A: &str = "crate::app \" crate::app"; const Q: char = '"';"##, &[]);
        check_import("domain/job.rs", "const A: &str = r#\"\" crate::app\"#; const B: &[u8] = b\"crate::app\";", &[]);
        check_import("domain/job.rs", "fn f<'a>(x: &'a str) { '\\''; '\"'; }\nuse crate::app;", &["job.rs:2"]);
        check_import("domain/job.rs", "pub(crate) fn f() { self::crate_name::g(); other::crate_::app() }", &[]);
    }

    #[test]
    fn a_planted_circle_is_found() {
        let circle = [
            ("domain/a.rs", "use super::b::B;"),
            ("domain/b.rs", "use crate::domain::c;"),
            ("domain/c.rs", "use super::a;"),
        ];
        check(circles(&planted(&circle)), &["a.rs:1: a circle of imports, back over daemon/src/domain/b.rs -> "]);
        let module = [
            ("domain/mod.rs", "use self::a::A;"),
            ("domain/a.rs", "use super::B; use super::{a, b};"),
            ("domain/b.rs", ""),
        ];
        check(circles(&planted(&module)), &[]);
        let tests =
            [("domain/a.rs", "use super::b;"), ("domain/b.rs", "#[cfg(test)]\nmod tests { use super::super::a; }")];
        check(circles(&planted(&tests)), &[]);
    }

    #[test]
    fn a_root_that_does_more_than_list_is_found() {
        check(wrong_root(&planted(&[("lib.rs", "//! D\n\npub mod domain;\nmod app;")])), &[]);
        check(wrong_root(&planted(&[("lib.rs", "pub mod domain;\npub use domain::Job;")])), &["lib.rs:2"]);
    }

    #[test]
    fn a_long_or_nameless_file_is_found() {
        let long = |tail: &str| format!("//! L\n{}{tail}", "\n".repeat(FILE_LINES_MAX - 1));
        let tests = format!("#[cfg(test)]\nmod tests {{{}}}\n", "\n".repeat(90));
        check(wrong_shape(&planted(&[("a.rs", &long("")), ("b.rs", &long(&tests))])), &[]);
        check(wrong_shape(&planted(&[("a.rs", &long("fn f() {}\n"))])), &["a.rs:401: 401 lines"]);
        check(wrong_shape(&planted(&[("a.rs", "// A\n")])), &["a.rs:1: begin with"]);
    }
}
