//! How an account signs in, on the wire. A password goes in and never comes out.

use hikyaku_proto::v1::{self, sign_in::Method};

use super::{values::one_line, violations::Violations};
use crate::domain::{
    account::{Encryption, PasswordMechanism, SignIn},
    secret::Secret,
};

/// Longest user name and longest password, in bytes.
const USER_BYTES_MAX: usize = 320;
const PASSWORD_BYTES_MAX: usize = 1_024;

/// A sign-in on the wire, without its password.
pub(in crate::service) fn from_sign_in(sign_in: &SignIn) -> Option<v1::SignIn> {
    let SignIn::Password { user, mechanism, allow_plaintext, .. } = sign_in else {
        return None;
    };
    let mechanism = match mechanism {
        PasswordMechanism::Auto => v1::PasswordMechanism::Unspecified,
        PasswordMechanism::Plain => v1::PasswordMechanism::Plain,
        PasswordMechanism::Login => v1::PasswordMechanism::Login,
        PasswordMechanism::CramMd5 => v1::PasswordMechanism::CramMd5,
    };
    let password = v1::PasswordSignIn {
        user: user.clone(),
        password: String::new(),
        mechanism: mechanism.into(),
        allow_plaintext: *allow_plaintext,
    };
    Some(v1::SignIn { method: Some(Method::Password(password)) })
}

/// A sign-in that a caller sent; an empty password keeps that of `stored`.
pub(in crate::service) fn to_sign_in(
    sign_in: Option<v1::SignIn>,
    stored: Option<&SignIn>,
    encryption: Option<Encryption>,
    at: &str,
    violations: &mut Violations,
) -> Option<SignIn> {
    let Some(Method::Password(wire)) = sign_in.and_then(|sign_in| sign_in.method) else {
        return Some(SignIn::None);
    };
    let user = to_user(wire.user, at, violations);
    let password = to_password(Secret::new(wire.password), stored, at, violations);
    let mechanism = match v1::PasswordMechanism::try_from(wire.mechanism) {
        Ok(v1::PasswordMechanism::Unspecified) => Some(PasswordMechanism::Auto),
        Ok(v1::PasswordMechanism::Plain) => Some(PasswordMechanism::Plain),
        Ok(v1::PasswordMechanism::Login) => Some(PasswordMechanism::Login),
        Ok(v1::PasswordMechanism::CramMd5) => Some(PasswordMechanism::CramMd5),
        Err(_) => {
            violations.add(
                format_args!("{at}.password.mechanism"),
                "must be PLAIN, LOGIN or CRAM_MD5, or unset for the first offered",
            );
            None
        }
    };
    if encryption == Some(Encryption::None) && !wire.allow_plaintext {
        violations.add(
            format_args!("{at}.password.allow_plaintext"),
            "must be set when the server's encryption is NONE: the password would cross the network unencrypted",
        );
    }
    Some(SignIn::Password {
        user: user?,
        password: password?,
        mechanism: mechanism?,
        allow_plaintext: wire.allow_plaintext,
    })
}

fn to_user(user: String, at: &str, violations: &mut Violations) -> Option<String> {
    if user.is_empty() {
        violations.add(format_args!("{at}.password.user"), "is required");
        return None;
    }
    one_line(user, USER_BYTES_MAX, format_args!("{at}.password.user"), violations)
}

fn to_password(
    given: Secret<String>,
    stored: Option<&SignIn>,
    at: &str,
    violations: &mut Violations,
) -> Option<Secret<String>> {
    let text = given.expose();
    if text.is_empty() {
        if let Some(SignIn::Password { password, .. }) = stored {
            return Some(password.clone());
        }
        violations.add(format_args!("{at}.password.password"), "is required: none is stored");
        return None;
    }
    // RFC 4616 2 forbids NUL in PLAIN, and a line break can be typed nowhere.
    if text.len() > PASSWORD_BYTES_MAX || text.chars().any(char::is_control) {
        violations.add(
            format_args!("{at}.password.password"),
            format_args!("must be at most {PASSWORD_BYTES_MAX} bytes without control characters"),
        );
        return None;
    }
    Some(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(user: &str, password: &str) -> v1::SignIn {
        let method =
            v1::PasswordSignIn { user: user.into(), password: password.into(), ..v1::PasswordSignIn::default() };
        v1::SignIn { method: Some(Method::Password(method)) }
    }

    fn stored(password: &str) -> SignIn {
        SignIn::Password {
            user: "old".into(),
            password: Secret::new(password.into()),
            mechanism: PasswordMechanism::Auto,
            allow_plaintext: false,
        }
    }

    #[track_caller]
    fn check(sign_in: v1::SignIn, old: Option<&SignIn>, encryption: Encryption, expected: Result<&str, &str>) {
        let mut violations = Violations::default();
        let made = to_sign_in(Some(sign_in), old, Some(encryption), "i", &mut violations);
        let found = violations.finish(made).map_err(|found| found[0].field.clone());
        let found = found.map(|made| match made {
            SignIn::None => String::from("none"),
            SignIn::Password { password, .. } => password.expose().clone(),
            other => format!("{other:?}"),
        });
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn an_empty_password_keeps_the_stored_one() {
        check(wire("me", "new"), Some(&stored("old")), Encryption::Tls, Ok("new"));
        check(wire("me", ""), Some(&stored("old")), Encryption::Tls, Ok("old"));
        check(wire("me", ""), Some(&SignIn::None), Encryption::Tls, Err("i.password.password"));
        check(wire("me", ""), None, Encryption::Tls, Err("i.password.password"));
        check(v1::SignIn { method: None }, Some(&stored("old")), Encryption::Tls, Ok("none"));
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let long = "x".repeat(USER_BYTES_MAX + 1);
        check(wire("", "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire(&long, "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire("a\nb", "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire("me", "a\0b"), None, Encryption::Tls, Err("i.password.password"));
        check(wire("me", &"x".repeat(PASSWORD_BYTES_MAX + 1)), None, Encryption::Tls, Err("i.password.password"));
        check(wire("me", "p"), None, Encryption::None, Err("i.password.allow_plaintext"));
    }
}
