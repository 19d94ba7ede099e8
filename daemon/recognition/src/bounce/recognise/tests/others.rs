//! The formats of providers, products and carriers.

use super::{RULES, check, check_bytes, from_system, recognise};

#[test]
fn gmail_and_amazon() {
    let gmail = "Delivery to the following recipient failed permanently:\n\n     taro@example.jp\n\nTechnical details of \
        permanent failure:\nGoogle tried to deliver your message, but it was rejected. The error that the other server returned \
        was: 550 550 5.1.1 user unknown (state 14).\n\n   ----- Original message -----\n\nTo: x@y.jp\n";
    check(
        &from_system("Delivery Status Notification (Failure)", gmail),
        &[("taro@example.jp", "hard", Some("5.1.1"), "user-unknown")],
    );
    let delayed = "This is an automatically generated Delivery Status Notification\n\nTHIS IS A WARNING MESSAGE ONLY.\n\n\
        Delivery to the following recipient has been delayed:\n\n     taro@example.jp\n\nMessage will be retried for 2 more \
        day(s)\n";
    check(
        &from_system("Delivery Status Notification (Delay)", delayed),
        &[("taro@example.jp", "soft", None, "undetermined")],
    );
    let workmail = "An error occurred while trying to deliver the mail to the following recipients:\ntaro@example.jp\n\n\
        Technical report:\n\nReporting-MTA: dsn; out.example\n\nAction: failed\nFinal-Recipient: rfc822; taro@example.jp\n\
        Diagnostic-Code: smtp; 550 5.1.1 unknown\nStatus: 5.1.1\n";
    check(
        &from_system("Delivery Status Notification (Failure)", workmail),
        &[("taro@example.jp", "hard", Some("5.1.1"), "user-unknown")],
    );
}

#[test]
fn domino_and_notes() {
    let domino = "Your message\n\n  Subject: plan\n\nwas not delivered to:\n\n  taro@example.jp\n\nbecause:\n\n  User taro \
        (taro@example.jp) not listed in Domino Directory\n";
    check(
        &from_system("DELIVERY FAILURE: User taro not listed in Domino Directory", domino),
        &[("taro@example.jp", "hard", None, "user-unknown")],
    );
    let notes = "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\ntaro@example.jp\n\n\
        ------- Returned Message --------\n\nReceived: x\n";
    check(&from_system("Undeliverable message", notes), &[("taro@example.jp", "hard", None, "user-unknown")]);
}

#[track_caller]
fn check_one(subject: &str, text: &str, kind: &str, reason: &str) {
    let mail = from_system(subject, text);
    let found = recognise(&RULES, mail.as_bytes());
    let got: Vec<_> = found
        .to_act_on()
        .map(|one| (one.recipient.as_deref(), one.kind.as_str(), one.reason.map(|reason| reason.as_str())))
        .collect();
    assert_eq!(got, [(Some("taro@example.jp"), kind, Some(reason))], "{mail}\n{found:#?}");
}

#[test]
fn products_that_name_the_recipient_in_a_sentence_or_field() {
    check_one(
        "Mail Delivery Status Notification (Delay)",
        "[Status: Error, Address: <taro@example.jp>, ResponseCode 421, , Host not reachable.]\n",
        "soft",
        "host-unknown",
    );
    check_one(
        "Undelivered Mail Returned to Sender",
        "taro@example.jp Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 no such user\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Undeliverable Mail",
        "Unknown user: taro@example.jp\n\nOriginal message follows.\n",
        "hard",
        "user-unknown",
    );
    check_one("Undeliverable Mail", "User mailbox exceeds allowed size: taro@example.jp\n", "soft", "mailbox-full");
    check_one(
        "**Message you sent blocked by our bulk email filter**",
        "Your message to: taro@example.jp\nwas blocked by our Spam Firewall. The email you sent has NOT BEEN DELIVERED\n",
        "soft",
        "spam",
    );
    check_one(
        "There was an error sending your mail",
        "1 error(s):\n\nSMTP Server <mx.example.jp> rejected recipient <taro@example.jp> (Error following RCPT command). It \
         responded as follows: [550 5.1.1 User unknown]\n",
        "hard",
        "user-unknown",
    );
}

#[test]
fn products_that_name_it_in_a_reply() {
    check_one(
        "Undeliverable mail: plan",
        "Failed to deliver to 'taro@example.jp'\nSMTP module reports:\n 550 taro@example.jp unknown user account\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Message delivery has failed",
        "Unable to deliver message to: <taro@example.jp>\nServer mx[192.0.2.1] failed with: 550 No such user here\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Undelivered Mail Returned to Sender",
        "This is an automatically generated message from SendGrid.\n\n0:<taro@example.jp> : 192.0.2.1 : 550 5.1.1 User \
         Unknown in RCPT TO\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Delivery failure",
        "Delivery failed: taro@example.jp\n192.0.2.1 failed after I sent the message.\nRemote host said: 554 Hop count \
         exceeded\n",
        "soft",
        "loop",
    );
    check_one(
        "non remis (delivery failed)",
        "Votre message n'a pas pu être délivré à\ntaro@example.jp\n",
        "soft",
        "undetermined",
    );
}

