//! How the recipients of a merge job are kept: pages of bytes, as short as can be, each with its check sum.
//!
//! A page is the CRC-32C of what follows (big-endian), and then each recipient: the address, the name or nothing, the
//! number of values and each of them or nothing. Lengths and numbers are LEB128; that of a name or a value is one more than
//! its length, and 0 means that there is none.

use super::{BadRow, parsed::parsed};
use crate::domain::merge::MergeRecipient;

/// How many recipients a page holds; only the last one of a job may hold fewer.
pub const RECIPIENTS_PER_PAGE: u32 = 64;

const CHECK_SUM_BYTES: usize = 4;

/// Appends a page to `bytes`.
pub fn write_page(recipients: &[MergeRecipient], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; CHECK_SUM_BYTES]);
    for recipient in recipients {
        write_number(recipient.address.as_str().len(), bytes);
        bytes.extend_from_slice(recipient.address.as_str().as_bytes());
        write_text(recipient.name.as_deref(), bytes);
        write_number(recipient.values.len(), bytes);
        recipient.values.iter().for_each(|value| write_text(value.as_deref(), bytes));
    }
    let sum = crc32c::crc32c(&bytes[start + CHECK_SUM_BYTES..]);
    bytes[start..start + CHECK_SUM_BYTES].copy_from_slice(&sum.to_be_bytes());
}

/// The recipients of a page.
///
/// # Errors
/// When the check sum is wrong, or a part of the page means nothing.
pub fn read_page(page: &[u8]) -> Result<Vec<MergeRecipient>, BadRow> {
    let mut rest = Rest::of(page)?;
    let mut recipients = Vec::with_capacity(RECIPIENTS_PER_PAGE as usize);
    while !rest.0.is_empty() {
        let length = rest.number()?;
        let address = parsed("recipient", rest.text(length)?)?;
        let name = rest.optional_text()?;
        let count = rest.number()?;
        let values = (0..count).map(|_| rest.optional_text());
        recipients.push(MergeRecipient { address, name, values: values.collect::<Result<_, _>>()? });
    }
    Ok(recipients)
}

/// Whether a recipient of a page has this address, case ignored. Nothing is made of the others.
///
/// # Errors
/// When the check sum is wrong, or what is looked at means nothing.
pub fn has_address(page: &[u8], wanted: &str) -> Result<bool, BadRow> {
    let mut rest = Rest::of(page)?;
    while !rest.0.is_empty() {
        let length = rest.number()?;
        if rest.bytes(length)?.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Ok(true);
        }
        rest.skip_text()?;
        for _ in 0..rest.number()? {
            rest.skip_text()?;
        }
    }
    Ok(false)
}

fn bad(why: &str) -> BadRow {
    BadRow::new("page of recipients", why)
}

fn write_text(text: Option<&str>, bytes: &mut Vec<u8>) {
    write_number(text.map_or(0, |text| text.len() + 1), bytes);
    bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn write_number(mut number: usize, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// What a page holds behind its check sum.
    fn of(page: &'a [u8]) -> Result<Self, BadRow> {
        let (sum, rest) = page.split_first_chunk::<CHECK_SUM_BYTES>().ok_or_else(|| bad("is too short"))?;
        if crc32c::crc32c(rest) == u32::from_be_bytes(*sum) {
            Ok(Self(rest))
        } else {
            Err(bad("has a wrong check sum"))
        }
    }

    fn number(&mut self) -> Result<usize, BadRow> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = self.0.split_first().ok_or_else(|| bad("is cut"))?;
            self.0 = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(bad("has a number that is too long"))
    }

    fn skip_text(&mut self) -> Result<(), BadRow> {
        let length = self.number()?.saturating_sub(1);
        self.bytes(length).map(drop)
    }

    fn optional_text(&mut self) -> Result<Option<String>, BadRow> {
        match self.number()? {
            0 => Ok(None),
            length => self.text(length - 1).map(|text| Some(text.to_owned())),
        }
    }

    fn text(&mut self, length: usize) -> Result<&'a str, BadRow> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| bad("has a text that is none"))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], BadRow> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(|| bad("is cut"))?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(address: &str, name: Option<&str>, values: &[Option<&str>]) -> MergeRecipient {
        MergeRecipient {
            address: address.parse().unwrap(),
            name: name.map(str::to_owned),
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
        }
    }

    fn page() -> Vec<MergeRecipient> {
        vec![
            recipient("taro@example.jp", Some("山田 太郎"), &[Some("太郎"), Some(""), None, Some("7")]),
            recipient("hanako@example.com", None, &[]),
            recipient("x@example.com", Some(""), &[Some(&"v".repeat(20_000)), None]),
        ]
    }

    #[test]
    fn recipients_survive_their_page() {
        let mut bytes = b"before".to_vec();
        write_page(&page(), &mut bytes);
        assert_eq!(read_page(&bytes[6..]), Ok(page()));
        assert_eq!(read_page(&[0; 4]), Ok(vec![]));
    }

    #[test]
    fn an_address_is_found_without_reading_the_others() {
        let mut bytes = Vec::new();
        write_page(&page(), &mut bytes);
        for (wanted, expected) in [
            ("Taro@EXAMPLE.jp", true),
            ("hanako@example.com", true),
            ("x@example.com", true),
            ("太郎", false),
            ("example.com", false),
            ("", false),
        ] {
            assert_eq!(has_address(&bytes, wanted), Ok(expected), "{wanted}");
        }
        assert!(has_address(&bytes[..40], "nobody@example.jp").is_err());
    }

    #[test]
    fn a_changed_or_cut_page_is_noticed() {
        let mut bytes = Vec::new();
        write_page(&page()[..2], &mut bytes);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(read_page(&changed).is_err(), "byte {place}");
            assert!(read_page(&bytes[..place]).is_err() || place == 0, "cut at {place}");
        }
        assert!(read_page(&[]).is_err());
    }
}
