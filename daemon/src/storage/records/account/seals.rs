//! How the secrets of an account are sealed: each for its account and for what it is, so that none opens elsewhere.

use crate::{domain::secret::Secret, platform::sealing::Sealer, storage::records::BadRow};

/// Seals and opens the secrets of one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seals<'a> {
    sealer: &'a Sealer,
    account: &'a str,
}

/// What a secret is. The words are a part of what is sealed, so they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Password,
    ClientSecret,
    ServiceAccount,
    PopPassword,
    MailboxPassword,
    /// The private key for a server.
    Key(Place),
    /// The password of a server's proxy.
    Proxy(Place),
}

/// Which of an account's servers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Server,
    Pop,
    Mailbox,
}

impl Purpose {
    const fn words(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientSecret => "oauth2 client secret",
            Self::ServiceAccount => "oauth2 service account",
            Self::PopPassword => "pop password",
            Self::MailboxPassword => "mailbox password",
            Self::Key(Place::Server) => "server key",
            Self::Key(Place::Pop) => "pop server key",
            Self::Key(Place::Mailbox) => "mailbox server key",
            Self::Proxy(Place::Server) => "server proxy password",
            Self::Proxy(Place::Pop) => "pop server proxy password",
            Self::Proxy(Place::Mailbox) => "mailbox server proxy password",
        }
    }
}

impl<'a> Seals<'a> {
    /// Those of the account with this id.
    pub(super) const fn new(sealer: &'a Sealer, account: &'a str) -> Self {
        Self { sealer, account }
    }

    pub(super) fn seal(self, purpose: Purpose, secret: &Secret<String>) -> Vec<u8> {
        self.sealer.seal(&self.bound_to(purpose), secret.expose().as_bytes())
    }

    pub(super) fn open(self, purpose: Purpose, sealed: &[u8]) -> Result<Secret<String>, BadRow> {
        let opened = self.sealer.open(&self.bound_to(purpose), sealed).or_else(|error| match purpose {
            // Rows of the first version had one secret, sealed for the id alone.
            Purpose::Password => self.sealer.open(self.account.as_bytes(), sealed),
            _ => Err(error),
        });
        let opened = opened.map_err(|error| BadRow::new(purpose.words(), error))?;
        let text = std::str::from_utf8(&opened).map_err(|error| BadRow::new(purpose.words(), error))?;
        Ok(Secret::new(text.to_owned()))
    }

    /// No id holds the NUL between the two.
    fn bound_to(self, purpose: Purpose) -> Vec<u8> {
        [self.account.as_bytes(), b"\0", purpose.words().as_bytes()].concat()
    }
}
