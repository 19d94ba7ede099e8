//! Times, lengths of time, texts, names and mailboxes on the wire.

use std::{
    fmt::Display,
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use hikyaku_proto::v1;

use super::violations::Violations;
use crate::domain::{
    address::{Address, BadAddress},
    mail::Mailbox,
    time::Timestamp,
};

/// Longest display name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The end of the year 9999, the last that a timestamp on the wire can name.
const TIME_MAX_SECONDS: i64 = 253_402_300_799;

/// A time on the wire.
pub(in crate::service) fn from_time(time: Timestamp) -> prost_types::Timestamp {
    let millis = time.as_millis();
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX).min(TIME_MAX_SECONDS);
    let nanos = i32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds, nanos }
}

/// A time that a caller sent, to the millisecond.
pub(in crate::service) fn to_time(
    time: prost_types::Timestamp,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let millis = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).map(|nanos| nanos / 1_000_000);
    let seconds = u64::try_from(time.seconds).ok().filter(|_| time.seconds <= TIME_MAX_SECONDS);
    let (Some(seconds), Some(millis)) = (seconds, millis) else {
        violations.add(at, "must be a time from 1970 to 9999, with 0 to 999,999,999 nanoseconds");
        return None;
    };
    Some(Timestamp::from_millis(seconds * 1_000 + millis))
}

/// A time that a caller may have sent.
pub(in crate::service) fn optional_time(
    time: Option<prost_types::Timestamp>,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Option<Timestamp>> {
    match time {
        Some(time) => to_time(time, at, violations).map(Some),
        None => Some(None),
    }
}

/// The hash that names a file, as a caller writes it.
pub(in crate::service) fn to_blob_id(text: &str, at: impl Display, violations: &mut Violations) -> Option<[u8; 32]> {
    let hash = blake3::Hash::from_hex(text).ok();
    if hash.is_none() {
        violations.add(at, "must be a BLAKE3 hash of 64 hex digits");
    }
    hash.map(|hash| *hash.as_bytes())
}

/// A length of time on the wire.
pub(in crate::service) fn from_duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0),
    }
}

