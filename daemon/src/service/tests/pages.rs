//! What page tokens tell: nothing of what their caller does not see, over a real connection.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    suppressions::{entry, global, lists, of_account, of_label},
    visibility::{Office, by},
    *,
};

#[track_caller]
fn check_secret(token: &str, secrets: &[&[u8]]) {
    let bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|some| some == *secret), "{token} tells {secret:?}");
        assert!(!token.as_bytes().windows(secret.len()).any(|some| some == *secret), "{token} tells {secret:?}");
    }
}

/// An office with the account `personal-of-taro` between two that are shared.
async fn office() -> Office {
    let office = Office::open().await;
    for (id, owner) in [("first-shared", ""), ("personal-of-taro", "taro"), ("second-shared", "")] {
        office.create(&office.boss, id, owner).await.expect("an account");
    }
    office
}

#[tokio::test]
async fn tokens_of_suppressions_do_not_tell_whom_others_suppress() {
    let office = office().await;
    for (scope, address) in [
        (of_account("personal-of-taro"), "secret-one@example.jp"),
        (of_account("personal-of-taro"), "secret-two@example.jp"),
        (of_label("news"), "open@example.jp"),
    ] {
        let request = v1::AddSuppressionRequest { suppression: Some(entry(scope, address)) };
        lists(&office.api).add_suppression(by(&office.boss, request)).await.expect("an admin");
    }
    let (mut page_token, mut tokens, mut seen) = (String::new(), Vec::new(), Vec::new());
    loop {
        let request = v1::ListSuppressionsRequest { page_size: 1, page_token, ..Default::default() };
        let page = lists(&office.api).list_suppressions(by(&office.jiro, request)).await.expect("a page").into_inner();
        seen.extend(page.suppressions.into_iter().map(|one| one.address));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        check_secret(&page_token, &[b"secret", b"personal", b"example.jp"]);
        tokens.push(page_token.clone());
    }
    assert_eq!((seen, tokens.len()), (vec!["open@example.jp".to_owned()], 2));
    let page_token = tokens.swap_remove(0);
    let scope = Some(v1::SuppressionScope { scope: Some(global()) });
    let request = v1::ListSuppressionsRequest { page_token: page_token.clone(), scope, ..Default::default() };
    let refused = lists(&office.api).list_suppressions(by(&office.jiro, request)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
    let request = v1::ListAccountsRequest { page_token, ..Default::default() };
    let refused = office.api.accounts().list_accounts(by(&office.jiro, request)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
}

#[tokio::test]
async fn tokens_of_jobs_and_accounts_do_not_tell_what_others_have() {
    let office = office().await;
    let mut secrets = Vec::new();
    for account_id in ["first-shared", "personal-of-taro"] {
        let job = Some(draft(account_id, "a@example.jp"));
        let request = v1::SubmitJobRequest { job, ..Default::default() };
        let answer = office.api.jobs().submit_job(by(&office.taro, request)).await.expect("a job");
        let id: crate::domain::ids::JobId = answer.into_inner().job_id.parse().expect("an id");
        secrets.push(id.to_bytes());
    }
    let request = v1::ListJobsRequest { page_size: 1, ..Default::default() };
    let page = office.api.jobs().list_jobs(by(&office.jiro, request)).await.expect("a page").into_inner();
    assert_eq!(page.jobs.len(), 0, "the youngest job is not his");
    check_secret(&page.next_page_token, &[&secrets[1]]);
    let request = v1::ListJobsRequest { page_size: 1, page_token: page.next_page_token, ..Default::default() };
    let page = office.api.jobs().list_jobs(by(&office.jiro, request)).await.expect("a page").into_inner();
    assert_eq!(page.jobs.len(), 1);

    let request = v1::ListAccountsRequest { page_size: 1, ..Default::default() };
    let page = office.api.accounts().list_accounts(by(&office.jiro, request)).await.expect("a page").into_inner();
    check_secret(&page.next_page_token, &[b"personal"]);
    let filter = Some(v1::AccountFilter { text: "x".into(), ..Default::default() });
    let request = v1::ListAccountsRequest { filter, page_token: page.next_page_token, ..Default::default() };
    let refused = office.api.accounts().list_accounts(by(&office.jiro, request)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
}
