//! How an account signs in, on the wire. Passwords go in and never come out.

use hikyaku_proto::v1::{self, sign_in::Method};

use super::{
    oauth2::{from_oauth2, to_oauth2},
    pop_before_smtp::{from_pop_before_smtp, to_pop_before_smtp},
    secrets::{PASSWORD_BYTES_MAX, check_crossing, required_secret, to_user},
    violations::Violations,
};
use crate::domain::{
    account::{Encryption, PasswordMechanism, SignIn},
    secret::Secret,
};

/// A sign-in that a caller sent, and what it sent with it that is not kept among the settings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadSignIn {
    pub(super) sign_in: SignIn,
    /// A refresh token that was got elsewhere.
    pub(super) refresh_token: Option<Secret<String>>,
}

/// What a sign-in depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The sign-in as it was, whose secrets are kept where none are given.
    pub(super) stored: Option<&'a SignIn>,
    /// How the server that takes the mail is reached, if that is known.
    pub(super) encryption: Option<Encryption>,
    /// Whether the mailbox has credentials, which are used when no way is given.
    pub(super) mailbox_signs_in: bool,
}

/// A sign-in on the wire, without its secrets; nothing when it is left to the mailbox.
pub(super) fn from_sign_in(sign_in: &SignIn) -> Option<v1::SignIn> {
    let method = match sign_in {
        SignIn::AsMailbox => return None,
        SignIn::None => Method::None(v1::NoSignIn {}),
        SignIn::Password { user, mechanism, allow_plaintext, .. } => Method::Password(v1::PasswordSignIn {
            user: user.clone(),
            password: String::new(),
            mechanism: from_mechanism(*mechanism).into(),
            allow_plaintext: *allow_plaintext,
        }),
        SignIn::OAuth2(oauth2) => Method::Oauth2(from_oauth2(oauth2)),
        SignIn::PopBeforeSmtp(pop) => Method::PopBeforeSmtp(from_pop_before_smtp(pop)),
    };
    Some(v1::SignIn { method: Some(method) })
}

const fn from_mechanism(mechanism: PasswordMechanism) -> v1::PasswordMechanism {
    match mechanism {
        PasswordMechanism::Auto => v1::PasswordMechanism::Unspecified,
        PasswordMechanism::Plain => v1::PasswordMechanism::Plain,
        PasswordMechanism::Login => v1::PasswordMechanism::Login,
        PasswordMechanism::CramMd5 => v1::PasswordMechanism::CramMd5,
    }
}

/// A sign-in that a caller sent; an empty secret keeps the stored one of the same way.
pub(super) fn to_sign_in(
    sign_in: Option<v1::SignIn>,
    around: Surroundings<'_>,
    at: &str,
    violations: &mut Violations,
) -> Option<ReadSignIn> {
    let sign_in = match sign_in.and_then(|sign_in| sign_in.method) {
        None if around.mailbox_signs_in => SignIn::AsMailbox,
        None | Some(Method::None(_)) => SignIn::None,
        Some(Method::Password(wire)) => to_password(wire, around, &format!("{at}.password"), violations)?,
        Some(Method::Oauth2(wire)) => {
            let stored = match around.stored {
                Some(SignIn::OAuth2(stored)) => Some(&**stored),
                _ => None,
            };
            let (oauth2, refresh_token) =
                to_oauth2(wire, stored, around.encryption, &format!("{at}.oauth2"), violations)?;
            return Some(ReadSignIn { sign_in: SignIn::OAuth2(Box::new(oauth2)), refresh_token });
        }
        Some(Method::PopBeforeSmtp(wire)) => {
            let stored = match around.stored {
                Some(SignIn::PopBeforeSmtp(stored)) => Some(&**stored),
                _ => None,
            };
            let pop = to_pop_before_smtp(wire, stored, &format!("{at}.pop_before_smtp"), violations);
            SignIn::PopBeforeSmtp(Box::new(pop?))
        }
    };
    Some(ReadSignIn { sign_in, refresh_token: None })
}

