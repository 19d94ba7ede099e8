//! Is the API described to callers that have no files?

use tonic_reflection::pb::{v1 as current, v1alpha as alpha};

use super::*;

const OURS: &str = "hikyaku.v1.JobService";

#[tokio::test]
async fn the_services_are_listed_to_new_clients() {
    use current::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let api = Api::start().await;
    let mut client = ServerReflectionClient::new(api.channel.clone());
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..<_>::default()
    };
    let mut answers = client.server_reflection_info(stream::iter([request])).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("no error").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("no list: {answer:?}") };
    assert!(list.service.iter().any(|service| service.name == OURS), "{list:?}");
}

#[tokio::test]
async fn the_services_are_listed_to_old_clients() {
    use alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let api = Api::start().await;
    let mut client = ServerReflectionClient::new(api.channel.clone());
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..<_>::default()
    };
    let mut answers = client.server_reflection_info(stream::iter([request])).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("no error").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("no list: {answer:?}") };
    assert!(list.service.iter().any(|service| service.name == OURS), "{list:?}");
}
