//! Whether callers get back every setting of an account as they gave it, but for its secrets.

use std::collections::{BTreeSet, HashMap};

use prost::{
    Message as _,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use v1::sign_in::Method;

use super::*;
use crate::{
    domain::account::{AccountSettings, EnvelopeSender, OauthGrant, Server, SignIn},
    service::convert::account::from_settings,
    storage::{AccountStore, contract::unusual},
};

/// One set of settings for each way to sign in.
fn all_settings() -> Vec<AccountSettings> {
    let mut all: Vec<_> = unusual::sign_ins().into_iter().map(unusual::settings).collect();
    all[0].results.envelope_sender = EnvelopeSender::Address("b@example.jp".parse().expect("an address"));
    all
}

/// The settings on the wire as their owner gives them, with all secrets.
fn with_secrets(settings: &AccountSettings) -> v1::AccountSettings {
    let mut wire = from_settings(settings);
    give_server(wire.server.as_mut(), &settings.server);
    if let (Some(wire), Some(mailbox)) = (&mut wire.mailbox, &settings.mailbox) {
        give_server(wire.server.as_mut(), &mailbox.server);
        if let (Some(wire), Some(sign_in)) = (&mut wire.sign_in, &mailbox.sign_in) {
            wire.password.clone_from(sign_in.credentials.password.expose());
        }
    }
    match (wire.sign_in.as_mut().and_then(|sign_in| sign_in.method.as_mut()), &settings.sign_in) {
        (Some(Method::Password(wire)), SignIn::Password { password, .. }) => {
            wire.password.clone_from(password.expose())
        }
        (Some(Method::PopBeforeSmtp(wire)), SignIn::PopBeforeSmtp(pop)) => {
            give_server(wire.server.as_mut(), &pop.server);
            wire.password.clone_from(pop.credentials.password.expose());
        }
        (Some(Method::Oauth2(wire)), SignIn::OAuth2(oauth2)) => {
            if let (Some(provider), Some(secret)) = (&mut wire.provider, &oauth2.issuer.client_secret) {
                provider.client_secret.clone_from(secret.expose());
            }
            match &oauth2.grant {
                OauthGrant::Consent => wire.refresh_token = format!("{}-refresh", unusual::SECRET_MARK),
                OauthGrant::ClientCredentials => {}
                OauthGrant::ServiceAccount(file) => wire.service_account_json.clone_from(file.expose()),
            }
        }
        _ => {}
    }
    wire
}

fn give_server(wire: Option<&mut v1::Server>, server: &Server) {
    let wire = wire.expect("a server");
    let certificate = wire.tls.as_mut().and_then(|tls| tls.client_certificate.as_mut());
    if let (Some(wire), Some(certificate)) = (certificate, &server.tls.client_certificate) {
        wire.key_pem.clone_from(certificate.key_pem.expose());
    }
    let credentials = server.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref());
    if let (Some(wire), Some(credentials)) = (&mut wire.proxy, credentials) {
        wire.password.clone_from(credentials.password.expose());
    }
}

#[tokio::test]
async fn every_setting_comes_back_and_no_secret_does() {
    let api = Api::start().await;
    let mut accounts = api.accounts();
    for (number, settings) in all_settings().into_iter().enumerate() {
        let id = format!("way-{number}");
        let request = v1::CreateAccountRequest {
            account_id: id.clone(),
            settings: Some(with_secrets(&settings)),
            ..Default::default()
        };
        let made = accounts.create_account(request).await.expect("a good account").into_inner().account.expect("it");
        assert!(!unusual::shows_a_secret(format!("{made:?}").as_bytes()), "{id}");
        assert!(!unusual::shows_a_secret(&made.encode_to_vec()), "{id}");
        let get = || v1::GetAccountRequest { account_id: id.clone() };
        let got = accounts.get_account(get()).await.expect("it is there").into_inner().account.expect("it");
        assert_eq!(got, made);
        let (account_id, etag) = (id.clone(), made.etag.clone());
        let same = v1::UpdateAccountRequest { account_id, settings: made.settings.clone(), etag };
        accounts.update_account(same).await.expect("what was shown is good");
        let again = accounts.get_account(get()).await.expect("it is there").into_inner().account.expect("it");
        assert_eq!((again.etag.as_str(), &again.settings), ("2", &made.settings));
        let stored = api.storage.account(&id.parse().expect("an id")).await.expect("an answer").expect("it is there");
        assert_eq!(stored.account.settings, settings);
        assert!(!unusual::shows_a_secret(format!("{stored:?}").as_bytes()), "{id}");
    }
    let listed = accounts.list_accounts(v1::ListAccountsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(listed.accounts.len(), all_settings().len());
    assert!(!unusual::shows_a_secret(format!("{listed:?}").as_bytes()));
}

/// The messages of the API by their full names.
type Messages = HashMap<String, DescriptorProto>;
/// Fields by the full name of their message and their number.
type Fields = BTreeSet<(String, i32)>;

fn messages() -> Messages {
    let api = FileDescriptorSet::decode(hikyaku_proto::DESCRIPTOR_SET).expect("our own descriptors");
    let all = api.file.into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        file.message_type.into_iter().map(move |message| (format!(".{package}.{}", message.name()), message))
    });
    all.collect()
}

/// All fields that settings can have.
fn note_all(message: &str, messages: &Messages, all: &mut Fields) {
    for field in messages.get(message).iter().flat_map(|message| &message.field) {
        if all.insert((message.to_owned(), field.number())) && field.r#type() == Type::Message {
            note_all(field.type_name(), messages, all);
        }
    }
}

/// The fields that are there in an encoded message.
fn note_present(message: &str, mut bytes: &[u8], messages: &Messages, present: &mut Fields) {
    let Some(described) = messages.get(message) else { return };
    while !bytes.is_empty() {
        let (number, kind) = decode_key(&mut bytes).expect("our own bytes");
        let number = i32::try_from(number).expect("small");
        present.insert((message.to_owned(), number));
        let field = described.field.iter().find(|field| field.number() == number).expect("a known field");
        if kind == WireType::LengthDelimited && field.r#type() == Type::Message {
            let length = usize::try_from(decode_varint(&mut bytes).expect("a length")).expect("small");
            note_present(field.type_name(), &bytes[..length], messages, present);
            bytes.advance(length);
        } else {
            let number = u32::try_from(number).expect("positive");
            skip_field(kind, number, &mut bytes, DecodeContext::default()).expect("our own bytes");
        }
    }
}

#[test]
fn no_setting_of_the_api_is_left_out_of_these_tests() {
    const ROOT: &str = ".hikyaku.v1.AccountSettings";
    let messages = messages();
    let (mut all, mut present) = (Fields::new(), Fields::new());
    note_all(ROOT, &messages, &mut all);
    for settings in all_settings() {
        note_present(ROOT, &with_secrets(&settings).encode_to_vec(), &messages, &mut present);
    }
    assert!(all.len() > 100, "{} fields", all.len());
    assert_eq!(all.difference(&present).collect::<Vec<_>>(), Vec::<&(String, i32)>::new());
}