fn to_password(
    wire: v1::PasswordSignIn,
    around: Surroundings<'_>,
    at: &str,
    violations: &mut Violations,
) -> Option<SignIn> {
    let user = to_user(wire.user, at, violations);
    let stored = match around.stored {
        Some(SignIn::Password { password, .. }) => Some(password),
        _ => None,
    };
    let password =
        required_secret(wire.password, stored, PASSWORD_BYTES_MAX, format_args!("{at}.password"), violations);
    let mechanism = match v1::PasswordMechanism::try_from(wire.mechanism) {
        Ok(v1::PasswordMechanism::Unspecified) => Some(PasswordMechanism::Auto),
        Ok(v1::PasswordMechanism::Plain) => Some(PasswordMechanism::Plain),
        Ok(v1::PasswordMechanism::Login) => Some(PasswordMechanism::Login),
        Ok(v1::PasswordMechanism::CramMd5) => Some(PasswordMechanism::CramMd5),
        Err(_) => {
            let allowed = "must be PLAIN, LOGIN or CRAM_MD5, or unset for the first offered";
            violations.add(format_args!("{at}.mechanism"), allowed);
            None
        }
    };
    // By CRAM-MD5 the password does not cross the network (RFC 2195).
    if mechanism != Some(PasswordMechanism::CramMd5) {
        check_crossing(around.encryption, wire.allow_plaintext, at, violations);
    }
    Some(SignIn::Password {
        user: user?,
        password: password?,
        mechanism: mechanism?,
        allow_plaintext: wire.allow_plaintext,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(user: &str, password: &str) -> v1::PasswordSignIn {
        v1::PasswordSignIn { user: user.into(), password: password.into(), ..v1::PasswordSignIn::default() }
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
    fn check_method(method: Option<Method>, around: Surroundings<'_>, expected: Result<&str, &str>) {
        let mut violations = Violations::default();
        let made = to_sign_in(Some(v1::SignIn { method }), around, "i", &mut violations);
        let found = violations.finish(made).map_err(|found| found[0].field.clone());
        let found = found.map(|made| match made.sign_in {
            SignIn::Password { password, .. } => password.expose().clone(),
            other => format!("{other:?}"),
        });
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[track_caller]
    fn check(wire: v1::PasswordSignIn, old: Option<&SignIn>, encryption: Encryption, expected: Result<&str, &str>) {
        let around = Surroundings { stored: old, encryption: Some(encryption), mailbox_signs_in: false };
        check_method(Some(Method::Password(wire)), around, expected);
    }

    #[test]
    fn an_empty_password_keeps_the_stored_one() {
        check(wire("me", "new"), Some(&stored("old")), Encryption::Tls, Ok("new"));
        check(wire("me", ""), Some(&stored("old")), Encryption::Tls, Ok("old"));
        check(wire("me", ""), Some(&SignIn::None), Encryption::Tls, Err("i.password.password"));
        check(wire("me", ""), None, Encryption::Tls, Err("i.password.password"));
    }

    #[test]
    fn without_a_way_the_credentials_of_the_mailbox_are_used_if_it_has_any() {
        let old = stored("old");
        let around = Surroundings { stored: Some(&old), encryption: Some(Encryption::Tls), mailbox_signs_in: false };
        let beside = Surroundings { mailbox_signs_in: true, ..around };
        check_method(None, around, Ok("None"));
        check_method(None, beside, Ok("AsMailbox"));
        check_method(Some(Method::None(v1::NoSignIn {})), beside, Ok("None"));
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let long = "x".repeat(321);
        check(wire("", "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire(&long, "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire("a\nb", "p"), None, Encryption::Tls, Err("i.password.user"));
        check(wire("me", "a\0b"), None, Encryption::Tls, Err("i.password.password"));
        check(wire("me", &"x".repeat(PASSWORD_BYTES_MAX + 1)), None, Encryption::Tls, Err("i.password.password"));
        check(
            v1::PasswordSignIn { mechanism: 9, ..wire("me", "p") },
            None,
            Encryption::Tls,
            Err("i.password.mechanism"),
        );
    }

    #[test]
    fn no_password_crosses_an_unencrypted_connection_unasked() {
        let with = |mechanism: v1::PasswordMechanism, allow_plaintext| v1::PasswordSignIn {
            mechanism: mechanism.into(),
            allow_plaintext,
            ..wire("me", "p")
        };
        use v1::PasswordMechanism::{CramMd5, Plain, Unspecified};
        let refused = Err("i.password.allow_plaintext");
        check(with(Unspecified, false), None, Encryption::None, refused);
        check(with(Plain, false), None, Encryption::None, refused);
        check(with(CramMd5, false), None, Encryption::None, Ok("p"));
        check(with(Plain, true), None, Encryption::None, Ok("p"));
        check(with(Plain, false), None, Encryption::StartTls, Ok("p"));
    }
}
