//! Whether every setting survives its way through a file, and what is said of mistakes.

use std::{fs, path::PathBuf};

use toml::Table;

use super::{
    changes::changes,
    document::{FileAccount, accounts_table, read_accounts, settings_tree},
    toml_text::document,
    writing::Secrets,
};
use crate::cli::failure::Failure;

/// Every setting there is, none at its default.
const FULL: &str = include_str!("full.toml");

fn read(text: &str) -> Result<Vec<FileAccount>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.toml");
    fs::write(&file, text).unwrap();
    fs::write(folder.path().join("signature.txt"), "山田 太郎\r\nfile:x\n").unwrap();
    read_accounts(&[file])
}

#[track_caller]
fn mistakes(text: &str) -> String {
    match read(text) {
        Err(Failure::Other(error)) => {
            let folder = error.to_string();
            let name = folder.split_inclusive('\n').map(|line| match line.split_once("accounts.toml:") {
                Some((_, rest)) => rest,
                None => line,
            });
            name.collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_setting_goes_out_as_it_came_in() {
    let all = read(FULL).unwrap();
    assert_eq!(all.len(), 4);
    for one in &all {
        let tree = one.tree();
        let text = document(&accounts_table([(one.account_id.clone(), tree.clone())]));
        let again = read(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        assert_eq!(changes(&again[0].tree(), &tree), [], "{text}");
    }
}

/// What a file says that has secrets in it is what an export says of the account, but for the secrets' names.
#[test]
fn no_setting_is_lost() {
    let named = |table: &Table| super::changes::leaves(table).into_keys().collect::<Vec<_>>();
    let file: Table = FULL.parse().unwrap();
    for one in read(FULL).unwrap() {
        let wanted = file["accounts"][&one.account_id].as_table().unwrap();
        let mut wanted = named(wanted);
        let secrets = one.secrets();
        wanted.retain(|path| !secrets.contains(path));
        assert_eq!(named(&one.tree()), wanted, "{}", one.account_id);
    }
}

#[test]
fn defaults_make_no_difference() {
    let said = "
        [accounts.a]
        from = 'a@example.jp'
        in_doubt = 'resend'
        server = { host = 'h', port = 587, encryption = 'STARTTLS', provider = 'generic', timeouts = { data = '2m' } }
        limits = { connections_max = 2, message_bytes_max = '25MiB', interval = '0s', over_quota = 'queue' }
        retry = { first_delay = '60s', multiplier = 2, jitter = 0.2 }
        content = { charset = 'utf-8', no_attachments = false }
        [accounts.b]
        from = 'a@example.jp'
        server.host = 'h'
        sign_in.none = true
    ";
    let both = read(said).unwrap();
    assert_eq!(changes(&both[0].tree(), &both[1].tree()), []);
}

#[test]
fn all_mistakes_are_told_with_path_and_line() {
    let text = "\
other = 1
[accounts.a]
form = 'x'
from = 7
preset = ['x']
quiet_windows = ['never']
[accounts.a.limits]
quotas = ['7/month', 5]
connections_max = -1
interval = '10'
message_bytes_max = '5 apples'
[accounts.a.server]
encryption = 'ssl'
port = 'x'
[accounts.a.sign_in.password]
password = 'hunter2'
[accounts.a.sign_in]
none = true
";
    let told = mistakes(text);
    let expected = "\
13 mistakes; nothing was changed
1: other: is not known; accounts stand below [accounts.ID]
3: accounts.a.form: is not a setting; here may stand preset, display_name, from, may_send_as, reply_to, default_cc, \
default_bcc, labels, owner, unlisted, in_doubt, quiet_windows, server, sign_in, limits, retry, signature, content, results, \
mailbox, suppression
4: accounts.a.from: must be text such as \"Taro <taro@example.jp>\", or a table of name and address, and is of the kind \
integer
5: accounts.a.preset: must be text in quotes, and is of the kind array
6: accounts.a.quiet_windows: \"never\" is not a quiet window: days are mon, tue, wed, thu, fri, sat, sun and daily; write \
\"mon-fri 22:00-07:00 Asia/Tokyo defer\"
8: accounts.a.limits.quotas: \"7/month\" is not a quota: months differ in length, so name a zone: month@UTC; write 7/10s, \
20/minute or recipients:500/day@Asia/Tokyo
9: accounts.a.limits.connections_max: is negative or too large
10: accounts.a.limits.interval: \"10\" is not a length of time: a unit is missing; write 500ms, 10s, 1h30m or 5d
11: accounts.a.limits.message_bytes_max: \"5 apples\" is not a number of bytes; write 25MiB, 500kB or 1000
13: accounts.a.server.encryption: must be one of none, starttls, tls
14: accounts.a.server.port: must be a whole number, and is of the kind string
";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.contains("accounts.a.sign_in: an account signs in in one way"), "{told}");
    assert!(
        told.contains("16: accounts.a.sign_in.password.password: a secret does not stand in the file itself"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn what_is_no_toml_is_told_without_its_line() {
    let told = mistakes("[accounts.a]\npassword = hunter2\nserver = {\n");
    assert!(told.contains("\n2: is no TOML: "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn an_account_stands_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.toml", "b.toml", ".c.toml", "d.txt"] {
        fs::write(folder.path().join(name), "[accounts.x]\nfrom = 'a@b'\n").unwrap();
    }
    let Err(Failure::Other(error)) = read_accounts(&[folder.path().to_owned()]) else { panic!("both are taken") };
    let words = error.to_string();
    assert!(words.contains("b.toml:1: accounts.x: is in "), "{words}");
    fs::remove_file(folder.path().join("b.toml")).unwrap();
    assert_eq!(read_accounts(&[folder.path().to_owned()]).unwrap().len(), 1);
    let empty = tempfile::tempdir().unwrap();
    assert!(read_accounts(&[empty.path().to_owned()]).is_err());
    assert!(read_accounts(&[PathBuf::from("/nonexistent")]).is_err());
}

#[test]
fn an_export_names_the_secrets_that_are_needed() {
    let all = read(FULL).unwrap();
    let settings = all[0].opened();
    assert!(settings.is_err(), "the variables are not set");
    let tree = settings_tree(Secrets::Named("a.b"), &Default::default());
    assert_eq!(document(&tree), "");
}
