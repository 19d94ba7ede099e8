//! Mail addresses that are safe to put on the wire.

mod domain_name;
mod local_part;
#[cfg(test)]
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

pub use self::domain_name::{ascii_domain, is_same_domain};
use self::{domain_name::Labels, local_part::Dots};

/// Longest local part, in octets (RFC 5321 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest domain, in octets (RFC 5321 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Longest address, in octets: a path of 256 less its angle brackets (RFC 5321 4.5.3.1.3).
pub const ADDRESS_BYTES_MAX: usize = 254;

/// An address in the strict syntax of RFC 5321 4.1.2 with the UTF-8 of RFC 6531: a dot-string or a quoted string, `@`,
/// and a domain name or an address literal. It holds no control character, so it cannot inject a line.
///
/// It has one form, in which it is sent, stored and compared. The local part is quoted only where it must be (RFC 5321
/// 4.1.2: `"taro"` and `taro` are one mailbox), and beyond ASCII it is in NFC (RFC 6532 3.1). A domain beyond ASCII
/// becomes A-labels where the local part is ASCII, so that no SMTPUTF8 is needed (RFC 5891), and U-labels elsewhere. An
/// ASCII domain keeps its case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Arc<str>,
    at: u8,
}

impl Address {
    /// Reads an address as an account with lenient addresses does: besides strict ones, it takes those that Japanese
    /// carriers once issued, whose dots stand first, last or beside each other, and quotes their local parts.
    /// `a..b@docomo.ne.jp` becomes `"a..b"@docomo.ne.jp`.
    ///
    /// # Errors
    /// When the text is no address even so.
    pub fn from_lenient(text: &str) -> Result<Self, BadAddress> {
        Self::read(text, Dots::Anywhere)
    }

    /// The address as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// What stands after the `@`, in A-labels.
    #[must_use]
    pub fn ascii_domain(&self) -> Cow<'_, str> {
        match self.domain() {
            ascii if ascii.is_ascii() => Cow::Borrowed(ascii),
            unicode => ascii_domain(unicode).expect("the domain of an address was read through its A-labels"),
        }
    }

    /// Whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_internationalized(&self) -> bool {
        !self.text.is_ascii()
    }

    fn read(text: &str, dots: Dots) -> Result<Self, BadAddress> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NoAt)?;
        let local = local_part::read(local, dots)?;
        let domain = domain_name::read(domain, if local.is_ascii() { Labels::Ascii } else { Labels::Unicode })?;
        let at = u8::try_from(local.len()).map_err(|_| BadAddress::LocalPart)?;
        if local.len() + 1 + domain.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong);
        }
        let text = match (local, domain) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => text.into(),
            (local, domain) => format!("{local}@{domain}").into(),
        };
        Ok(Self { text, at })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// There is no `@`.
    #[error("has no @")]
    NoAt,
    /// The whole is longer than [`ADDRESS_BYTES_MAX`], as it was written or as it would be sent.
    #[error("is longer than 254 bytes")]
    TooLong,
    /// The local part is empty, too long, or has an ASCII character where it may not stand.
    #[error(
        "has a bad local part: 1 to 64 bytes of letters, digits and !#$%&'*+-/=?^_`{{|}}~, with single dots between"
    )]
    LocalPart,
    /// The local part would be good but for a dot that is first, last or beside another.
    #[error("has a bad local part: a dot stands first, last or beside another")]
    Dots,
    /// The local part has a character beyond ASCII that cannot be seen or means nothing.
    #[error(
        "has a bad local part: a character beyond ASCII that is invisible, unassigned, for private use, or a mark that \
         stands on nothing"
    )]
    Character,
    /// The domain is empty, too long, or not made of labels of letters, digits and inner hyphens.
    #[error("has a bad domain: labels of 1 to 63 letters, digits and inner hyphens, joined by dots")]
    Domain,
    /// The domain is internationalised, and not as UTS 46 allows.
    #[error("has a bad domain: its name beyond ASCII is none that IDNA (UTS 46) allows")]
    Idn,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Self::read(text, Dots::Between)
    }
}
