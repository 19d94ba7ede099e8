//! Words that were passed on are judged as the reply they came from.

use super::*;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

#[track_caller]
fn check(status: Option<&str>, words: &str, reason: Reason, hard: bool) {
    let status = status.map(|status| status.parse().expect(status));
    let got = RULES.judge(&Evidence { status, words, ..Evidence::default() });
    assert_eq!((got.reason, got.is_hard()), (reason, hard), "{words} (rule {})", got.ruling.rule);
}

#[test]
fn dead_addresses_are_hard() {
    check(None, "550 5.1.1 <taro@example.jp>: Recipient address rejected: User unknown", Reason::UserUnknown, true);
    check(None, "Sorry, I couldn't find any host named example.invalid. (#5.1.2)", Reason::HostUnknown, true);
    check(None, "Sorry, no mailbox here by that name. (#5.1.1)", Reason::UserUnknown, true);
    check(Some("5.1.1"), "", Reason::UserUnknown, true);
    check(Some("5.0.0"), "smtp; 550 no such user here", Reason::UserUnknown, true);
    check(Some("5.1.6"), "550 she has left the company", Reason::Moved, true);
    check(None, "556 5.1.10 example.invalid takes no mail (null MX)", Reason::NotAccepting, true);
    check(None, "host mx.example.jp said: 451 busy 550 5.1.1 unknown user", Reason::UserUnknown, true);
    check(None, "宛先のメールアドレスが見つかりません", Reason::UserUnknown, true);
    check(None, "Empfänger unbekannt", Reason::UserUnknown, true);
}

#[test]
fn everything_else_is_soft() {
    check(None, "552 5.2.2 <taro@example.jp>: mailbox is full", Reason::MailboxFull, false);
    check(Some("5.2.1"), "550 5.2.1 this account is disabled", Reason::Suspended, false);
    check(None, "554 5.7.1 Client host [192.0.2.1] blocked using list.example", Reason::Blocked, false);
    check(None, "550 5.7.26 DMARC policy of reject", Reason::Unauthenticated, false);
    check(None, "554 5.4.6 hop count exceeded", Reason::Loop, false);
    check(Some("4.4.7"), "delivery time expired", Reason::Expired, false);
    check(Some("5.0.0"), "what a pity", Reason::Undetermined, false);
    check(None, "", Reason::Undetermined, false);
}

#[test]
fn a_passing_trouble_is_never_hard() {
    check(Some("4.0.0"), "550 user unknown", Reason::UserUnknown, false);
    check(None, "450 4.1.1 user unknown", Reason::UserUnknown, false);
    check(None, "451 4.1.2 domain not found", Reason::HostUnknown, false);
}

#[test]
fn a_user_refused_after_the_message_is_known() {
    check(None, "host mx.example.jp said: 550 unknown user (in reply to end of DATA command)", Reason::Filtered, false);
    check(
        None,
        "host mx.example.jp said: 550 5.1.1 unknown (in reply to end of DATA command)",
        Reason::UserUnknown,
        true,
    );
    check(None, ">>> DATA <<< 550 Unknown user taro@example.jp", Reason::Filtered, false);
    let at_rcpt = ">>> DATA <<< 550 unknown user 550 5.1.1 <taro@example.jp>... User unknown";
    check(Some("5.1.1"), at_rcpt, Reason::UserUnknown, true);
    check(None, "550 : User unknown", Reason::Filtered, false);
}

#[track_caller]
fn check_reply(text: &str, code: Option<u16>, said: &str) {
    assert_eq!(reply_in(text), (code, said), "{text}");
}

#[test]
fn the_reply_in_a_text_is_found() {
    check_reply("host a said: 550 5.1.1 no (in reply to RCPT)", Some(550), "550 5.1.1 no (in reply to RCPT)");
    check_reply("450 busy 551 gone 503 what", Some(551), "551 gone 503 what");
    check_reply("after 500 bytes", Some(500), "500 bytes");
    check_reply("192.0.2.550 is no code, nor 15501 or 5.5.0", None, "192.0.2.550 is no code, nor 15501 or 5.5.0");
    check_reply("wait 480 minutes", None, "wait 480 minutes");
    check_reply("said [550]", Some(550), "550]");
}

#[track_caller]
fn check_enhanced(text: &str, want: Option<&str>) {
    assert_eq!(enhanced_in(text).map(|code| code.to_string()).as_deref(), want, "{text}");
}

#[test]
fn enhanced_codes_are_told_from_addresses_and_versions() {
    check_enhanced("no (#5.1.1)", Some("5.1.1"));
    check_enhanced("550-5.7.26 no", Some("5.7.26"));
    check_enhanced("the end is 5.4.4.", Some("5.4.4"));
    check_enhanced("from 5.1.1.1 or 15.1.1", None);
    check_enhanced("v5.1.1 and 2.1.5", None);
}

#[test]
fn the_codes_of_joined_lines_are_no_words() {
    let plain = |text: &str| without_marks(text.to_owned());
    assert_eq!(
        plain("at 192.0.2.4: 550-5.1.1 does not 550-5.1.1 exist 550 5.1.1 here"),
        "at 192.0.2.4: 550-5.1.1 does not exist here"
    );
    assert_eq!(plain("550-no such 550-user 550 here"), "550-no such user 550 here");
    assert_eq!(plain("450 busy 551 gone"), "450 busy 551 gone");
    assert_eq!(plain("550-a 551-b 550-"), "550-a 551-b ");
    assert_eq!(plain("飛-450-飛"), "飛-450-飛");
}

#[test]
fn a_filter_may_hide_behind_words_that_are_passed_on() {
    check(None, "Relay said: 550 user unknown", Reason::Filtered, false);
    check(None, "Relay said to RCPT TO: 550 user unknown", Reason::UserUnknown, true);
    check(None, "Relay said: 550 5.1.1 user unknown", Reason::UserUnknown, true);
    check(None, "550 user unknown", Reason::UserUnknown, true);
    let report = Evidence { words: "It said: 550 user unknown", origin: Origin::Report, ..Evidence::default() };
    assert!(RULES.judge(&report).is_hard());
}
