//! What comes back, who is suppressed and what was counted, by the command line.

use crate::scene::Scene;

#[test]
fn suppressions_are_added_listed_checked_and_removed() {
    let scene = Scene::new();
    assert_eq!(
        scene.good(&["suppression", "add", "a@example.jp", "b@example.jp", "--account", "shop"]),
        "added a@example.jp for account:shop\nadded b@example.jp for account:shop\n"
    );
    let again = ["suppression", "add", "a@example.jp", "--account", "shop", "--reason", "complaint"];
    assert_eq!(scene.good(&again), "replaced a@example.jp for account:shop\n");
    scene.good(&["suppression", "add", "c@example.jp", "--global", "--note", "asked by phone"]);
    let all = scene.json(&["suppression", "list"]);
    assert_eq!(all.len(), 3, "lists go on over pages");
    assert_eq!(scene.json(&["suppression", "list", "--global"])[0]["evidence"], "asked by phone");
    let checked = scene.run(&["suppression", "check", "a@example.jp", "--account", "shop"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("complaint"), "{checked:?}");
    assert_eq!(scene.good(&["suppression", "check", "d@example.jp", "--account", "shop"]), "it may be sent to\n");
    assert_eq!(
        scene.good(&["suppression", "remove", "a@example.jp", "--account", "shop", "--requeue"]),
        "removed a@example.jp for account:shop; 2 recipients queued again\n"
    );
    assert_eq!(scene.run(&["suppression", "remove", "a@example.jp", "--account", "shop"]).code, 1);
    assert_eq!(scene.run(&["suppression", "add", "a@example.jp", "--account", "x", "--global"]).code, 2);
}

#[test]
fn suppressions_leave_and_come_as_csv() {
    let scene = Scene::new();
    let list =
        scene.file("list.csv", "email,reason\na@example.jp,\nbroken,\nb@example.jp,dead\nc@example.jp,complaint\n");
    let import = ["suppression", "import", list.to_str().unwrap(), "--label", "news"];
    let ended = scene.run(&import);
    assert_eq!(ended.code, 1);
    for line in ["2 added, 0 replaced, 0 kept, 2 refused", "line 3: ", "line 4: \"dead\" is not a reason"] {
        assert!(ended.out.contains(line), "{line}: {ended:?}");
    }
    let exported = scene.good(&["suppression", "export", "--label", "news"]);
    assert_eq!(exported.lines().count(), 3, "{exported}");
    let copy = scene.file("copy.csv", &exported);
    assert_eq!(
        scene.good(&["suppression", "import", copy.to_str().unwrap()]),
        "0 added, 2 replaced, 0 kept, 0 refused\n"
    );
}

#[test]
fn what_came_is_shown_with_what_came_of_it() {
    let scene = Scene::new();
    let shown = scene.good(&["mailbox", "show", "mail-1"]);
    for word in ["BOUNCE", "hard user-unknown", "job-1 recipient 0, by VERP", "BOUNCED", "failure \\u{1b}notice"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert_eq!(scene.json(&["mailbox", "list", "--uncorrelated"])[0]["findings"][0]["effect"], "BOUNCED");
    assert!(scene.good(&["mailbox", "list"]).contains("user-unknown"));
    let watched = scene.good(&["mailbox", "watch"]);
    assert!(watched.contains("SKIPPED  not read: 31457280 bytes, 7 in INBOX"), "{watched}");
    assert!(scene.good(&["mailbox", "status", "shop"]).contains("waits for news (IDLE)"));
    let failed = scene.run(&["mailbox", "read", "shop"]);
    assert_eq!(failed.code, 1);
    assert!(failed.err.contains("-ERR [AUTH] no"), "{failed:?}");
    assert_eq!(scene.good(&["mailbox", "attachment", "mail-1", "f"]), "first second");
    let path = scene.path("file.txt");
    scene.good(&["mailbox", "attachment", "mail-1", "f", "--output", &path]);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "first second");
}

#[test]
fn statistics_are_rows_with_their_success_rate() {
    let scene = Scene::new();
    let table = scene.good(&["stats", "--by", "domain", "--per", "day", "--from", "-7d"]);
    assert!(table.contains("example.jp") && table.contains("75.0 %"), "{table}");
    assert_eq!(scene.json(&["stats"])[0]["rows"][0]["bounced_hard"], 1);
}
