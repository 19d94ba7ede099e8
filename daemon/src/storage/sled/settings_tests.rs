//! Whether all settings of an account outlive a restart, an export and an import, and no secret can be read on the way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{SledStore, tests::open_plain};
use crate::{
    domain::account::Account,
    storage::{
        AccountStore, PAGE_MAX, Progress, StoreCare,
        contract::{samples, unusual},
    },
};

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

/// One account for each way to sign in.
fn given() -> Vec<Account> {
    let account = |(number, sign_in)| {
        let settings = unusual::settings(sign_in);
        Account { settings, ..samples::sample_account(&format!("way-{number}")) }
    };
    (0..).zip(unusual::sign_ins()).map(account).collect()
}

/// All accounts, from the list and one by one.
async fn check_kept(store: &SledStore) {
    let listed = store.accounts(None, PAGE_MAX).await.unwrap();
    assert_eq!(listed.iter().map(|record| &record.account).cloned().collect::<Vec<_>>(), given());
    for record in listed {
        // The second time, it is known.
        for _ in 0..2 {
            assert_eq!(store.account(&record.account.id).await.unwrap().as_ref(), Some(&record));
        }
    }
}

fn files(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn every_setting_outlives_a_restart_an_export_and_an_import() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let store = open_plain(&first);
    for account in given() {
        store.create_account(account).await.unwrap();
    }
    check_kept(&store).await;
    drop(store);

    let store = open_plain(&first);
    check_kept(&store).await;
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    assert!(!unusual::shows_a_secret(&lines));

    let copy = open_plain(&second);
    copy.import(&mut lines.as_slice(), &Silent).await.unwrap();
    check_kept(&copy).await;
    let findings = copy.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
    drop((store, copy));
    check_kept(&open_plain(&second)).await;
    let written = files(dir.path());
    assert!(written.len() > 2);
    for path in written {
        assert!(!unusual::shows_a_secret(&fs::read(&path).unwrap()), "{}", path.display());
    }
}
