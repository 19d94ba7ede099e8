//! Which settings does a mail address suggest, given what the name system says of its domain?

use std::{fmt, num::NonZeroU16};

use super::presets::{Endpoint, Preset, Presets};
use crate::domain::{
    account::{Encryption, Host, Server},
    address::Address,
};

/// Most records of one kind that are looked at.
pub const RECORDS_MAX: usize = 20;

const PORT_SUBMISSION: NonZeroU16 = NonZeroU16::new(587).expect("not zero");
const PORT_SUBMISSIONS: NonZeroU16 = NonZeroU16::new(465).expect("not zero");

/// What the name system said of a domain. What it did not answer is as if it were not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The mail exchangers.
    pub exchangers: Vec<Exchanger>,
    /// The services, with the records of each.
    pub services: Vec<(Service, Vec<ServiceRecord>)>,
}

/// A mail exchanger (RFC 5321 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanger {
    /// The lower, the sooner it is tried.
    pub preference: u16,
    /// Its name, without a dot at its end.
    pub name: String,
}

/// A record of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The lower, the sooner it is tried.
    pub priority: u16,
    /// Of those of one priority, the higher the oftener.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, without a dot at its end; empty when the service is decidedly not offered (RFC 2782, target ".").
    pub target: String,
}

/// Services of mail that a domain may name (RFC 6186, RFC 8314 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Submission within TLS.
    Submissions,
    /// Submission with STARTTLS.
    Submission,
    /// IMAP within TLS.
    Imaps,
    /// IMAP with STARTTLS.
    Imap,
    /// POP3 within TLS.
    Pop3s,
    /// POP3 with STARTTLS.
    Pop3,
}

/// Settings that are likely right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// How they were found.
    pub found_by: FoundBy,
    /// The preset, when it is one.
    pub preset_id: Option<String>,
    /// The server that takes mail.
    pub server: Server,
    /// The POP3 server.
    pub pop3: Option<Server>,
    /// The IMAP server.
    pub imap: Option<Server>,
    /// The likely user name.
    pub user: String,
}

/// How settings were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The domain is a provider's own.
    Domain,
    /// The domain's mail goes to a provider that is known.
    MailExchanger,
    /// The domain names its services.
    ServiceRecords,
    /// By the names that are usual.
    Guess,
}

/// Proposes settings for `address`, the best first.
#[must_use]
pub fn propose(address: &Address, presets: &Presets, records: &Records) -> Vec<Proposal> {
    let domain = &*address.ascii_domain();
    let user = address.as_str();
    let by_domain = presets.by_domain(domain).and_then(|preset| of_preset(preset, FoundBy::Domain, None, user));
    if let Some(proposal) = by_domain {
        return vec![proposal];
    }
    let mut exchangers: Vec<_> = records.exchangers.iter().collect();
    exchangers.sort_by_key(|exchanger| exchanger.preference);
    let known = exchangers.iter().find_map(|exchanger| {
        let preset = presets.by_mail_exchanger(&exchanger.name)?;
        of_preset(preset, FoundBy::MailExchanger, exchanger.name.parse().ok(), user)
    });
    let by_records = of_services(records, user);
    if known.is_none() && by_records.is_none() {
        return guesses(domain, records, user);
    }
    known.into_iter().chain(by_records).collect()
}

/// `own_host` stands where the preset has none: providers of whom each customer has a server of its own take and give
/// mail by the same one.
fn of_preset(preset: &Preset, found_by: FoundBy, own_host: Option<Host>, user: &str) -> Option<Proposal> {
    let server = |endpoint: &Endpoint| {
        let host = endpoint.host.clone().or_else(|| own_host.clone())?;
        Some(Server { provider: preset.provider, ..Server::new(host, endpoint.port, endpoint.encryption) })
    };
    Some(Proposal {
        found_by,
        preset_id: Some(preset.id.clone()),
        server: server(&preset.server)?,
        pop3: preset.pop3.as_ref().and_then(server),
        imap: preset.imap.as_ref().and_then(server),
        user: user.to_owned(),
    })
}

