//! Accounts as files say, by the command line.

use crate::scene::Scene;

const FULL: &str = include_str!("../../src/cli/settings/full.toml");

const TWO: &str = "
[accounts.shop]
from = 'shop@example.jp'
labels = ['gitops']
server.host = 'mx.example.jp'
limits.quotas = ['7/10s']

[accounts.desk]
from = 'desk@example.jp'
labels = ['gitops']
server = { host = 'mx.example.jp', port = 465 }
sign_in.password = { user = 'desk', password = 'file:secret' }
";

/// A file of everything, with secrets that can be read.
fn full(scene: &Scene) -> String {
    scene.file("signature.txt", "山田\r\n-- x\n");
    scene.file("secret", "hunter2\n");
    let opened = ["env:HIKYAKU_TEST_NEVER_SET", "file:/run/secrets/key", "env:PROXY_PASSWORD", "credential:imap"];
    let opened = opened.into_iter().chain(["env:TOKEN", "file:key.json", "env:SECRET", "env:POP"]);
    let text = opened.fold(FULL.to_owned(), |text, reference| text.replace(reference, "file:secret"));
    scene.file("full.toml", &text).display().to_string()
}

#[test]
fn what_is_missing_is_made_and_what_is_equal_is_left_alone() {
    let scene = Scene::new();
    scene.file("secret", "hunter2\n");
    let file = scene.file("two.toml", TWO).display().to_string();
    let dry = scene.good(&["account", "apply", "-f", &file, "--dry-run"]);
    assert_eq!(
        dry,
        "desk: would be created\n  from: (default) → desk@example.jp\n  labels: (default) → gitops\n  \
         server.encryption: (default) → tls\n  server.host: (default) → mx.example.jp\n  server.port: (default) → 465\n  \
         sign_in.password.user: (default) → desk\n  sign_in.password.password: (secret)\n\
         shop: would be created\n  from: (default) → shop@example.jp\n  labels: (default) → gitops\n  \
         limits.quotas: (default) → 7/10s\n  server.encryption: (default) → starttls\n  \
         server.host: (default) → mx.example.jp\n  server.port: (default) → 587\n2 would be created, 0 unchanged\n"
    );
    assert_eq!(scene.json(&["account", "list"]).len(), 0);
    assert!(scene.good(&["account", "apply", "-f", &file]).ends_with("\n2 created, 0 unchanged\n"));
    assert_eq!(scene.good(&["account", "apply", "-f", &file]), "desk: unchanged\nshop: unchanged\n2 unchanged\n");
    let turned = TWO.replace("'7/10s'", "'9/10s', 'bytes:5000000/day'").replace("port = 465", "port = 2465");
    let file = scene.file("turned.toml", &turned).display().to_string();
    assert_eq!(
        scene.good(&["account", "apply", "-f", &file]),
        "desk: updated\n  server.encryption: tls → starttls\n  server.port: 465 → 2465\n  \
         sign_in.password.password: (secret)\n\
         shop: updated\n  limits.quotas: 7/10s → 9/10s, bytes:5000000/1d\n2 updated, 0 unchanged\n"
    );
    assert_eq!(scene.json(&["account", "get", "shop"])[0]["etag"], "11");
}

