//! How an account's messages are composed, and which are allowed.

use crate::domain::charset::Charset;

/// What stands under every composed message; empty where nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// For the plain text.
    pub text: String,
    /// For the HTML.
    pub html: String,
}

/// How messages are composed, and which are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRules {
    /// The charset of composed messages.
    pub charset: Charset,
    /// Whether jobs may have attachments.
    pub attachments_allowed: bool,
    /// Whether recipients are named in To and Cc, and not only their addresses.
    pub recipient_names: bool,
    /// Whether recipients and Reply-To may be addresses that Japanese carriers once issued against RFC 5321, with dots
    /// first, last or beside each other: their local parts are quoted on the wire and in headers.
    pub lenient_addresses: bool,
    /// Whether a virus scanner must have passed the attachments.
    pub virus_scan_required: bool,
    /// Whether they are accepted also while no scanner answers.
    pub virus_scan_may_fail: bool,
}

impl Default for ContentRules {
    fn default() -> Self {
        Self {
            charset: Charset::Utf8,
            attachments_allowed: true,
            recipient_names: true,
            lenient_addresses: false,
            virus_scan_required: false,
            virus_scan_may_fail: false,
        }
    }
}
