//! How the program behaves whatever it is asked: exit codes, keys, closed pipes, and the small commands.

use std::{io::Read as _, process::Command};

use crate::scene::Scene;

#[test]
fn exit_codes_tell_usage_from_refusal_and_absence() {
    let absent = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(["--endpoint", "unix:/nonexistent/h.sock", "account", "list"])
        .output()
        .unwrap();
    assert_eq!(absent.status.code(), Some(3));
    let words = String::from_utf8(absent.stderr).unwrap();
    assert!(words.starts_with("hikyaku: cannot reach hikyakud at unix:/nonexistent/h.sock: "), "{words}");
    assert!(words.ends_with("is it running, and may you use it? Name another with --endpoint or HIKYAKU_ENDPOINT\n"));

    let scene = Scene::new();
    for words in [
        &["account"][..],
        &["account", "create", "shop", "--host", "h"],
        &["account", "create", "shop", "--from", "a@b"],
        &["account", "create", "shop", "--from", "a@b", "--host", "h", "--quota", "7/month"],
        &["job", "submit", "--account", "shop", "--text", "x"],
        &["job", "submit", "--account", "shop", "--to", "a@b"],
        &["job", "list", "--state", "gone"],
        &["job", "merge", "--account", "shop", "--text", "x"],
        &["job", "merge", "--account", "shop", "--csv", "x.csv"],
        &["job", "recipients", "job-1", "--state", "gone"],
        &["--endpoint", "tcp:1", "account", "list"],
    ] {
        let ended = scene.run(words);
        assert_eq!(ended.code, 2, "{words:?}: {ended:?}");
    }
    let missing = scene.run(&["job", "submit", "--account", "s", "--to", "a@b", "--text-file", "/nonexistent"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.starts_with("hikyaku: cannot read /nonexistent: "), "{missing:?}");
}

#[test]
fn the_api_key_travels_as_a_bearer_token() {
    let scene = Scene::new();
    let key = scene.file("key", "k-123\n");
    let words = ["--api-key-file", key.to_str().unwrap(), "account", "create", "a", "--from", "a@b", "--host", "h"];
    assert_eq!(scene.json(&words)[0]["created_by"], "Bearer k-123");
}

#[test]
fn a_reader_who_leaves_early_causes_no_noise() {
    let scene = Scene::new();
    // More accounts than a pipe holds.
    let name = "n".repeat(4_000);
    for n in 0..40 {
        let id = format!("a{n}");
        let words = ["account", "create", &id, "--from", "a@b", "--host", "h", "--display-name", &name];
        scene.good(&words);
    }
    let mut child = scene.command(&["--json", "account", "list"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!((child.wait().unwrap().code(), words.as_str()), (Some(0), ""));
}

#[test]
fn a_reply_is_judged() {
    let scene = Scene::new();
    assert_eq!(
        scene.good(&["classify", "550-5.1.1 No\\n550 5.1.1 user", "--provider", "gmail"]),
        "verdict  REJECT_RECIPIENT\nblame    RECIPIENT\nwait     1m30s\nrule     gmail/rcpt/550-5.1.1 No\\n550 5.1.1 user\n"
    );
    assert_eq!(scene.json(&["classify", "550 x"])[0]["wait_ms"], 90_000);
}

#[test]
fn the_store_is_copied_and_checked() {
    let scene = Scene::new();
    assert_eq!(scene.good(&["store", "backup", "/var/backup/1"]), "copied 2 records to /var/backup/1\n");
    let torn = scene.run(&["store", "backup", "/torn"]);
    assert_eq!(torn.code, 1);
    assert!(torn.err.contains("the backup at /torn is not complete"), "{torn:?}");
    let verify = scene.run(&["store", "verify"]);
    assert_eq!(verify.code, 1, "something was quarantined");
    assert_eq!(verify.out, "checked 9 records: 1 quarantined, 2 derived entries mended\n  job 7: wrong check sum\n");
}

#[test]
fn the_long_help_says_what_files_may_hold() {
    let scene = Scene::new();
    for (words, text) in [
        (&["job", "submit", "--help"][..], "A file (--file) is TOML or JSON"),
        (&["job", "preview", "--help"], "The message goes to stdout as it is"),
        (&["job", "merge", "--help"], "The CSV file has a header row"),
        (&["route", "set", "--help"], "The file is TOML: default_account_id"),
        (&["dkim", "rules", "set", "--help"], "The file is TOML: in their order"),
        (&["account", "apply", "--help"], "Secrets stand in the file by reference"),
    ] {
        let help = scene.good(words);
        assert!(help.contains(text), "{help}");
    }
}

#[test]
fn the_help_names_every_command() {
    let scene = Scene::new();
    for (words, names) in [
        (&["--help"][..], "account job route blob dkim classify store completions"),
        (
            &["account", "--help"],
            "create list get update apply export pause resume delete usage report-usage presets discover test oauth estimate",
        ),
        (
            &["job", "--help"],
            "submit merge preview get explain list recipients watch cancel hold release retry resend approve expire",
        ),
        (&["store", "--help"], "backup verify"),
        (&["route", "--help"], "get set explain"),
        (&["blob", "--help"], "upload get"),
        (&["dkim", "--help"], "create import list show delete check rules"),
        (&["dkim", "rules", "--help"], "get set"),
    ] {
        let help = scene.good(words);
        for name in names.split(' ') {
            assert!(help.contains(&format!("\n  {name} ")), "{name} in {help}");
        }
    }
}