#[test]
fn an_export_that_is_applied_changes_nothing() {
    let scene = Scene::new();
    let file = full(&scene);
    let ended = scene.run(&["account", "apply", "-f", &file]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert!(ended.out.ends_with("\n4 created, 0 unchanged\n"), "{ended:?}");
    let export = scene.good(&["account", "export", "--all"]);
    assert!(export.contains("password = \"env:A_SIGN_IN_PASSWORD_PASSWORD\""), "{export}");
    let again = scene.run_with_stdin(&["account", "apply", "-f", "-"], &export);
    assert_eq!(again.out, "a: unchanged\nb: unchanged\nc: unchanged\nd: unchanged\n4 unchanged\n", "{again:?}");
    assert_eq!(scene.good(&["account", "apply", "-f", &file]), again.out);
    let one = scene.json(&["account", "export", "a"]);
    assert_eq!(one[0]["accounts"]["a"]["limits"]["over_quota"], "reject");
    // Text for people shows what an account has beyond the usual.
    let text = scene.good(&["account", "get", "a"]);
    for line in ["quiet_windows", "server.proxy.host", "mailbox.protocol", "content.charset"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn a_changed_secret_goes_with_the_flag_only() {
    let scene = Scene::new();
    scene.file("secret", "hunter1\n");
    let file = scene.file("two.toml", TWO).display().to_string();
    scene.good(&["account", "apply", "-f", &file]);
    scene.file("secret", "hunter2\n");
    scene.good(&["account", "apply", "-f", &file]);
    assert_eq!(scene.run(&["account", "test", "desk"]).code, 1);
    assert_eq!(
        scene.good(&["account", "apply", "-f", &file, "--rotate-secrets"]),
        "desk: updated\n  sign_in.password.password: (secret)\nshop: unchanged\n1 updated, 1 unchanged\n"
    );
    assert_eq!(scene.run(&["account", "test", "desk"]).code, 0);
}

#[test]
fn one_change_of_somebody_else_is_overcome() {
    let scene = Scene::new();
    let text = |name: &str| format!("[accounts.racy]\nfrom = 'a@b'\ndisplay_name = '{name}'\nserver.host = 'h'\n");
    for name in ["one", "two"] {
        let file = scene.file("racy.toml", &text(name)).display().to_string();
        scene.good(&["account", "apply", "-f", &file]);
    }
    assert_eq!(scene.json(&["account", "get", "racy"])[0]["display_name"], "two");
}

#[test]
fn a_failure_is_told_and_the_others_go_on() {
    let scene = Scene::new();
    let file = scene.file("two.toml", TWO).display().to_string();
    let ended = scene.run(&["account", "apply", "-f", &file]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("hikyaku: account desk: 1 mistake; secrets cannot be read\n"), "{ended:?}");
    assert_eq!(ended.out, "shop: created\n1 created, 1 failed, 0 unchanged\n");
    let lines = scene.run(&["--json", "account", "apply", "-f", &file]).out;
    assert!(lines.contains("\"account_id\":\"desk\",\"action\":\"failed\",\"error\":{"), "{lines}");
}

#[test]
fn only_labelled_accounts_are_pruned() {
    let scene = Scene::new();
    scene.file("secret", "hunter2\n");
    let file = scene.file("two.toml", TWO).display().to_string();
    for (id, label) in [("old", "gitops"), ("busy", "gitops"), ("other", "else")] {
        scene.good(&["account", "create", id, "--from", "a@b", "--host", "h", "--label", label]);
    }
    let words = ["account", "apply", "-f", &file, "--prune", "--owner-label", "gitops"];
    let dry = scene.good(&[&words[..], &["--dry-run"]].concat());
    assert!(
        dry.ends_with(
            "busy: would be deleted\nold: would be deleted\n2 would be created, 2 would be deleted, 0 unchanged\n"
        ),
        "{dry}"
    );
    assert_eq!(scene.json(&["account", "list"]).len(), 3);
    let ended = scene.run(&words);
    assert_eq!((ended.code, ended.err.as_str()), (1, "hikyaku: account busy: the account has open jobs\n"));
    assert!(ended.out.ends_with("old: deleted\n2 created, 1 deleted, 1 failed, 0 unchanged\n"), "{ended:?}");
    let left: Vec<_> = scene.json(&["account", "list"]).iter().map(|one| one["account_id"].clone()).collect();
    assert_eq!(left, ["busy", "desk", "other", "shop"]);

    assert_eq!(scene.run(&["account", "apply", "-f", &file, "--prune"]).code, 2);
    let other = scene.run(&["account", "apply", "-f", &file, "--prune", "--owner-label", "else"]);
    assert_eq!(other.code, 1);
    assert!(other.err.contains("accounts.desk.labels: lacks the owner label \"else\""), "{other:?}");
}

#[test]
fn a_preset_fills_what_is_left_out() {
    let scene = Scene::new();
    let text = "[accounts.g]\npreset = 'gmail'\nfrom = 'g@gmail.com'\nlimits.connections_max = 1\n";
    let file = scene.file("g.toml", text).display().to_string();
    scene.good(&["account", "apply", "-f", &file]);
    let account = &scene.json(&["account", "get", "g"])[0];
    assert_eq!((&account["server"]["host"], &account["server"]["port"]), (&"smtp.gmail.com".into(), &465.into()));
    assert_eq!(account["limits"]["quotas"], serde_json::json!(["recipients:500/1d"]));
    assert_eq!(scene.good(&["account", "apply", "-f", &file]), "g: unchanged\n1 unchanged\n");
    let file = scene.file("h.toml", &text.replace("gmail'", "gmial'")).display().to_string();
    let ended = scene.run(&["account", "apply", "-f", &file]);
    assert!(ended.err.contains("accounts.g.preset: there is no preset \"gmial\""), "{ended:?}");
}
