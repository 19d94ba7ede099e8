//! DKIM keys by the command line.

use crate::scene::Scene;

const KEY: &str = "\
key        s1._domainkey.example.jp
domain     example.jp
selector   s1
algorithm  RSA_4096
created    2023-11-14T22:13:21.000Z by tester

publish this TXT record at s1._domainkey.example.jp

v=DKIM1; k=rsa; p=\\u{1b}AAAA

or this line in the zone

s1._domainkey.example.jp. IN TXT ( \"v=DKIM1; k=rsa; \" \"p=AAAA\" )

then: hikyaku dkim check s1._domainkey.example.jp
";

#[test]
fn keys_are_made_listed_checked_and_deleted() {
    let scene = Scene::new();
    let create = ["dkim", "create", "example.jp", "--selector", "s1", "--algorithm", "rsa-4096"];
    assert_eq!(scene.good(&create), KEY);
    assert_eq!(scene.good(&["dkim", "show", "s1._domainkey.example.jp"]), KEY);
    assert_eq!(scene.run(&create).code, 1);
    let pem = scene.file("key.pem", "-----BEGIN PRIVATE KEY-----\n");
    let import = ["dkim", "import", "example.com", "--selector", "s2", "--key-file", pem.to_str().unwrap()];
    assert_eq!(scene.json(&import)[0]["algorithm"], "ED25519");
    assert_eq!(
        scene.good(&["dkim", "list"]),
        "KEY                        ALGORITHM  CREATED                   BY\n\
         s1._domainkey.example.jp   RSA_4096   2023-11-14T22:13:21.000Z  tester\n\
         s2._domainkey.example.com  ED25519    2023-11-14T22:13:21.000Z  importer\n"
    );
    assert_eq!(scene.json(&["dkim", "list", "--domain", "example.com"]).len(), 1);
    let unpublished = scene.run(&["dkim", "check", "s1._domainkey.example.jp"]);
    assert_eq!(
        (unpublished.code, unpublished.out.as_str()),
        (
            1,
            "s1._domainkey.example.jp is not published as it should be: there is another key\n  found: v=DKIM1; \
             p=\\u{9b}BBBB\n"
        )
    );
    assert_eq!(scene.good(&["dkim", "check", "s2._domainkey.example.com"]), "s2._domainkey.example.com is published\n");
    assert!(scene.good(&["dkim", "delete", "s2._domainkey.example.com"]).starts_with("deleted s2._domainkey"));
    assert_eq!(scene.run(&["dkim", "show", "s2._domainkey.example.com"]).code, 1);
}

#[test]
fn a_private_key_may_come_from_stdin() {
    let scene = Scene::new();
    let import = ["dkim", "import", "example.com", "--selector", "s2", "--key-file", "-"];
    assert_eq!(scene.run_with_stdin(&import, "-----BEGIN RSA PRIVATE KEY-----\n").code, 0);
    assert_eq!(scene.run_with_stdin(&import, "rubbish").code, 1);
}

#[test]
fn rules_are_set_shown_and_left_alone_when_equal() {
    let scene = Scene::new();
    assert_eq!(scene.good(&["dkim", "rules", "get"]), "there are no rules\nelse signed by nothing\n");
    let rules = "default_key_ids = ['s._domainkey.esp.example']\nsign_own_domains = true\n\
                 [[rules]]\nfrom = ['*.example.jp', 'shop@example.com']\nkey_ids = ['s1._domainkey.example.jp']\n\
                 [[rules]]\nfrom = ['@test.example']\n";
    let file = scene.file("rules.toml", rules).display().to_string();
    assert!(scene.good(&["dkim", "rules", "set", &file, "--dry-run"]).starts_with("would be changed\n"));
    assert!(scene.good(&["dkim", "rules", "set", &file]).starts_with("changed\n"));
    assert_eq!(scene.good(&["dkim", "rules", "set", &file]), "unchanged\n");
    assert_eq!(
        scene.good(&["dkim", "rules", "get"]),
        "FROM                            SIGNED BY\n\
         *.example.jp, shop@example.com  s1._domainkey.example.jp\n\
         @test.example                   nothing\n\
         else signed by the keys of From's own domain, and s._domainkey.esp.example\n"
    );
    let export = scene.good(&["dkim", "rules", "get", "--toml"]);
    assert_eq!(scene.run_with_stdin(&["dkim", "rules", "set", "-"], &export).out, "unchanged\n");
    let other = scene.file("other.toml", "sign_own_domain = true\n").display().to_string();
    let mistaken = scene.run(&["dkim", "rules", "set", &other]);
    assert!(mistaken.err.contains("other.toml:1: sign_own_domain: is not a setting"), "{mistaken:?}");
}
