//! Who gets through, over a real connection.

use tonic::{Request, metadata::MetadataValue};

use super::*;
use crate::service::api_keys::{ApiKeys, Role, new_key};

#[tokio::test]
async fn a_key_is_needed_where_keys_are_configured() {
    let (key, line) = new_key(&"shop".parse().expect("a name"), Role::Member, &SeededEntropy::new(5));
    let guard = Guard::Keys(ApiKeys::parse(&line).expect("a key file"));
    let api = Api::guarded(guard, MemoryStore::new()).await;
    let create = || {
        Request::new(v1::CreateAccountRequest {
            account_id: "sales".into(),
            settings: Some(settings()),
            ..Default::default()
        })
    };
    check_refused(api.accounts().create_account(create()).await, Code::Unauthenticated, "API_KEY_INVALID", &[]);
    let mut wrong = create();
    wrong.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer hk_wrong"));
    check_refused(api.accounts().create_account(wrong).await, Code::Unauthenticated, "API_KEY_INVALID", &[]);
    let mut right = create();
    let bearer = format!("Bearer {}", key.expose()).parse().expect("a header");
    right.metadata_mut().insert("authorization", bearer);
    let created = api.accounts().create_account(right).await.expect("a known caller").into_inner();
    assert_eq!(created.account.map(|account| account.created_by), Some("shop".into()));
}

#[tokio::test]
async fn probes_learn_whether_the_daemon_serves() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    let (_, line) = new_key(&"shop".parse().expect("a name"), Role::Member, &SeededEntropy::new(5));
    let api = Api::guarded(Guard::Keys(ApiKeys::parse(&line).expect("a key file")), MemoryStore::new()).await;
    let mut probe = HealthClient::new(api.channel.clone());
    for service in [
        "",
        "hikyaku.v1.JobService",
        "hikyaku.v1.AccountService",
        "hikyaku.v1.StoreService",
        "hikyaku.v1.SuppressionService",
        "hikyaku.v1.InboundService",
        "hikyaku.v1.StatisticsService",
    ] {
        for expected in [ServingStatus::NotServing, ServingStatus::Serving] {
            match expected {
                ServingStatus::Serving => api.health.set_serving().await,
                _ => api.health.set_not_serving().await,
            }
            let answer = probe.check(HealthCheckRequest { service: service.into() }).await.expect("an answer");
            assert_eq!(answer.into_inner().status(), expected, "{service:?}");
        }
    }
    let unknown = probe.check(HealthCheckRequest { service: "other".into() }).await;
    assert_eq!(unknown.expect_err("no such service").code(), Code::NotFound);
}

#[tokio::test]
async fn both_versions_of_reflection_describe_the_api() {
    use tonic_reflection::pb::{v1 as new, v1alpha as old};
    let api = Api::start().await;
    let ask = new::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(new::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = new::server_reflection_client::ServerReflectionClient::new(api.channel.clone());
    let mut answers = client.server_reflection_info(stream::iter([ask])).await.expect("a stream").into_inner();
    let answer = format!("{:?}", answers.message().await.expect("no error"));
    for service in [
        "hikyaku.v1.JobService",
        "hikyaku.v1.AccountService",
        "hikyaku.v1.ClassificationService",
        "hikyaku.v1.StoreService",
        "hikyaku.v1.SuppressionService",
        "hikyaku.v1.InboundService",
        "hikyaku.v1.StatisticsService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(answer.contains(service), "{answer}");
    }
    // The last ones are in the details of refusals.
    let symbols =
        ["hikyaku.v1.JobService", "google.rpc.BadRequest", "google.rpc.ErrorInfo", "google.protobuf.Duration"];
    let asks = symbols.map(|symbol| old::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(old::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.into())),
    });
    let mut client = old::server_reflection_client::ServerReflectionClient::new(api.channel.clone());
    let mut answers = client.server_reflection_info(stream::iter(asks)).await.expect("a stream").into_inner();
    for symbol in symbols {
        let answer = format!("{:?}", answers.message().await.expect("no error"));
        assert!(answer.contains("FileDescriptorResponse"), "{symbol}: {answer}");
    }
}
