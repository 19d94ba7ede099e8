//! Sign-in by POP before SMTP, on the wire. Its password goes in and never comes out.

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    secrets::{PASSWORD_BYTES_MAX, check_crossing, required_secret, to_user},
    server::{Ports, from_server, to_server},
    values::{from_duration, to_duration},
    violations::Violations,
};
use crate::domain::account::{Credentials, PopBeforeSmtp};

const VALID_FOR_DEFAULT: Duration = Duration::from_secs(10 * 60);
const VALID_FOR_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3_600);

/// A sign-in on the wire, without its password.
pub(super) fn from_pop_before_smtp(pop: &PopBeforeSmtp) -> v1::PopBeforeSmtp {
    v1::PopBeforeSmtp {
        server: Some(from_server(&pop.server)),
        user: pop.credentials.user.clone(),
        password: String::new(),
        apop: pop.apop,
        allow_plaintext: pop.allow_plaintext,
        valid_for: Some(from_duration(pop.valid_for)),
    }
}

/// A sign-in that a caller sent; empty secrets are those of the `stored` one.
pub(super) fn to_pop_before_smtp(
    wire: v1::PopBeforeSmtp,
    stored: Option<&PopBeforeSmtp>,
    at: &str,
    violations: &mut Violations,
) -> Option<PopBeforeSmtp> {
    let old = stored.map(|stored| &stored.server);
    let server = to_server(wire.server, old, Ports::Pop3, &format!("{at}.server"), violations);
    let user = to_user(wire.user, at, violations);
    let old = stored.filter(|stored| server.as_ref().is_none_or(|server| server.may_have_secrets_of(&stored.server)));
    let old = old.map(|stored| &stored.credentials.password);
    let password = required_secret(wire.password, old, PASSWORD_BYTES_MAX, format_args!("{at}.password"), violations);
    let valid_for =
        to_duration(wire.valid_for, VALID_FOR_DEFAULT, &VALID_FOR_BOUNDS, format_args!("{at}.valid_for"), violations);
    // By APOP the password does not cross the network (RFC 1939 7).
    if !wire.apop {
        check_crossing(server.as_ref().map(|server| server.encryption), wire.allow_plaintext, at, violations);
    }
    Some(PopBeforeSmtp {
        server: server?,
        credentials: Credentials { user: user?, password: password? },
        apop: wire.apop,
        allow_plaintext: wire.allow_plaintext,
        valid_for: valid_for?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> v1::PopBeforeSmtp {
        let server = Some(v1::Server { host: "pop".into(), ..v1::Server::default() });
        v1::PopBeforeSmtp { server, user: "me".into(), password: "p".into(), ..v1::PopBeforeSmtp::default() }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::PopBeforeSmtp), expected: &[&str]) {
        let mut given = wire();
        change(&mut given);
        let mut violations = Violations::default();
        let read = to_pop_before_smtp(given, None, "p", &mut violations);
        let found = violations.finish(read).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        check(|_| {}, &[]);
        check(|pop| pop.server = None, &["p.server"]);
        check(|pop| (pop.user, pop.password) = (String::new(), String::new()), &["p.user", "p.password"]);
        check(|pop| pop.valid_for = seconds(59), &["p.valid_for"]);
        check(|pop| pop.valid_for = seconds(24 * 3_600 + 1), &["p.valid_for"]);
    }

    #[test]
    fn no_password_crosses_an_unencrypted_connection_unasked() {
        let plain = |pop: &mut v1::PopBeforeSmtp| {
            if let Some(server) = &mut pop.server {
                server.encryption = v1::Encryption::None.into();
            }
        };
        check(plain, &["p.allow_plaintext"]);
        check(|pop| (plain(pop), pop.apop = true).1, &[]);
        check(|pop| (plain(pop), pop.allow_plaintext = true).1, &[]);
    }

    #[test]
    fn an_empty_password_keeps_the_stored_one() {
        let mut violations = Violations::default();
        let stored = to_pop_before_smtp(wire(), None, "p", &mut violations).expect("it is good");
        let bare = from_pop_before_smtp(&stored);
        assert_eq!(bare.password, "");
        assert_eq!(to_pop_before_smtp(bare, Some(&stored), "p", &mut violations), Some(stored));
    }
}
