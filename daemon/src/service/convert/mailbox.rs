//! The mailbox of an account on the wire. Its password goes in and never comes out.

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    filing::{Filing, from_marks, to_filing},
    secrets::{PASSWORD_BYTES_MAX, check_crossing, required_secret, to_user},
    server::{Ports, from_server, to_server},
    values::{from_duration, parse, to_duration},
    violations::Violations,
};
use crate::domain::{
    account::{Credentials, Encryption, IncomingMailbox, MailboxProtocol, MailboxSignIn, SignIn},
    address::Address,
};

const INTERVAL_DEFAULT: Duration = Duration::from_secs(5 * 60);
const INTERVAL_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3_600);
const MESSAGE_BYTES_DEFAULT: u64 = 25 * 1_024 * 1_024;
/// Bounds of the largest message that is read, in bytes.
const MESSAGE_BYTES_BOUNDS: RangeInclusive<u64> = 1_024..=100 * 1_024 * 1_024;
const WARN_MESSAGES_DEFAULT: u32 = 10_000;

/// A mailbox on the wire, without its password.
pub(super) fn from_incoming(mailbox: &IncomingMailbox) -> v1::IncomingMailbox {
    let protocol = match mailbox.protocol {
        MailboxProtocol::Pop3 => v1::MailboxProtocol::Pop3,
        MailboxProtocol::Imap => v1::MailboxProtocol::Imap,
    };
    let sign_in = mailbox.sign_in.as_ref().map(|sign_in| v1::MailboxSignIn {
        user: sign_in.credentials.user.clone(),
        password: String::new(),
        apop: sign_in.apop,
        allow_plaintext: sign_in.allow_plaintext,
    });
    v1::IncomingMailbox {
        protocol: protocol.into(),
        server: Some(from_server(&mailbox.server)),
        sign_in,
        interval: Some(from_duration(mailbox.interval)),
        delete_after_fetch: mailbox.delete_after_fetch,
        all_folders: mailbox.all_folders,
        unseen_only: mailbox.unseen_only,
        all_mail: mailbox.all_mail,
        archive_folder: mailbox.archive_folder.clone().unwrap_or_default(),
        message_bytes_max: mailbox.message_bytes_max,
        warn_messages: mailbox.warn_messages,
        errors_to: mailbox.errors_to.as_ref().map(|address| address.as_str().to_owned()).unwrap_or_default(),
        attachments_folder: mailbox.attachments_folder.clone().unwrap_or_default(),
        keep_duplicates: mailbox.keep_duplicates,
        no_idle: mailbox.no_idle,
        marks_to: from_marks(&mailbox.marks_to),
        marks_cc: from_marks(&mailbox.marks_cc),
        marks_from: from_marks(&mailbox.marks_from),
    }
}

/// A mailbox that a caller sent; empty secrets are those of the `stored` one.
pub(super) fn to_incoming(
    wire: v1::IncomingMailbox,
    stored: Option<&IncomingMailbox>,
    at: &str,
    violations: &mut Violations,
) -> Option<IncomingMailbox> {
    let protocol = match v1::MailboxProtocol::try_from(wire.protocol) {
        Ok(v1::MailboxProtocol::Pop3) => Some(MailboxProtocol::Pop3),
        Ok(v1::MailboxProtocol::Imap) => Some(MailboxProtocol::Imap),
        Ok(v1::MailboxProtocol::Unspecified) | Err(_) => {
            violations.add(format_args!("{at}.protocol"), "must be POP3 or IMAP");
            None
        }
    };
    let filing = to_filing(&wire, at, violations);
    let ports = if protocol == Some(MailboxProtocol::Pop3) { Ports::Pop3 } else { Ports::Imap };
    let old = stored.map(|stored| &stored.server);
    let server = to_server(wire.server, old, ports, &format!("{at}.server"), violations);
    if protocol == Some(MailboxProtocol::Imap) && wire.sign_in.as_ref().is_some_and(|sign_in| sign_in.apop) {
        violations.add(format_args!("{at}.sign_in.apop"), "is for POP3 only");
    }
    let encryption = server.as_ref().map(|server| server.encryption);
    let old = stored.filter(|stored| server.as_ref().is_none_or(|server| server.may_have_secrets_of(&stored.server)));
    let old = old.and_then(|stored| stored.sign_in.as_ref());
    let sign_in = match wire.sign_in {
        Some(sign_in) => to_credentials(sign_in, old, encryption, &format!("{at}.sign_in"), violations).map(Some),
        None => Some(None),
    };
    let interval =
        to_duration(wire.interval, INTERVAL_DEFAULT, &INTERVAL_BOUNDS, format_args!("{at}.interval"), violations);
    let errors_to = match wire.errors_to.as_str() {
        "" => Some(None),
        address => parse::<Address>(address, format_args!("{at}.errors_to"), violations).map(Some),
    };
    let message_bytes_max = to_message_bytes(wire.message_bytes_max, at, violations);
    let Filing { archive_folder, attachments_folder, marks_to, marks_cc, marks_from } = filing?;
    Some(IncomingMailbox {
        protocol: protocol?,
        server: server?,
        sign_in: sign_in?,
        interval: interval?,
        delete_after_fetch: wire.delete_after_fetch,
        all_folders: wire.all_folders,
        unseen_only: wire.unseen_only,
        all_mail: wire.all_mail,
        archive_folder,
        message_bytes_max: message_bytes_max?,
        warn_messages: if wire.warn_messages == 0 { WARN_MESSAGES_DEFAULT } else { wire.warn_messages },
        errors_to: errors_to?,
        attachments_folder,
        keep_duplicates: wire.keep_duplicates,
        no_idle: wire.no_idle,
        marks_to,
        marks_cc,
        marks_from,
    })
}