/// A length of time that a caller sent, within `bounds` and to the millisecond; `default` when it sent none.
pub(in crate::service) fn to_duration(
    length: Option<prost_types::Duration>,
    default: Duration,
    bounds: &RangeInclusive<Duration>,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Duration> {
    let Some(length) = length else {
        return Some(default);
    };
    let seconds = u64::try_from(length.seconds).ok();
    let nanos = u32::try_from(length.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let exact = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    match exact.filter(|exact| bounds.contains(exact)) {
        Some(exact) if exact.subsec_nanos() % 1_000_000 == 0 => Some(exact),
        Some(_) => {
            violations.add(at, "must be a whole number of milliseconds");
            None
        }
        None => {
            let (least, most) = (InWords(*bounds.start()), InWords(*bounds.end()));
            violations.add(at, format_args!("must be from {least} to {most}"));
            None
        }
    }
}

/// A length of time as people write it.
struct InWords(Duration);

impl Display for InWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DAY_SECONDS: u64 = 24 * 3_600;
        match self.0.as_secs() {
            days if days > 0 && days % DAY_SECONDS == 0 => write!(f, "{} d", days / DAY_SECONDS),
            hours if hours > 0 && hours % 3_600 == 0 => write!(f, "{} h", hours / 3_600),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

/// A number that a caller sent, at most `most`; `default` when it sent 0.
pub(in crate::service) fn to_number(
    number: u32,
    default: NonZeroU32,
    most: u32,
    at: impl Display,
    violations: &mut Violations,
) -> Option<NonZeroU32> {
    match NonZeroU32::new(number) {
        None => Some(default),
        Some(given) if number <= most => Some(given),
        Some(_) => {
            violations.add(at, format_args!("must be from 1 to {most}"));
            None
        }
    }
}

/// A number that a caller has to send.
pub(in crate::service) fn at_least_one(
    number: u32,
    at: impl Display,
    violations: &mut Violations,
) -> Option<NonZeroU32> {
    let given = NonZeroU32::new(number);
    if given.is_none() {
        violations.add(at, "must be at least 1");
    }
    given
}

/// A large number that is not zero.
pub(in crate::service) fn at_least_one_of(
    number: u64,
    at: impl Display,
    violations: &mut Violations,
) -> Option<NonZeroU64> {
    let given = NonZeroU64::new(number);
    if given.is_none() {
        violations.add(at, "must be at least 1");
    }
    given
}

/// A port that a caller sent; nothing when it sent 0.
pub(in crate::service) fn to_port(port: u32, at: &str, violations: &mut Violations) -> Option<Option<NonZeroU16>> {
    let read = u16::try_from(port).map(NonZeroU16::new);
    read.map_err(|_| violations.add(format_args!("{at}.port"), "must be from 1 to 65535")).ok()
}

/// A text of at most `bytes_max` bytes without control characters.
pub(in crate::service) fn one_line(
    text: String,
    bytes_max: usize,
    at: impl Display,
    violations: &mut Violations,
) -> Option<String> {
    if text.len() > bytes_max {
        violations.add(at, format_args!("is longer than {bytes_max} bytes"));
        return None;
    }
    if text.chars().any(char::is_control) {
        violations.add(at, "has a line break or another control character");
        return None;
    }
    Some(text)
}

/// A name that a caller has to send.
pub(in crate::service) fn parse<T>(text: &str, at: impl Display, violations: &mut Violations) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    violations.keep(at, text.parse::<T>())
}

/// A time zone that a caller sent, as the IANA database spells it; UTC when it sent none.
pub(in crate::service) fn to_zone(given: &str, at: impl Display, violations: &mut Violations) -> Option<String> {
    let given = if given.is_empty() { "UTC" } else { given };
    // The database's own spelling, so that two spellings of one zone share one history.
    let zone = jiff::tz::TimeZone::get(given).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
    if zone.is_none() {
        violations.add(at, "must be an IANA time zone, such as \"Asia/Tokyo\"");
    }
    zone
}

/// A mailbox on the wire.
pub(in crate::service) fn from_mailbox(mailbox: &Mailbox) -> v1::Mailbox {
    v1::Mailbox { name: mailbox.name.clone().unwrap_or_default(), address: mailbox.address.as_str().to_owned() }
}

/// A mailbox that a caller sent, whose address is strict whatever the account says.
pub(in crate::service) fn to_mailbox(
    mailbox: v1::Mailbox,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Mailbox> {
    let address = mailbox.address.parse::<Address>();
    named(mailbox.name, address, None, &at, violations)
}

/// A mailbox that a caller sent, to which mail goes. An address that only a lenient account takes is read, and noted by
/// [`Violations::add_unless_lenient`]. `recipient` is its index among to, cc and bcc, when it is one of these.
pub(in crate::service) fn to_receiver(
    mailbox: v1::Mailbox,
    recipient: Option<u32>,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Mailbox> {
    let address = match mailbox.address.parse::<Address>() {
        Err(strictly @ BadAddress::Dots) => Address::from_lenient(&mailbox.address).inspect(|_| {
            let hint = format_args!("{strictly}; only accounts with content.lenient_addresses take that, and quote it");
            violations.add_unless_lenient(recipient, format_args!("{at}.address"), hint);
        }),
        strictly => strictly,
    };
    named(mailbox.name, address, recipient, &at, violations)
}

fn named(
    name: String,
    address: Result<Address, BadAddress>,
    recipient: Option<u32>,
    at: &dyn Display,
    violations: &mut Violations,
) -> Option<Mailbox> {
    let mut own = Violations::default();
    let name = one_line(name, NAME_BYTES_MAX, "name", &mut own);
    let address = own.keep("address", address);
    match own.finish(name.zip(address)) {
        Ok((name, address)) => Some(Mailbox { name: Some(name).filter(|name| !name.trim().is_empty()), address }),
        Err(found) => {
            for violation in found {
                let field = format!("{at}.{}", violation.field);
                match recipient {
                    Some(index) => violations.add_for(index, field, violation.description),
                    None => violations.add(field, violation.description),
                }
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[track_caller]
    fn check_duration(seconds: i64, nanos: i32, expected: Result<Duration, &str>) {
        let mut violations = Violations::default();
        let wire = prost_types::Duration { seconds, nanos };
        let bounds = Duration::from_secs(1)..=HOUR;
        let value = to_duration(Some(wire), Duration::ZERO, &bounds, "x", &mut violations);
        let found = violations.finish(value).map_err(|found| found[0].description.clone());
        assert_eq!(found, expected.map_err(str::to_owned), "{seconds} s {nanos} ns");
    }

    #[test]
    fn lengths_of_time_are_bounded() {
        check_duration(1, 0, Ok(Duration::from_secs(1)));
        check_duration(1, 500_000_000, Ok(Duration::from_millis(1_500)));
        check_duration(3_600, 0, Ok(HOUR));
        check_duration(3_600, 1_000_000, Err("must be from 1 s to 1 h"));
        check_duration(0, 999_000_000, Err("must be from 1 s to 1 h"));
        check_duration(-1, 0, Err("must be from 1 s to 1 h"));
        check_duration(5, -1, Err("must be from 1 s to 1 h"));
        check_duration(5, 1, Err("must be a whole number of milliseconds"));
        check_duration(i64::MAX, i32::MAX, Err("must be from 1 s to 1 h"));
    }

    #[track_caller]
    fn check_time(seconds: i64, nanos: i32, expected: Option<u64>) {
        let mut violations = Violations::default();
        let value = to_time(prost_types::Timestamp { seconds, nanos }, "x", &mut violations);
        assert_eq!(value.map(Timestamp::as_millis), expected, "{seconds} s {nanos} ns");
        assert_eq!(violations.finish(Some(())).is_err(), expected.is_none());
    }

    #[test]
    fn times_are_those_that_the_wire_can_name() {
        check_time(0, 0, Some(0));
        check_time(1_700_000_000, 123_999_999, Some(1_700_000_000_123));
        check_time(-1, 0, None);
        check_time(1, -1, None);
        check_time(1, 1_000_000_000, None);
        check_time(TIME_MAX_SECONDS, 0, Some(253_402_300_799_000));
        check_time(TIME_MAX_SECONDS + 1, 0, None);
        check_time(i64::MAX, 0, None);
    }

    #[test]
    fn times_survive_the_wire() {
        for millis in [0, 1, 1_700_000_000_123] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(to_time(from_time(time), "x", &mut Violations::default()), Some(time));
        }
        assert_eq!(from_time(Timestamp::from_millis(u64::MAX)).seconds, TIME_MAX_SECONDS);
    }

    #[test]
    fn a_mailbox_tells_all_that_is_wrong_with_it() {
        let mut violations = Violations::default();
        let wire = v1::Mailbox { name: "a\r\nBcc: x".into(), address: "nobody".into() };
        assert_eq!(to_receiver(wire, Some(3), "job.to[3]", &mut violations), None);
        let found = violations.finish(Some(())).expect_err("two mistakes");
        let fields: Vec<_> = found.iter().map(|violation| (violation.field.as_str(), violation.recipient)).collect();
        assert_eq!(fields, [("job.to[3].name", Some(3)), ("job.to[3].address", Some(3))]);
    }

    #[test]
    fn a_blank_name_is_none() {
        let wire = v1::Mailbox { name: " ".into(), address: "a@example.jp".into() };
        let mailbox = to_mailbox(wire, "from", &mut Violations::default()).expect("a mailbox");
        assert_eq!(mailbox.name, None);
    }

    #[test]
    fn an_address_that_only_a_lenient_account_takes_is_read_and_noted() {
        let wire = v1::Mailbox { name: "a".into(), address: "a..b@docomo.ne.jp".into() };
        let mut violations = Violations::default();
        let mailbox = to_receiver(wire.clone(), Some(3), "job.to[3]", &mut violations).expect("a mailbox");
        assert_eq!(mailbox.address.as_str(), "\"a..b\"@docomo.ne.jp");
        let noted = violations.take_unless_lenient().finish(Some(())).expect_err("one note").remove(0);
        assert_eq!((noted.field.as_str(), noted.recipient), ("job.to[3].address", Some(3)));
        assert!(noted.description.contains("lenient_addresses"), "{}", noted.description);
        assert_eq!(violations.finish(Some(5)), Ok(5));
        assert_eq!(to_mailbox(wire, "job.from", &mut Violations::default()), None, "a From is never lenient");
    }
}
