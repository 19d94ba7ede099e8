//! The mailbox to which bounces come back, each setting by its key and its default.

use std::time::Duration;

use hikyaku_client::proto::{InboundMarks, IncomingMailbox, MailboxProtocol, MailboxSignIn};

use super::{
    fields::{Choices, Exported, Fields, Shape},
    server::{Ports, server},
};

const PROTOCOLS: Choices = &[("pop3", MailboxProtocol::Pop3 as i32), ("imap", MailboxProtocol::Imap as i32)];
const MESSAGE_BYTES: u64 = 25 << 20;
const WARN_MESSAGES: u32 = 10_000;

/// A mailbox.
pub(crate) fn mailbox<F: Fields>(f: &mut F, mailbox: &mut IncomingMailbox) {
    f.required_choice("protocol", &mut mailbox.protocol, PROTOCOLS);
    let ports = match mailbox.protocol() {
        MailboxProtocol::Imap => Ports::Imap,
        MailboxProtocol::Unspecified | MailboxProtocol::Pop3 => Ports::Pop3,
    };
    f.group("server", &mut mailbox.server, |f, value| server(f, value, ports));
    f.group("sign_in", &mut mailbox.sign_in, sign_in);
    f.length("interval", &mut mailbox.interval, Duration::from_secs(300));
    f.flag("delete_after_fetch", &mut mailbox.delete_after_fetch);
    f.flag("all_folders", &mut mailbox.all_folders);
    f.flag("unseen_only", &mut mailbox.unseen_only);
    f.flag("all_mail", &mut mailbox.all_mail);
    f.text("archive_folder", &mut mailbox.archive_folder);
    f.bytes("message_bytes_max", &mut mailbox.message_bytes_max, MESSAGE_BYTES);
    f.number("warn_messages", &mut mailbox.warn_messages, WARN_MESSAGES);
    f.text("errors_to", &mut mailbox.errors_to);
    f.text("attachments_folder", &mut mailbox.attachments_folder);
    f.flag("keep_duplicates", &mut mailbox.keep_duplicates);
    f.flag("no_idle", &mut mailbox.no_idle);
    f.group("marks_to", &mut mailbox.marks_to, marks);
    f.group("marks_cc", &mut mailbox.marks_cc, marks);
    f.group("marks_from", &mut mailbox.marks_from, marks);
}

fn marks<F: Fields>(f: &mut F, marks: &mut InboundMarks) {
    f.texts("labels", &mut marks.labels);
    f.text("status", &mut marks.status);
}

fn sign_in<F: Fields>(f: &mut F, sign_in: &mut MailboxSignIn) {
    f.text("user", &mut sign_in.user);
    f.secret("password", &mut sign_in.password, Shape::Line, Exported::Named);
    f.flag("apop", &mut sign_in.apop);
    f.flag("allow_plaintext", &mut sign_in.allow_plaintext);
}
