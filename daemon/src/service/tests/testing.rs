//! What callers see of presets and of tests of accounts.

use v1::provider_service_client::ProviderServiceClient;

use super::*;

/// A port of this host on which nobody listens.
async fn closed_port() -> u32 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    u32::from(listener.local_addr().expect("bound").port())
}

fn unreachable_at(port: u32) -> v1::AccountSettings {
    let server = v1::Server { host: "127.0.0.1".into(), port, ..v1::Server::default() };
    v1::AccountSettings { server: Some(server), ..settings() }
}

#[tokio::test]
async fn a_preset_fills_what_the_settings_of_a_new_account_leave_unset() {
    let api = Api::start().await;
    let request = |preset: &str| v1::CreateAccountRequest {
        account_id: "sales".into(),
        settings: Some(v1::AccountSettings { server: None, ..settings() }),
        preset: preset.into(),
    };
    let unknown = api.accounts().create_account(request("gmial")).await;
    check_refused(unknown, Code::InvalidArgument, "INVALID_FIELDS", &["preset", "settings.server"]);
    let made = api.accounts().create_account(request("gmail")).await.expect("a good account").into_inner();
    let settings = made.account.and_then(|account| account.settings).expect("settings");
    let (server, limits) = (settings.server.expect("filled"), settings.limits.expect("filled"));
    assert_eq!((server.host.as_str(), server.port, server.provider.as_str()), ("smtp.gmail.com", 587, "gmail"));
    assert_eq!(limits.quotas.len(), 2);
}

#[tokio::test]
async fn presets_are_listed_in_the_order_of_their_ids() {
    let api = Api::start().await;
    let mut client = ProviderServiceClient::new(api.channel.clone());
    let presets = client.list_presets(v1::ListPresetsRequest {}).await.expect("an answer").into_inner().presets;
    assert!(presets.is_sorted_by_key(|preset| preset.preset_id.clone()) && presets.len() >= 15);
}

#[tokio::test]
async fn settings_are_tested_that_are_not_stored_and_those_that_are() {
    let api = Api::start().await;
    let port = closed_port().await;
    let unsaved = v1::TestAccountRequest { settings: Some(unreachable_at(port)), ..Default::default() };
    let create = v1::CreateAccountRequest {
        account_id: "sales".into(),
        settings: Some(unreachable_at(port)),
        ..Default::default()
    };
    api.accounts().create_account(create).await.expect("a good account");
    let stored = v1::TestAccountRequest { account_id: "sales".into(), ..Default::default() };
    // The stored password is used where the settings have none.
    let mut changed = unreachable_at(port);
    if let Some(v1::SignIn { method: Some(v1::sign_in::Method::Password(password)) }) = &mut changed.sign_in {
        password.password.clear();
    }
    let both = v1::TestAccountRequest { settings: Some(changed.clone()), ..stored.clone() };
    for request in [unsaved, stored, both] {
        let test = api.accounts().test_account(request).await.expect("a report").into_inner().test.expect("a test");
        assert!(!test.passed);
        let last = test.steps.last().expect("steps");
        assert_eq!((last.name.as_str(), last.succeeded), ("connect", false));
        assert_eq!(test.diagnosis.map(|diagnosis| diagnosis.cause), Some("CONNECTION_REFUSED".to_owned()));
    }
    let without = v1::TestAccountRequest { settings: Some(changed), ..Default::default() };
    let refused = api.accounts().test_account(without).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["settings.sign_in.password.password"]);
}

#[tokio::test]
async fn what_cannot_be_tested_is_refused() {
    let api = Api::start().await;
    let port = closed_port().await;
    let mail = v1::TestAccountRequest {
        settings: Some(unreachable_at(port)),
        recipient: "bob@example.jp".into(),
        ..Default::default()
    };
    let refused = api.accounts().test_account(mail).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["recipient"]);
    let mut mailbox = v1::TestAccountRequest { settings: Some(unreachable_at(port)), ..Default::default() };
    mailbox.set_server(v1::TestedServer::Mailbox);
    let refused = api.accounts().test_account(mailbox).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["settings.mailbox"]);
    let nobody = v1::TestAccountRequest { account_id: "nobody".into(), ..Default::default() };
    let refused = api.accounts().test_account(nobody).await;
    check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
}