fn of_services(records: &Records, user: &str) -> Option<Proposal> {
    // RFC 8314 3: TLS from the first byte goes before STARTTLS.
    let first = |services: [Service; 2]| services.into_iter().find_map(|service| server_of(records, service));
    Some(Proposal {
        found_by: FoundBy::ServiceRecords,
        preset_id: None,
        server: first([Service::Submissions, Service::Submission])?,
        pop3: first([Service::Pop3s, Service::Pop3]),
        imap: first([Service::Imaps, Service::Imap]),
        user: user.to_owned(),
    })
}

/// The server that a client would try first: of the lowest priority, the one of the highest weight.
fn server_of(records: &Records, service: Service) -> Option<Server> {
    let (_, found) = records.services.iter().find(|(of, _)| *of == service)?;
    let usable = found.iter().filter_map(|record| {
        let host: Host = record.target.parse().ok()?;
        Some((record, Server::new(host, NonZeroU16::new(record.port)?, service.encryption())))
    });
    let best = usable.min_by_key(|(record, _)| (record.priority, std::cmp::Reverse(record.weight)));
    best.map(|(_, server)| server)
}

/// What is usual: `smtp.DOMAIN`, by either way; nothing for a domain that decidedly has no submission.
fn guesses(domain: &str, records: &Records, user: &str) -> Vec<Proposal> {
    let is_denied = |service| {
        let found = records.services.iter().find(|(of, _)| *of == service);
        found.is_some_and(|(_, records)| !records.is_empty() && records.iter().all(|record| record.target.is_empty()))
    };
    let Ok(host) = format!("smtp.{domain}").parse::<Host>() else {
        return Vec::new();
    };
    let ways = [
        (Service::Submission, PORT_SUBMISSION, Encryption::StartTls),
        (Service::Submissions, PORT_SUBMISSIONS, Encryption::Tls),
    ];
    let open = ways.into_iter().filter(|(service, ..)| !is_denied(*service));
    let guess = |(_, port, encryption)| Proposal {
        found_by: FoundBy::Guess,
        preset_id: None,
        server: Server::new(host.clone(), port, encryption),
        pop3: None,
        imap: None,
        user: user.to_owned(),
    };
    open.map(guess).collect()
}

impl Service {
    /// All services.
    pub const ALL: [Self; 6] = [Self::Submissions, Self::Submission, Self::Imaps, Self::Imap, Self::Pop3s, Self::Pop3];

    /// What stands before the domain in the name that is asked for.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Submissions => "_submissions._tcp",
            Self::Submission => "_submission._tcp",
            Self::Imaps => "_imaps._tcp",
            Self::Imap => "_imap._tcp",
            Self::Pop3s => "_pop3s._tcp",
            Self::Pop3 => "_pop3._tcp",
        }
    }

    const fn encryption(self) -> Encryption {
        match self {
            Self::Submissions | Self::Imaps | Self::Pop3s => Encryption::Tls,
            Self::Submission | Self::Imap | Self::Pop3 => Encryption::StartTls,
        }
    }
}

impl FoundBy {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::MailExchanger => "mx",
            Self::ServiceRecords => "srv",
            Self::Guess => "guess",
        }
    }
}

impl fmt::Display for Exchanger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.preference, self.name)
    }
}