#[test]
fn products_that_list_the_recipients() {
    check_one(
        "Permanent Delivery Failure",
        "The following addresses did NOT receive a copy of your message:\n\n> taro@example.jp\n\n--- Session Transcript \
         ---\n<-- 550 no such user here\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Undeliverable Mail: plan",
        "Your message:\n   From:    a@b.example\n   Subject: plan\nCould not be delivered because of\n\n550 5.1.1 User \
         unknown\n\nThe following recipients were affected:\n    taro@example.jp\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "failure notice",
        "This is the mail delivery agent at messagelabs.com.\n\nI was unable to deliver your message to the following \
         addresses:\n\ntaro@example.jp\n\nReason: 550 taro@example.jp... No such user\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Delivery Notification: Delivery has failed",
        "Your message cannot be delivered to the following recipients:\n\n  Recipient address: taro@example.jp\n  Reason: \
         Remote SMTP server has rejected address\n  Diagnostic code: smtp;550 5.1.1 unknown user\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Message could not be sent",
        "The number of attempts made: 1\nAddressed To: taro@example.jp\n\nFailed to send to identified host,\n\
         taro@example.jp: [192.0.2.1], 550 No such user\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Mail System Error - Returned Mail",
        "This Message was undeliverable due to the following reason:\n\nUnknown user\n\nThe following recipients did not \
         receive this message:\n\n     <taro@example.jp>\n",
        "hard",
        "user-unknown",
    );
    check_one(
        "Returned mail",
        "   ----- The following addresses had delivery problems -----\ntaro@example.jp\n\n   ----- Non-delivered \
         information -----\nThe number of messages in recipient's mailbox exceeded the local limit.\n",
        "soft",
        "mailbox-full",
    );
}

#[test]
fn screen_names_get_the_domain_of_their_server() {
    let text = "Your mail to the following recipients could not be delivered because they are not accepting mail from \
        a@b.example:\n\ttaro\n\tjiro\n";
    let mail = from_system("Returned mail", text);
    check(&mail, &[("taro@mx.example.net", "soft", None, "blocked"), ("jiro@mx.example.net", "soft", None, "blocked")]);
}

#[test]
fn lists() {
    let fml = "From: list-admin@example.jp\nSubject: You taro@example.net are not member (list ML)\nTo: taro@example.net\n\n\
        You are not a member of this mailing list <list@example.jp>.\n";
    check(fml, &[("list@example.jp", "soft", None, "not-member")]);
    let group = "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nX-Failed-Recipients: list@example.jp\n\
        Auto-Submitted: auto-replied\nSubject: Delivery Status Notification (Failure)\n\nHello,\n\nthe group you tried to \
        contact may not exist, or you may not have permission to post messages to the group.\n";
    check(group, &[("list@example.jp", "soft", None, "not-member")]);
}

/// A mail of a Japanese carrier, in the bytes of an encoding.
fn japanese(charset: &str, encoding: &'static encoding_rs::Encoding, text: &str) -> Vec<u8> {
    let mut mail = format!(
        "Return-Path: <>\nFrom: Postmaster@carrier.example\nSubject: Mail System Error - Returned Mail\n\
         Content-Type: text/plain; charset=\"{charset}\"\nContent-Transfer-Encoding: 7bit\n\n"
    )
    .into_bytes();
    mail.extend_from_slice(&encoding.encode(text).0);
    mail
}

#[test]
fn carriers_of_japan() {
    use encoding_rs::{EUC_JP, ISO_2022_JP};
    let unknown = "次のあて先へのメッセージは送信できませんでした。\n\nEach of the following recipients was rejected by a \
        remote\nmail server.\n\n    Recipient: <taro@carrier.example>\n    >>> RCPT TO:<taro@carrier.example>\n    <<< 550 \
        <taro@carrier.example>: User unknown\n";
    let mail = japanese("ISO-2022-JP", ISO_2022_JP, unknown);
    check_bytes(&mail, &[("taro@carrier.example", "hard", None, "user-unknown")]);
    let filtered = "送信先の受信拒否設定により、送信できませんでした。\n\n<taro@carrier.example>\n";
    let mail = japanese("ISO-2022-JP", ISO_2022_JP, filtered);
    check_bytes(&mail, &[("taro@carrier.example", "soft", None, "filtered")]);
    let full = "宛先のメールボックスがいっぱいのため、配信できませんでした。\n宛先: taro@carrier.example\n";
    check_bytes(&japanese("EUC-JP", EUC_JP, full), &[("taro@carrier.example", "soft", None, "mailbox-full")]);
    let gone = "宛先のメールアドレスが存在しません。\n\ntaro@carrier.example\n";
    check_bytes(&japanese("ISO-2022-JP", EUC_JP, gone), &[("taro@carrier.example", "hard", None, "user-unknown")]);
    let kddi = "Your mail sent on: Thu, 1 Oct 2026 12:00:00 +0900\n     Could not be delivered to: <taro@carrier.example>\n     \
        As their mailbox is full.\n";
    check(&from_system("Failed mail", kddi), &[("taro@carrier.example", "soft", None, "mailbox-full")]);
}