fn to_message_bytes(given: u64, at: &str, violations: &mut Violations) -> Option<u64> {
    match given {
        0 => Some(MESSAGE_BYTES_DEFAULT),
        given if MESSAGE_BYTES_BOUNDS.contains(&given) => Some(given),
        _ => {
            let (least, most) = (MESSAGE_BYTES_BOUNDS.start(), MESSAGE_BYTES_BOUNDS.end());
            violations.add(format_args!("{at}.message_bytes_max"), format_args!("must be from {least} to {most}"));
            None
        }
    }
}

fn to_credentials(
    wire: v1::MailboxSignIn,
    stored: Option<&MailboxSignIn>,
    encryption: Option<Encryption>,
    at: &str,
    violations: &mut Violations,
) -> Option<MailboxSignIn> {
    let user = to_user(wire.user, at, violations);
    let old = stored.map(|stored| &stored.credentials.password);
    let password = required_secret(wire.password, old, PASSWORD_BYTES_MAX, format_args!("{at}.password"), violations);
    // By APOP the password does not cross the network (RFC 1939 7).
    if !wire.apop {
        check_crossing(encryption, wire.allow_plaintext, at, violations);
    }
    Some(MailboxSignIn {
        credentials: Credentials { user: user?, password: password? },
        apop: wire.apop,
        allow_plaintext: wire.allow_plaintext,
    })
}

