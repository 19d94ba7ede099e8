//! Which id did a provider give a message when it took it? Bounces may bring that one back, and not ours.

use std::str::FromStr;

use crate::domain::mail::MessageId;

/// Longest id that is kept, in bytes.
const ID_BYTES_MAX: usize = 250;
/// Least length of what stands before the `@` of an id, in bytes: what is shorter may be an address.
const UNIQUE_BYTES_MIN: usize = 10;
/// What Amazon SES writes into Message-ID stands before this domain, or before a region's name and it.
const AMAZON_DOMAIN: &str = "amazonses.com";

/// The id in the reply to the final dot, without angle brackets, if it has one. That of Amazon SES has no domain: see
/// [`without_amazon_domain`].
///
/// Providers write down what they put into Message-ID (Exchange, Outlook), or a part of it (SES). Ids of their queues, as of
/// Postfix or Gmail, stand in no message, and are not looked for.
#[must_use]
pub fn provider_id(reply: &str) -> Option<&str> {
    in_brackets(reply).or_else(|| of_amazon(reply)).filter(|id| id.len() <= ID_BYTES_MAX)
}

/// The id of a message that Amazon SES took, as [`provider_id`] finds it, of the Message-ID in what comes back; nothing when it is
/// none of SES.
#[must_use]
pub fn without_amazon_domain(message_id: &str) -> Option<&str> {
    let (id, domain) = message_id.rsplit_once('@')?;
    let domain = domain.to_ascii_lowercase();
    let region = domain.strip_suffix(AMAZON_DOMAIN)?;
    let is_known = region.is_empty() || region == "email." || region.split('.').count() == 2 && region.ends_with('.');
    (is_known && is_amazon_id(id)).then_some(id)
}

/// An id in angle brackets, as `250 2.6.0 <id@host> [InternalId=…] Queued mail for delivery` has it.
fn in_brackets(reply: &str) -> Option<&str> {
    let candidates = reply.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    let mut ids = candidates.filter(|id| MessageId::from_str(id).is_ok());
    ids.find(|id| {
        let unique = id.rsplit_once('@').map_or("", |(unique, _)| unique);
        unique.len() >= UNIQUE_BYTES_MIN && unique.bytes().any(|byte| byte.is_ascii_digit())
    })
}

/// The id in `250 Ok 0100018f3c…-000000`.
fn of_amazon(reply: &str) -> Option<&str> {
    let mut words = reply.get(3..)?.split_ascii_whitespace();
    words.find(|word| is_amazon_id(word))
}

/// Sixteen hexadecimal digits, a UUID, and six digits.
fn is_amazon_id(word: &str) -> bool {
    const LENGTHS: [usize; 7] = [16, 8, 4, 4, 4, 12, 6];
    let is_part = |(part, length): (&str, usize)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    word.split('-').count() == LENGTHS.len() && word.split('-').zip(LENGTHS).all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SES: &str = "0100018f3c2b1a44-1d29e4d6-37f6-4b88-9b8d-0cbe9cb8a3d5-000000";

    #[track_caller]
    fn check(reply: &str, expected: Option<&str>) {
        assert_eq!(provider_id(reply), expected, "{reply}");
    }

    #[test]
    fn ids_are_found_in_the_words_of_providers() {
        check(
            "250 2.0.0 OK <TYCPR01MB1234ABCD@TYCPR01MB1234.jpnprd01.prod.outlook.com> [Hostname=TYCPR01MB1234.jpnprd01.prod.outlook.com]",
            Some("TYCPR01MB1234ABCD@TYCPR01MB1234.jpnprd01.prod.outlook.com"),
        );
        check(
            "250 2.6.0 <4f0c2a55a8d54a2db3b1@MAIL01.corp.example> [InternalId=12345, Hostname=MAIL01] Queued mail for delivery",
            Some("4f0c2a55a8d54a2db3b1@MAIL01.corp.example"),
        );
        check(&format!("250 Ok {SES}"), Some(SES));
        check(&format!("250-2.0.0 taken\n250 Ok {SES}"), Some(SES));
    }

    #[test]
    fn ids_of_queues_and_addresses_are_none() {
        for reply in [
            "250 2.0.0 OK  1700000000 d9443c01a7336-1a2b3c4d5e6f.4 - gsmtp",
            "250 2.0.0 Ok: queued as 4RZ7Yw1dC5z9rxR",
            "250 2.1.5 <taro@example.jp> accepted for delivery",
            "250 OK id=1qXyZ0-0001Ab-2c",
            "250 2.0.0 3k2j1h0g9f-1 Message accepted for delivery",
            "250 Great success",
            "250",
            "250 <",
            "250 <>",
            "250 Ok 0100018f3c2b1a44-1d29e4d6-37f6-4b88-9b8d-0cbe9cb8a3d5",
            "250 Ok 0100018f3c2b1a4g-1d29e4d6-37f6-4b88-9b8d-0cbe9cb8a3d5-000000",
        ] {
            check(reply, None);
        }
        let long = format!("250 <{}1@x.jp>", "a".repeat(ID_BYTES_MAX));
        check(&long, None);
    }

    #[test]
    fn what_ses_writes_into_message_id_leads_to_its_id() {
        for (domain, expected) in [
            ("email.amazonses.com", Some(SES)),
            ("eu-west-1.amazonses.com", Some(SES)),
            ("amazonses.com", Some(SES)),
            ("AP-NORTHEAST-1.AmazonSES.com", Some(SES)),
            ("evilamazonses.com", None),
            ("a.b.amazonses.com", None),
            ("example.jp", None),
        ] {
            assert_eq!(without_amazon_domain(&format!("{SES}@{domain}")), expected, "{domain}");
        }
        assert_eq!(without_amazon_domain("taro@email.amazonses.com"), None);
        assert_eq!(without_amazon_domain(SES), None);
    }
}
