//! Routing by the command line.

use crate::scene::Scene;

const RULES: &str = "
default_account_id = 'shop'
[[rules]]
name = 'rakuten'
from = ['shop@example.jp']
recipients = ['*.fw.rakuten.ne.jp', 'shop@example.jp']
account_id = 'rakuten'
fallback_account_ids = ['spare']
forbid_dkim = true
";

#[test]
fn rules_are_set_shown_and_left_alone_when_equal() {
    let scene = Scene::new();
    assert_eq!(scene.good(&["route", "get"]), "there are no rules\nelse refused\n");
    let file = scene.file("rules.toml", RULES).display().to_string();
    let dry = scene.good(&["route", "set", "-f", &file, "--dry-run"]);
    assert!(
        dry.starts_with("would be changed\n  default_account_id: (default) → shop\n  rules[0].account_id: "),
        "{dry}"
    );
    assert!(scene.good(&["route", "set", "-f", &file]).starts_with("changed\n"));
    assert_eq!(scene.good(&["route", "set", "-f", &file]), "unchanged\n");
    assert_eq!(
        scene.good(&["route", "get"]),
        "RULE     FROM             RECIPIENTS                            ACCOUNT  FALLBACKS  FORBIDS\n\
         rakuten  shop@example.jp  *.fw.rakuten.ne.jp, shop@example.jp  rakuten  spare      DKIM\nelse shop\n"
            .replace("RECIPIENTS                            ", "RECIPIENTS                           ")
    );
    let export = scene.good(&["route", "get", "--toml"]);
    let again = scene.run_with_stdin(&["route", "set", "-f", "-"], &export);
    assert_eq!(again.out, "unchanged\n", "{again:?}");
    assert_eq!(scene.json(&["route", "get"])[0]["rules"][0]["forbid_dkim"], true);
    let other = scene.file("other.toml", &RULES.replace("'shop'\n", "'desk'\n")).display().to_string();
    assert_eq!(scene.run(&["route", "set", "-f", &other, "--etag", "0"]).code, 1);
}

#[test]
fn mistakes_in_rules_are_told_with_their_lines() {
    let scene = Scene::new();
    let file = scene.file("rules.toml", "default = 'x'\n[[rules]]\nnmae = 'x'\nfrom = 'shop'\n").display().to_string();
    let ended = scene.run(&["route", "set", "-f", &file]);
    assert_eq!(ended.code, 1);
    for line in [
        "rules.toml:1: default: is not a setting",
        "rules.toml:3: rules[0].nmae: is not",
        "rules.toml:4: rules[0].from: must be a list",
    ] {
        assert!(ended.err.contains(line), "{line} in {ended:?}");
    }
}

#[test]
fn a_route_is_explained() {
    let scene = Scene::new();
    assert_eq!(
        scene.good(&["route", "explain", "--from", "shop@example.jp", "--to", "a@example.jp", "--to", "b@example.jp"]),
        "goes by shop; else by spare\n  shop: matched: by its From\\u{1b}\n"
    );
    let refused = scene.run(&["route", "explain", "--from", "x@example.jp", "--to", "a@example.jp", "--merge"]);
    assert_eq!(
        (refused.code, refused.out.as_str()),
        (1, "would be refused: no rule takes it\n  shop: not: by its From\\u{1b}\n")
    );
}
