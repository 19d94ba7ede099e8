//! How accounts sign in, each setting by its key and its default.

use std::time::Duration;

use hikyaku_client::proto::{
    NoSignIn, OAuth2SignIn, OAuthProvider, OauthGrant, OauthMechanism, PasswordMechanism, PasswordSignIn,
    PopBeforeSmtp, SignIn, sign_in::Method,
};

use super::{
    fields::{Choices, Exported, Fields, Shape},
    server::{Ports, server},
};

const PASSWORD_MECHANISMS: Choices = &[
    ("auto", PasswordMechanism::Unspecified as i32),
    ("plain", PasswordMechanism::Plain as i32),
    ("login", PasswordMechanism::Login as i32),
    ("cram-md5", PasswordMechanism::CramMd5 as i32),
];
const OAUTH_MECHANISMS: Choices = &[
    ("auto", OauthMechanism::Unspecified as i32),
    ("xoauth2", OauthMechanism::Xoauth2 as i32),
    ("oauthbearer", OauthMechanism::Oauthbearer as i32),
];
const GRANTS: Choices = &[
    ("consent", OauthGrant::Consent as i32),
    ("client-credentials", OauthGrant::ClientCredentials as i32),
    ("service-account", OauthGrant::ServiceAccount as i32),
];

/// The one way in which an account signs in.
pub(crate) fn sign_in<F: Fields>(f: &mut F, sign_in: &mut SignIn) {
    let (mut with_password, mut with_token, mut after_pop, mut not) = (None, None, None, false);
    match sign_in.method.take() {
        Some(Method::Password(method)) => with_password = Some(method),
        Some(Method::Oauth2(method)) => with_token = Some(method),
        Some(Method::PopBeforeSmtp(method)) => after_pop = Some(method),
        Some(Method::None(NoSignIn {})) => not = true,
        None => {}
    }
    f.group("password", &mut with_password, password);
    f.group("oauth2", &mut with_token, oauth2);
    f.group("pop_before_smtp", &mut after_pop, pop_before_smtp);
    f.flag("none", &mut not);
    let ways = [
        with_password.map(Method::Password),
        with_token.map(Method::Oauth2),
        after_pop.map(Method::PopBeforeSmtp),
        not.then_some(Method::None(NoSignIn {})),
    ];
    let mut ways = ways.into_iter().flatten();
    sign_in.method = ways.next();
    if ways.next().is_some() {
        f.mistake("an account signs in in one way: password, oauth2, pop_before_smtp or none");
    }
}

fn password<F: Fields>(f: &mut F, sign_in: &mut PasswordSignIn) {
    f.text("user", &mut sign_in.user);
    f.secret("password", &mut sign_in.password, Shape::Line, Exported::Named);
    f.choice("mechanism", &mut sign_in.mechanism, PASSWORD_MECHANISMS);
    f.flag("allow_plaintext", &mut sign_in.allow_plaintext);
}

fn oauth2<F: Fields>(f: &mut F, sign_in: &mut OAuth2SignIn) {
    f.text("user", &mut sign_in.user);
    f.choice("mechanism", &mut sign_in.mechanism, OAUTH_MECHANISMS);
    f.choice("grant", &mut sign_in.grant, GRANTS);
    let named = |when: OauthGrant, grant: OauthGrant| if grant == when { Exported::Named } else { Exported::LeftOut };
    let grant = sign_in.grant();
    let with_secret = named(OauthGrant::ClientCredentials, grant);
    f.group("provider", &mut sign_in.provider, |f, value| provider(f, value, with_secret));
    // A refresh token may have been exchanged for another since it was given: an export never names one.
    f.secret("refresh_token", &mut sign_in.refresh_token, Shape::Line, Exported::LeftOut);
    let with_key = named(OauthGrant::ServiceAccount, grant);
    f.secret("service_account_json", &mut sign_in.service_account_json, Shape::Whole, with_key);
    f.flag("allow_plaintext", &mut sign_in.allow_plaintext);
}

fn provider<F: Fields>(f: &mut F, provider: &mut OAuthProvider, with_secret: Exported) {
    let usual_tenant = if provider.kind == "microsoft" { "common" } else { "" };
    f.text_or("kind", &mut provider.kind, "custom");
    f.text_or("tenant", &mut provider.tenant, usual_tenant);
    f.text("authorization_endpoint", &mut provider.authorization_endpoint);
    f.text("device_endpoint", &mut provider.device_endpoint);
    f.text("token_endpoint", &mut provider.token_endpoint);
    f.text("client_id", &mut provider.client_id);
    f.secret("client_secret", &mut provider.client_secret, Shape::Line, with_secret);
    f.texts("scopes", &mut provider.scopes);
}

fn pop_before_smtp<F: Fields>(f: &mut F, sign_in: &mut PopBeforeSmtp) {
    f.group("server", &mut sign_in.server, |f, value| server(f, value, Ports::Pop3));
    f.text("user", &mut sign_in.user);
    f.secret("password", &mut sign_in.password, Shape::Line, Exported::Named);
    f.flag("apop", &mut sign_in.apop);
    f.flag("allow_plaintext", &mut sign_in.allow_plaintext);
    f.length("valid_for", &mut sign_in.valid_for, Duration::from_secs(600));
}