impl fmt::Display for ServiceRecord {
    /// In the order of RFC 2782: priority, weight, port, target.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, weight, port, target } = self;
        write!(f, "{priority} {weight} {port} {}", if target.is_empty() { "." } else { target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanger(preference: u16, name: &str) -> Exchanger {
        Exchanger { preference, name: name.to_owned() }
    }

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> ServiceRecord {
        ServiceRecord { priority, weight, port, target: target.to_owned() }
    }

    /// Each proposal as `found-by preset host:port encryption`, and the mailbox servers.
    fn shown(address: &str, records: &Records) -> Vec<String> {
        let address: Address = address.parse().expect(address);
        let server = |server: &Server| format!("{}:{} {:?}", server.host, server.port, server.encryption);
        let one = |proposal: &Proposal| {
            assert_eq!(proposal.user, address.as_str());
            let preset = proposal.preset_id.as_deref().unwrap_or("-");
            let optional = |found: &Option<Server>| found.as_ref().map_or("-".to_owned(), server);
            let (pop3, imap) = (optional(&proposal.pop3), optional(&proposal.imap));
            format!("{} {preset} {} | {pop3} | {imap}", proposal.found_by.as_str(), server(&proposal.server))
        };
        propose(&address, Presets::built_in(), records).iter().map(one).collect()
    }

    #[test]
    fn a_providers_own_domain_is_enough() {
        let found = shown("me@Gmail.com", &Records::default());
        let expected = "domain gmail smtp.gmail.com:587 StartTls | pop.gmail.com:995 Tls | imap.gmail.com:993 Tls";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_known_mail_exchanger_goes_before_service_records() {
        let records = Records {
            exchangers: vec![exchanger(20, "mx.example.jp"), exchanger(5, "x-jp.mail.protection.outlook.com")],
            services: vec![(Service::Submission, vec![record(0, 1, 587, "smtp.example.jp")])],
        };
        let found = shown("me@example.jp", &records);
        assert!(found[0].starts_with("mx microsoft365 smtp.office365.com:587 StartTls"), "{found:?}");
        assert_eq!(found[1..], ["srv - smtp.example.jp:587 StartTls | - | -"]);
    }

    #[test]
    fn where_each_customer_has_a_server_the_exchanger_is_it() {
        let records = Records { exchangers: vec![exchanger(10, "sv9.xserver.jp")], ..Records::default() };
        let expected = "mx xserver sv9.xserver.jp:465 Tls | sv9.xserver.jp:995 Tls | sv9.xserver.jp:993 Tls";
        assert_eq!(shown("me@example.jp", &records), [expected]);
    }

    #[test]
    fn of_service_records_tls_the_lowest_priority_and_the_highest_weight_win() {
        let submissions = vec![
            record(10, 99, 465, "backup.example.jp"),
            record(0, 1, 465, "light.example.jp"),
            record(0, 9, 4_465, "heavy.example.jp"),
        ];
        let records = Records {
            exchangers: vec![exchanger(10, "mx.example.jp")],
            services: vec![
                (Service::Submission, vec![record(0, 1, 587, "plain.example.jp")]),
                (Service::Submissions, submissions),
                (Service::Imaps, vec![record(0, 0, 0, "")]),
                (Service::Imap, vec![record(0, 0, 143, "imap.example.jp")]),
                (Service::Pop3s, vec![record(0, 0, 995, "pop.example.jp")]),
            ],
        };
        let expected = "srv - heavy.example.jp:4465 Tls | pop.example.jp:995 Tls | imap.example.jp:143 StartTls";
        assert_eq!(shown("me@example.jp", &records), [expected]);
    }

    #[test]
    fn without_any_record_the_usual_names_are_guessed() {
        let expected = ["guess - smtp.example.jp:587 StartTls | - | -", "guess - smtp.example.jp:465 Tls | - | -"];
        assert_eq!(shown("me@example.jp", &Records::default()), expected);
        assert!(shown("me@[192.0.2.1]", &Records::default()).is_empty());
    }

    #[test]
    fn what_a_domain_decidedly_does_not_offer_is_not_guessed() {
        let none = |service| (service, vec![record(0, 0, 0, "")]);
        let records =
            Records { exchangers: vec![], services: vec![none(Service::Submission), none(Service::Submissions)] };
        assert!(shown("me@example.jp", &records).is_empty());
    }

    #[test]
    fn records_that_name_no_host_are_passed_over() {
        let services = vec![(Service::Submission, vec![record(0, 0, 587, "a b"), record(1, 0, 587, "ok.example.jp")])];
        let records = Records { exchangers: vec![], services };
        assert_eq!(shown("me@example.jp", &records), ["srv - ok.example.jp:587 StartTls | - | -"]);
    }
}
