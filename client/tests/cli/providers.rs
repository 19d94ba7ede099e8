//! What is known of providers, by the command line.

use crate::scene::Scene;

#[test]
fn presets_are_listed_and_shown() {
    let scene = Scene::new();
    assert_eq!(
        scene.good(&["account", "presets"]),
        "PRESET  PROVIDER  SERVER                  SIGNS IN BY           QUOTAS\n\
         gmail   Gmail     smtp.gmail.com:465 tls  oauth2, app-password  recipients:500/1d\n"
    );
    let one = scene.good(&["account", "presets", "gmail"]);
    assert!(one.contains("source       limits: https://support.example/limits (2026-11-01)\n"), "{one}");
    assert_eq!(scene.json(&["account", "presets"])[0]["server"]["provider"], "gmail");
    assert_eq!(scene.run(&["account", "presets", "none"]).code, 2);
    scene.good(&["account", "create", "g", "--from", "g@gmail.com", "--preset", "gmail"]);
    assert_eq!(scene.json(&["account", "get", "g"])[0]["server"]["host"], "smtp.gmail.com");
}

#[test]
fn a_discovered_account_can_be_applied() {
    let scene = Scene::new();
    assert_eq!(
        scene.good(&["account", "discover", "taro.y@gmail.com"]),
        "FOUND BY  PRESET  SERVER                  MAILBOX                 USER\n\
         domain    gmail   smtp.gmail.com:465 tls  imap.gmail.com:993 tls  taro.y@gmail.com\n  asked for MX\\u{1b}\n"
    );
    let file = scene.good(&["account", "discover", "taro.y@gmail.com", "--toml"]);
    assert!(file.starts_with("[accounts.\"taro.y\"]\nfrom = \"taro.y@gmail.com\"\npreset = \"gmail\"\n"), "{file}");
    let file = file.replace("env:TARO_Y_SIGN_IN_PASSWORD_PASSWORD", "file:secret");
    scene.file("secret", "hunter2\n");
    let path = scene.file("found.toml", &file).display().to_string();
    assert!(scene.good(&["account", "apply", "-f", &path]).ends_with("1 created, 0 unchanged\n"));
    let nothing = scene.run(&["account", "discover", "a@nowhere.example"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (1, "nothing was found\n  asked for MX\\u{1b}\n"));
}

#[test]
fn accounts_are_found_by_what_they_are() {
    let scene = Scene::new();
    let base = ["--from", "a@b", "--host", "h"];
    scene.good(&[&["account", "create", "one", "--label", "sales", "--owner", "taro"], &base[..]].concat());
    scene.good(&[&["account", "create", "two", "--unlisted"], &base[..]].concat());
    for (words, expected) in [
        (&["--label", "sales"][..], 1),
        (&["--label", "none"], 0),
        (&["--owner", "taro"], 1),
        (&["--listed"], 1),
        (&["--state", "active,paused"], 2),
        (&["--state", "needs-reauth"], 0),
        (&["--text", "tw"], 1),
    ] {
        assert_eq!(scene.json(&[&["account", "list"], words].concat()).len(), expected, "{words:?}");
    }
    assert_eq!(scene.run(&["account", "list", "--state", "gone"]).code, 2);
}
