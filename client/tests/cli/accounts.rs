//! Accounts by the command line.

use crate::scene::Scene;

#[test]
fn an_account_is_made_as_its_options_say() {
    let scene = Scene::new();
    let password = scene.file("password", "hunter2\n");
    let words = [
        "account",
        "create",
        "shop",
        "--from",
        "shop@example.jp",
        "--from-name",
        "The Shop",
        "--host",
        "mx.example.jp",
        "--port",
        "587",
        "--encryption",
        "starttls",
        "--user",
        "shop",
        "--password-file",
        password.to_str().unwrap(),
        "--mechanism",
        "plain",
        "--quota",
        "7/10s",
        "--quota",
        "recipients:500/day@Asia/Tokyo",
        "--interval",
        "500ms",
        "--pace",
        "30/min",
        "--connections",
        "3",
        "--in-doubt",
        "hold",
        "--retry-first",
        "90s",
        "--retry-give-up",
        "2d",
    ];
    let account = &scene.json(&words)[0];
    assert_eq!(account["from"], "The Shop <shop@example.jp>");
    assert_eq!(account["server"]["encryption"], "STARTTLS");
    assert_eq!(account["sign_in"], serde_json::json!({"user": "shop", "mechanism": "PLAIN", "allow_plaintext": false}));
    assert_eq!(account["limits"]["quotas"], serde_json::json!(["7/10s", "recipients:500/day@Asia/Tokyo"]));
    assert_eq!(account["limits"]["interval"], "500ms");
    assert_eq!(account["limits"]["pace_per_minute"], 30);
    assert_eq!(account["limits"]["message_bytes_max"], serde_json::Value::Null);
    assert_eq!(account["retry"]["first_delay"], "1m30s");
    assert_eq!((&account["in_doubt"], &account["state"]), (&"HOLD".into(), &"ACTIVE".into()));
    assert!(!account.to_string().contains("hunter2"));
}

#[test]
fn accounts_and_their_usage_are_shown_as_tables() {
    let scene = Scene::new();
    scene.good(&[
        "account",
        "create",
        "shop",
        "--from",
        "The Shop <shop@example.jp>",
        "--host",
        "mx.example.jp",
        "--quota",
        "7/10s",
        "--quota",
        "recipients:500/day@Asia/Tokyo",
    ]);
    assert_eq!(
        scene.good(&["account", "list"]),
        "ACCOUNT  STATE   UNTIL  OPEN  FROM                        SERVER         QUOTAS\n\
         shop     ACTIVE         0     The Shop <shop@example.jp>  mx.example.jp  7/10s, recipients:500/day@Asia/Tokyo\n"
    );
    assert_eq!(
        scene.good(&["account", "usage", "shop"]),
        "QUOTA                          OBSERVED  USED  LEFT  RESETS\n\
         7/10s                                    1     6     2023-11-14T22:14:20.000Z\n\
         recipients:500/day@Asia/Tokyo  450       1     499   2023-11-14T22:14:20.000Z\n"
    );
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let scene = Scene::new().with_shop();
    scene.good(&["account", "update", "shop", "--quota", "20/minute", "--reply-to", "desk@example.jp"]);
    let account = &scene.json(&["account", "update", "shop", "--display-name", "Shop", "--clear", "reply-to"])[0];
    assert_eq!(account["limits"]["quotas"], serde_json::json!(["20/1m"]));
    assert_eq!(account["from"], "shop@example.jp");
    assert_eq!(account["reply_to"], serde_json::Value::Null);
    assert_eq!(account["display_name"], "Shop");

    let stale = scene.run(&["account", "update", "shop", "--etag", "0", "--port", "25"]);
    assert_eq!((stale.code, stale.err.as_str()), (1, "hikyaku: the account was changed since\n"));
}

#[test]
fn a_password_comes_from_stdin_or_the_environment_but_never_from_an_option() {
    let scene = Scene::new();
    let words = ["account", "create", "a", "--from", "a@b", "--host", "h", "--user", "u"];
    let ended = scene.run_with_stdin(&[&words[..], &["--password-stdin"]].concat(), "secret\n");
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = scene.run(&[&words[..], &["--password-env", "HIKYAKU_TEST_UNSET"]].concat());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.err, "hikyaku: the environment variable HIKYAKU_TEST_UNSET of --password-env is not set\n");
    assert_eq!(scene.run(&[&words[..], &["--password", "secret"]].concat()).code, 2);
}

#[test]
fn accounts_are_paused_resumed_and_deleted() {
    let scene = Scene::new().with_shop();
    let until = "2030-01-02T03:04:05.000Z";
    let paused = &scene.json(&["account", "pause", "shop", "--until", until, "--reason", "moving"])[0];
    assert_eq!(
        (&paused["state"], &paused["until"], &paused["reason"]),
        (&"PAUSED".into(), &until.into(), &"moving".into())
    );
    assert_eq!(
        scene.good(&["account", "resume", "shop"]),
        "account      shop\nstate        ACTIVE\nopen jobs    0\nfrom         shop@example.jp\n\
         server       mx.example.jp\nport         587\nencryption   STARTTLS\nprovider     generic\ninterval     0s\n\
         connections  2\nrecipients   100\nfirst retry  1m\nin doubt     RESEND\netag         1\n"
    );
    assert_eq!(scene.good(&["account", "delete", "shop"]), "deleted shop; 3 open jobs were cancelled\n");
    let missing = scene.run(&["account", "get", "gone"]);
    assert_eq!((missing.code, missing.err.as_str()), (1, "hikyaku: there is no account \"gone\"\n"));
}
