//! How addresses are read, and what holds of each that is.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{table::TABLE, *};

#[test]
fn each_row_of_the_table_is_read_as_it_says() {
    let distinct: HashSet<_> = TABLE.iter().map(|row| row.text).collect();
    assert_eq!(distinct.len(), TABLE.len(), "no row stands twice");
    assert!(TABLE.len() >= 150, "{} rows", TABLE.len());
    let wrong: Vec<_> = TABLE
        .iter()
        .filter_map(|row| {
            let (strict, lenient) = (row.text.parse::<Address>(), Address::from_lenient(row.text));
            let strict = strict.as_ref().map(Address::as_str).map_err(|error| *error);
            let lenient = lenient.as_ref().map(Address::as_str).map_err(|error| *error);
            (strict != row.strict || lenient != row.lenient).then(|| format!("{row:?}: {strict:?} {lenient:?}"))
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[track_caller]
fn check_parts(text: &str, local: &str, domain: &str, ascii_domain: &str) {
    let address: Address = text.parse().expect(text);
    assert_eq!((address.local_part(), address.domain()), (local, domain));
    assert_eq!(
        (&*address.ascii_domain(), address.is_internationalized()),
        (ascii_domain, !address.as_str().is_ascii())
    );
}

#[test]
fn an_address_is_told_by_its_parts() {
    check_parts("Taro@Example.JP", "Taro", "Example.JP", "Example.JP");
    check_parts("\"a@b\"@example.jp", "\"a@b\"", "example.jp", "example.jp");
    check_parts("taro@例え.jp", "taro", "xn--r8jz45g.jp", "xn--r8jz45g.jp");
    check_parts("太郎@例え.jp", "太郎", "例え.jp", "xn--r8jz45g.jp");
    check_parts("x@[192.0.2.1]", "x", "[192.0.2.1]", "[192.0.2.1]");
}

#[track_caller]
fn check_same(one: &str, other: &str, expected: bool) {
    assert_eq!(is_same_domain(one, other), expected, "{one} {other}");
    assert_eq!(is_same_domain(other, one), expected, "{other} {one}");
}

#[test]
fn a_domain_is_the_same_in_any_case_and_any_labels() {
    check_same("example.jp", "EXAMPLE.jp", true);
    check_same("例え.jp", "XN--r8jz45g.JP", true);
    check_same("ÉCOLE.fr", "école.fr", true);
    check_same("例え.jp", "例え.com", false);
    check_same("例え.jp", "nonsense!", false);
    check_same("[192.0.2.1]", "[192.0.2.1]", true);
}

/// Whether a text could end the path in which it stands, `<…>`, or the line.
fn breaks_out(wire: &str) -> bool {
    let mut quoted = false;
    let mut chars = wire.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_control() => return true,
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            ' ' | '<' | '>' | ',' | ';' if !quoted => return true,
            _ => {}
        }
    }
    quoted
}

fn check_safe(text: &str, read: Result<Address, BadAddress>) -> Result<(), TestCaseError> {
    let Ok(address) = read else { return Ok(()) };
    let wire = address.as_str();
    prop_assert!(!breaks_out(wire), "{text:?} {wire:?}");
    prop_assert!(wire.len() <= ADDRESS_BYTES_MAX && address.local_part().len() <= LOCAL_PART_BYTES_MAX, "{wire:?}");
    prop_assert_eq!(wire.parse::<Address>(), Ok(address.clone()), "it reads as itself");
    prop_assert_eq!(Address::from_lenient(wire), Ok(address.clone()));
    prop_assert!(address.ascii_domain().is_ascii());
    // RFC 6531 3.2: what is ASCII before the @ needs no SMTPUTF8.
    prop_assert!(!address.local_part().is_ascii() || address.domain().is_ascii(), "{wire:?}");
    Ok(())
}

/// Texts that are nearly addresses, of pieces that are good, odd or harmful.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9]{1,4}",
        "[.\"\\\\@<>() ,;:_-]",
        "[\r\n\t\0\u{7f}\u{85}\u{2028}]",
        "[\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}\u{ad}\u{e000}\u{378}]",
        "[太郎例えéßﬀＡ。．\u{301}\u{338}\u{3099}\u{212a}\u{37e}\u{5d0}]",
        "\\PC",
        Just("xn--r8jz45g".to_owned()),
        Just(".jp".to_owned()),
        Just("[IPv6:::1]".to_owned()),
    ];
    let pieces = |most| proptest::collection::vec(piece.clone(), 0..most).prop_map(|pieces| pieces.concat());
    (pieces(6), pieces(5)).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_an_address_is_safe_and_reads_as_itself(text in prop_oneof![nearly(), ".{0,40}@.{0,40}", "\\PC{0,300}"]) {
        check_safe(&text, text.parse())?;
        check_safe(&text, Address::from_lenient(&text))?;
    }

    #[test]
    fn any_text_in_quotes_is_one_address_and_no_more(content in "[ -~]{0,30}") {
        let escaped = content.replace('\\', "\\\\").replace('"', "\\\"");
        let address: Address = format!("\"{escaped}\"@example.jp").parse().expect("a quoted string");
        check_safe(&content, Ok(address))?;
    }

    #[test]
    fn a_strict_address_is_the_same_when_read_leniently(text in nearly()) {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(Address::from_lenient(&text), Ok(address));
        }
    }

    #[test]
    fn dots_in_any_place_are_quoted(local in "[a-z.]{0,10}[a-z][a-z.]{0,10}") {
        let lenient = Address::from_lenient(&format!("{local}@docomo.ne.jp")).expect("as carriers issued them");
        let quoted: Address = format!("\"{local}\"@docomo.ne.jp").parse().expect("a quoted string");
        prop_assert_eq!(&lenient, &quoted);
        prop_assert_eq!(lenient.local_part().trim_matches('"'), local);
    }
}
