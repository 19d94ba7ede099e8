//! What does a server offer in its reply to EHLO (RFC 5321 4.1.1.1)?

/// Most mechanisms that are remembered.
const MECHANISMS_MAX: usize = 32;
/// Longest mechanism name (RFC 4422 3.1).
const MECHANISM_BYTES_MAX: usize = 20;

/// The extensions of a server, as its last reply to EHLO named them; nothing is offered in a reply to HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an extension that is offered or not")]
pub struct Offers {
    /// Commands may be sent in groups (RFC 2920).
    pub pipelining: bool,
    /// The most bytes of a message (RFC 1870). `Some(0)` when the server names no bound, nothing when it has no SIZE.
    pub size: Option<u64>,
    /// Content beyond ASCII (RFC 6152).
    pub eight_bit_mime: bool,
    /// Addresses and headers beyond ASCII (RFC 6531).
    pub smtp_utf8: bool,
    /// BDAT (RFC 3030).
    pub chunking: bool,
    /// Enhanced status codes in replies (RFC 2034).
    pub enhanced_status_codes: bool,
    /// Delivery status notifications on request (RFC 3461).
    pub dsn: bool,
    /// TLS on request (RFC 3207).
    pub start_tls: bool,
    /// The sign-in mechanisms, in capitals and in the server's order (RFC 4954).
    pub auth: Vec<String>,
}

impl Offers {
    /// Reads the lines of a reply to EHLO, codes included. Case does not matter, and `AUTH=LOGIN`, which servers wrote
    /// before RFC 4954 for the sake of old clients, counts as `AUTH LOGIN`.
    pub(super) fn from_lines(lines: &str) -> Self {
        let mut offers = Self::default();
        // The first line names the server.
        for line in lines.lines().skip(1) {
            let text = line.get(4..).unwrap_or_default().to_ascii_uppercase().replace("AUTH=", "AUTH ");
            let mut words = text.split_ascii_whitespace();
            match words.next().unwrap_or_default() {
                "PIPELINING" => offers.pipelining = true,
                "SIZE" => offers.size = Some(words.next().and_then(|max| max.parse().ok()).unwrap_or(0)),
                "8BITMIME" => offers.eight_bit_mime = true,
                "SMTPUTF8" => offers.smtp_utf8 = true,
                "CHUNKING" => offers.chunking = true,
                "ENHANCEDSTATUSCODES" => offers.enhanced_status_codes = true,
                "DSN" => offers.dsn = true,
                "STARTTLS" => offers.start_tls = true,
                "AUTH" => words.for_each(|name| offers.add_mechanism(name)),
                _ => {}
            }
        }
        offers
    }

    /// Whether the server offers this mechanism, which is named in capitals.
    #[must_use]
    pub fn offers_mechanism(&self, name: &str) -> bool {
        self.auth.iter().any(|offered| offered == name)
    }

    fn add_mechanism(&mut self, name: &str) {
        let valid = name.len() <= MECHANISM_BYTES_MAX && name.bytes().all(|b| b.is_ascii_graphic());
        if valid && self.auth.len() < MECHANISMS_MAX && !self.offers_mechanism(name) {
            self.auth.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_offer_is_read() {
        let offers = Offers::from_lines(
            "250-mx.example Hello\n250-PIPELINING\n250-size 35882577\n250-8bitmime\n250-SMTPUTF8\n250-CHUNKING\n\
             250-AUTH=LOGIN PLAIN\n250-AUTH plain XOAUTH2\n250-STARTTLS\n250-DSN\n250 ENHANCEDSTATUSCODES",
        );
        let expected = Offers {
            pipelining: true,
            size: Some(35_882_577),
            eight_bit_mime: true,
            smtp_utf8: true,
            chunking: true,
            enhanced_status_codes: true,
            dsn: true,
            start_tls: true,
            auth: ["LOGIN", "PLAIN", "XOAUTH2"].map(str::to_owned).into(),
        };
        assert_eq!(offers, expected);
    }

    #[test]
    fn the_server_name_offers_nothing() {
        assert_eq!(Offers::from_lines("250 STARTTLS"), Offers::default());
        assert_eq!(Offers::from_lines("250-PIPELINING\n250 SIZE").size, Some(0));
        assert_eq!(Offers::from_lines("250-x\n250\n250-\n飛行機\n250 NOSUCH"), Offers::default());
    }
}
