//! What callers see of ClassificationService and StoreService.

use v1::{classification_service_client::ClassificationServiceClient, store_service_client::StoreServiceClient};

use super::*;

fn reply(provider: &str, phase: &str, reply: &str) -> v1::ClassifyRequest {
    v1::ClassifyRequest { provider: provider.into(), phase: phase.into(), reply: reply.into() }
}

#[tokio::test]
async fn a_reply_is_judged_as_the_rules_say() {
    let api = Api::start().await;
    let mut client = ClassificationServiceClient::new(api.channel.clone());
    let ruling = client.classify(reply("", "rcpt", "550-5.1.1 No such\r\n550 5.1.1 user\r\n")).await;
    let ruling = ruling.expect("a ruling").into_inner();
    assert_eq!((ruling.verdict(), ruling.blame()), (v1::Verdict::RejectRecipient, v1::Blame::Recipient));
    assert!(!ruling.rule.is_empty());
    let sign_in = client.classify(reply("gmail", "sign-in", "535-5.7.8 Username and Password not accepted")).await;
    assert_eq!(sign_in.expect("a ruling").into_inner().verdict(), v1::Verdict::ParkAccountSignIn);
    let wait = client.classify(reply("", "rcpt", "450 4.7.1 try again in 300 seconds")).await.expect("a ruling");
    assert_eq!(wait.into_inner().wait.map(|wait| wait.seconds), Some(300));
    let wrong = client.classify(reply("gmial", "connect", "hello")).await;
    check_refused(wrong, Code::InvalidArgument, "INVALID_FIELDS", &["provider", "phase", "reply"]);
}

#[tokio::test]
async fn a_check_of_the_store_ends_with_its_findings() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut client = StoreServiceClient::new(api.channel.clone());
    let steps = client.verify_store(v1::VerifyStoreRequest {}).await.expect("a stream").into_inner();
    let steps: Vec<_> = steps.map(|step| step.expect("no error")).collect().await;
    let findings = steps.last().and_then(|step| step.findings.clone()).expect("findings at the end");
    assert_eq!(findings.quarantined_count, 0);
    assert!(findings.records > 0);
}

#[tokio::test]
async fn a_backup_goes_to_a_new_directory_only() {
    let api = Api::start().await;
    let mut client = StoreServiceClient::new(api.channel.clone());
    let directory = tempfile::tempdir().expect("a directory");
    let existing = directory.path().to_str().expect("a path").to_owned();
    for wrong in ["", "relative/path", existing.as_str(), "/no/such/directory/backup"] {
        let answer = client.backup_store(v1::BackupStoreRequest { path: wrong.into() }).await;
        check_refused(answer, Code::InvalidArgument, "INVALID_FIELDS", &["path"]);
    }
    // The store in memory has no files, and says so on the stream.
    let request = || v1::BackupStoreRequest { path: format!("{existing}/new") };
    let mut steps = client.backup_store(request()).await.expect("a stream").into_inner();
    check_refused(steps.message().await, Code::Unavailable, "STORE_FAILED", &[]);
    drop(steps);
}
