//! Tests of accounts by the command line.

use crate::scene::Scene;

const FILE: &str =
    "[accounts.shop]\nfrom = 'a@b'\nserver.host = 'h'\nsign_in.password = { user = 'u', password = 'file:secret' }\n";

#[test]
fn a_failed_test_shows_each_step_and_what_to_do() {
    let scene = Scene::new().with_shop();
    let ended = scene.run(&["account", "test", "shop", "--to", "a@example.jp"]);
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.out,
        "\
ok      hello  12ms
        > EHLO me
        < 250 hi
FAILED  sign-in  12ms
        > AUTH PLAIN (secret)
        < 535-5.7.8 No\\u{1b}[2J
        < 535 5.7.8 no

TLS              TLSv1.3 AES
certificate for  mx.example.jp
issued by        CA
valid            2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z

capabilities  AUTH PLAIN

WRONG_CREDENTIALS: The password is wrong.
  1. Give an app password.
  see https://support.example/
"
    );
    let test = scene.run(&["--json", "account", "test", "shop"]);
    let test: serde_json::Value = serde_json::from_str(&test.out).unwrap();
    assert_eq!((&test["passed"], &test["diagnosis"]["cause"]), (&false.into(), &"WRONG_CREDENTIALS".into()));
    assert_eq!((&test["steps"][0]["took_ms"], &test["steps"][1]["name"]), (&12.into(), &"sign-in".into()));
}

#[test]
fn an_account_is_tested_before_it_is_stored() {
    let scene = Scene::new();
    scene.file("secret", "hunter2\n");
    let file = scene.file("shop.toml", FILE).display().to_string();
    let out = scene.good(&["account", "test", "-f", &file]);
    assert!(out.ends_with("\n\npassed\n"), "{out}");
    let out = scene.good(&["account", "test", "shop", "-f", &file, "--mailbox"]);
    assert!(out.contains("folders       INBOX\n"), "{out}");
    assert_eq!(scene.run(&["account", "test", "other", "-f", &file]).code, 2);
    assert_eq!(scene.run(&["account", "test"]).code, 2);
    assert_eq!(scene.json(&["account", "list"]).len(), 0);
}