/// Whether the server that takes the mail and the mailbox lend each other credentials that they have and may lend.
pub(super) fn check_lending(
    sign_in: &SignIn,
    server: Encryption,
    mailbox: &IncomingMailbox,
    violations: &mut Violations,
) {
    let here = Some(mailbox.server.encryption);
    match (&mailbox.sign_in, sign_in) {
        (Some(own), SignIn::AsMailbox) => {
            check_crossing(Some(server), own.allow_plaintext, "settings.mailbox.sign_in", violations);
        }
        (Some(_), _) => {}
        (None, SignIn::None | SignIn::AsMailbox) => {
            violations.add("settings.mailbox.sign_in", "is required: there is no sign-in that it could share");
        }
        (None, SignIn::Password { allow_plaintext, .. }) => {
            check_crossing(here, *allow_plaintext, "settings.sign_in.password", violations);
        }
        (None, SignIn::OAuth2(oauth2)) => {
            check_crossing(here, oauth2.allow_plaintext, "settings.sign_in.oauth2", violations);
        }
        (None, SignIn::PopBeforeSmtp(pop)) => {
            check_crossing(here, pop.allow_plaintext, "settings.sign_in.pop_before_smtp", violations);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{account::PasswordMechanism, secret::Secret};

    fn wire(protocol: v1::MailboxProtocol) -> v1::IncomingMailbox {
        let server = Some(v1::Server { host: "mail".into(), ..v1::Server::default() });
        let sign_in =
            Some(v1::MailboxSignIn { user: "me".into(), password: "p".into(), ..v1::MailboxSignIn::default() });
        v1::IncomingMailbox { protocol: protocol.into(), server, sign_in, ..v1::IncomingMailbox::default() }
    }

    fn read(wire: v1::IncomingMailbox, stored: Option<&IncomingMailbox>) -> Result<IncomingMailbox, Vec<String>> {
        let mut violations = Violations::default();
        let read = to_incoming(wire, stored, "m", &mut violations);
        violations.finish(read).map_err(|found| found.into_iter().map(|one| one.field).collect())
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::IncomingMailbox, &mut v1::MailboxSignIn), expected: &[&str]) {
        let mut given = wire(v1::MailboxProtocol::Pop3);
        let mut sign_in = given.sign_in.take().expect("it has one");
        change(&mut given, &mut sign_in);
        given.sign_in = Some(sign_in);
        assert_eq!(read(given, None).err().unwrap_or_default(), expected);
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        check(|_, _| {}, &[]);
        check(|m, _| m.protocol = 0, &["m.protocol"]);
        check(|m, _| m.server = None, &["m.server"]);
        check(|_, s| (s.user, s.password) = (String::new(), String::new()), &["m.sign_in.user", "m.sign_in.password"]);
        check(|m, s| (m.protocol, s.apop) = (2, true), &["m.sign_in.apop"]);
        check(|m, _| m.interval = seconds(9), &["m.interval"]);
        check(|m, _| m.interval = seconds(24 * 3_600 + 1), &["m.interval"]);
        check(|m, _| m.archive_folder = "mail/sales".into(), &[]);
        check(|m, _| m.archive_folder = "/mail".into(), &["m.archive_folder"]);
        check(|m, _| (m.attachments_folder, m.all_mail) = ("files".into(), true), &[]);
        check(|m, _| (m.attachments_folder, m.all_mail) = ("../files".into(), true), &["m.attachments_folder"]);
        check(|m, _| m.attachments_folder = "files".into(), &["m.attachments_folder"]);
        check(|m, _| m.marks_cc = marks("x".repeat(65)), &["m.marks_cc.status"]);
        check(|m, _| m.marks_from = marks("\n".into()), &["m.marks_from.status"]);
        check(|m, _| m.errors_to = "x".into(), &["m.errors_to"]);
        check(|m, _| m.message_bytes_max = 1_024, &[]);
        check(|m, _| m.message_bytes_max = 1_023, &["m.message_bytes_max"]);
        check(|m, _| m.message_bytes_max = 104_857_600, &[]);
        check(|m, _| m.message_bytes_max = 104_857_601, &["m.message_bytes_max"]);
    }

    fn marks(status: String) -> Option<v1::InboundMarks> {
        Some(v1::InboundMarks { labels: vec!["vip".into()], status })
    }

    #[test]
    fn what_is_done_with_inbound_mail_survives_the_wire() {
        let given = v1::IncomingMailbox {
            all_mail: true,
            archive_folder: "raw".into(),
            attachments_folder: "files/sales".into(),
            keep_duplicates: true,
            no_idle: true,
            marks_to: marks("new".into()),
            marks_cc: marks(String::new()),
            ..wire(v1::MailboxProtocol::Imap)
        };
        let read_once = read(given.clone(), None).expect("it is good");
        let told = from_incoming(&read_once);
        assert_eq!(
            (told.marks_to.clone(), told.marks_cc.clone(), told.marks_from),
            (given.marks_to, given.marks_cc, None)
        );
        assert_eq!((told.archive_folder.as_str(), told.attachments_folder.as_str()), ("raw", "files/sales"));
        assert!(told.keep_duplicates && told.no_idle);
    }

    fn in_the_clear(mailbox: &mut v1::IncomingMailbox) {
        if let Some(server) = &mut mailbox.server {
            server.encryption = v1::Encryption::None.into();
        }
    }

    #[test]
    fn no_password_crosses_an_unencrypted_connection_unasked() {
        check(|m, _| in_the_clear(m), &["m.sign_in.allow_plaintext"]);
        check(|m, s| (in_the_clear(m), s.apop = true).1, &[]);
        check(|m, s| (in_the_clear(m), s.allow_plaintext = true).1, &[]);
    }

    #[test]
    fn what_is_unset_takes_its_default() {
        let mailbox = read(wire(v1::MailboxProtocol::Imap), None).expect("enough");
        assert_eq!((mailbox.server.port.get(), mailbox.server.encryption), (993, Encryption::Tls));
        assert_eq!(mailbox.interval, Duration::from_secs(300));
        assert_eq!((mailbox.message_bytes_max, mailbox.warn_messages), (26_214_400, 10_000));
        assert_eq!(read(wire(v1::MailboxProtocol::Pop3), None).expect("enough").server.port.get(), 995);
    }

    #[test]
    fn an_empty_password_keeps_the_stored_one() {
        let stored = read(wire(v1::MailboxProtocol::Imap), None).expect("it is good");
        let bare = from_incoming(&stored);
        assert_eq!(bare.sign_in.as_ref().map(|sign_in| sign_in.password.as_str()), Some(""));
        assert_eq!(read(bare, Some(&stored)), Ok(stored));
    }

    #[track_caller]
    fn check_lent(sign_in: &SignIn, server: Encryption, mailbox: v1::IncomingMailbox, expected: &[&str]) {
        let mut violations = Violations::default();
        check_lending(sign_in, server, &read(mailbox, None).expect("it is good"), &mut violations);
        let found = violations.finish(Some(())).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn credentials_are_lent_only_where_they_may_cross() {
        let own = || wire(v1::MailboxProtocol::Imap);
        let bare = || v1::IncomingMailbox { sign_in: None, ..own() };
        let password = |allow_plaintext| SignIn::Password {
            user: "me".into(),
            password: Secret::new("p".into()),
            mechanism: PasswordMechanism::CramMd5,
            allow_plaintext,
        };
        let mut clear = bare();
        in_the_clear(&mut clear);
        check_lent(&SignIn::AsMailbox, Encryption::Tls, own(), &[]);
        check_lent(&SignIn::AsMailbox, Encryption::None, own(), &["settings.mailbox.sign_in.allow_plaintext"]);
        check_lent(&SignIn::None, Encryption::None, own(), &[]);
        check_lent(&SignIn::None, Encryption::Tls, bare(), &["settings.mailbox.sign_in"]);
        check_lent(&password(false), Encryption::None, bare(), &[]);
        check_lent(&password(false), Encryption::Tls, clear.clone(), &["settings.sign_in.password.allow_plaintext"]);
        check_lent(&password(true), Encryption::Tls, clear, &[]);
    }
}
