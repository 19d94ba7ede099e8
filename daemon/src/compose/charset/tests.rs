//! Which charset is chosen, and that its words and bodies say what was written.

use encoding_rs::ISO_2022_JP;
use proptest::prelude::*;

use super::*;

fn decoded(bytes: &[u8]) -> String {
    let (text, _, wrong) = ISO_2022_JP.decode(bytes);
    assert!(!wrong, "{bytes:?}");
    text.into_owned()
}

/// The text of a header of encoded words, read as RFC 2047 says.
fn read(field: &str) -> String {
    let words = field.split("\r\n ").map(|word| {
        assert!(word.len() <= 75, "{word}");
        let inner = word.strip_prefix("=?ISO-2022-JP?B?").and_then(|word| word.strip_suffix("?="));
        let bytes = BASE64_STANDARD.decode(inner.expect("an encoded word")).expect("base64");
        let last_escape = bytes.iter().rposition(|byte| *byte == 0x1b);
        assert!(bytes.is_ascii() && last_escape.is_none_or(|at| bytes[at..].starts_with(b"\x1b(B")), "ends in ASCII");
        decoded(&bytes)
    });
    words.collect()
}

#[track_caller]
fn check_outside(text: &str, named: &str) {
    let outside: Vec<_> = outside(text).into_iter().map(super::named).collect();
    assert_eq!(outside.join(" "), named, "{text}");
}

#[test]
fn what_vendors_added_is_not_in_it() {
    for inside in ["Hello", "日本語テキスト", "〜‖—−¢£¬", "～￠", "「」、。", "ΑБ─"] {
        check_outside(inside, "");
    }
    check_outside("①", "① (U+2460)");
    check_outside("㈱髙﨑", "㈱ (U+3231) 髙 (U+9AD9) 﨑 (U+FA11)");
    check_outside("ｶﾅ", "ｶ (U+FF76) ﾅ (U+FF85)");
    check_outside("😀é", "😀 (U+1F600) é (U+00E9)");
    check_outside("a\u{1b}$B", "U+001B");
}

#[test]
fn the_account_decides_about_them() {
    let script = |choice, text| script_for(choice, [("job.subject", text)]);
    assert_eq!(script(Charset::Utf8, "日本"), Ok(Script::Utf8));
    assert_eq!(script(Charset::Iso2022Jp, "日本"), Ok(Script::Iso2022Jp));
    assert_eq!(script(Charset::Iso2022Jp, "①"), Ok(Script::Utf8));
    assert_eq!(script(Charset::Iso2022JpReplace, "①"), Ok(Script::Iso2022Jp));
    let refused = script(Charset::Iso2022JpReject, "①②").expect_err("is outside");
    assert_eq!(refused.field, "job.subject");
    assert!(refused.reason.ends_with("① (U+2460) ② (U+2461)"), "{}", refused.reason);
}

#[track_caller]
fn check_replaced(text: &str, expected: &str) {
    assert_eq!(read(&Script::Iso2022Jp.encoded_words(text, 0)), expected);
}

#[test]
fn replacements_say_the_same() {
    check_replaced("ｶﾞｷﾞﾊﾟｱ｡", "ガギパア。");
    check_replaced("①⑳㈱Ⅳⅷ", "(1)(20)(株)IVviii");
    check_replaced("髙橋﨑", "高橋崎");
    check_replaced("a😀👍🏽b", "a〓〓b");
    check_replaced("10〜20", "10～20");
}

#[test]
fn long_lines_go_in_base64_and_others_as_they_are() {
    let part =
        |text: &str| String::from_utf8(Script::Iso2022Jp.part("plain", text.to_owned()).formatted()).expect("ASCII");
    let short = part("日本\r\nabc");
    assert!(short.contains("charset=iso-2022-jp") && short.contains("7bit"), "{short}");
    let body = short.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(decoded(body.as_bytes()).trim_end(), "日本\r\nabc");
    assert!(body.starts_with("\x1b$B") && body.contains("\x1b(B\r\nabc"), "each line ends in ASCII: {body:?}");
    let middling = part(&"日".repeat(400));
    assert!(middling.contains("7bit"), "{middling}");
    let long = part(&"日".repeat(600));
    assert!(long.contains("base64"), "{long}");
}

proptest! {
    #[test]
    fn words_never_split_a_character(text in "[ -~あ-んア-ンー日本語飛脚便、。]{0,200}") {
        prop_assume!(outside(&text).is_empty());
        if !text.is_empty() {
            prop_assert_eq!(read(&Script::Iso2022Jp.encoded_words(&text, 0)), text);
        }
    }

    #[test]
    fn any_text_becomes_seven_bits(text: String) {
        let bytes = iso_2022_jp(&text);
        prop_assert!(bytes.is_ascii());
        prop_assert!(outside(&decoded(bytes.as_bytes())).is_empty());
    }
}
