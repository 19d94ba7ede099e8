//! How is the server of an account's mailbox tested?

use super::{Contents, Halt, Met, NotTested, Tools, Trial, smtp::access_token};
use crate::{
    domain::account::{AccountSettings, IncomingMailbox, MailboxProtocol, SignIn},
    wire::{endpoint::Endpoint, imap, mailbox::MailboxAuth, pop3},
};

/// Signs in to the mailbox and looks what is in it.
pub(super) async fn look(tools: &Tools, trial: &Trial) -> Result<Contents, Halt> {
    let Some(mailbox) = &trial.settings.mailbox else {
        return Err(Halt::NotTested(NotTested::NoMailbox));
    };
    let endpoint = Endpoint::of(&mailbox.server).map_err(Met::setup)?;
    let mut auth = auth(&trial.settings, mailbox).ok_or(Halt::NotTested(NotTested::NoMailboxSignIn))?;
    if let MailboxAuth::Token { token, .. } = &mut auth {
        *token = access_token(tools, trial).await?;
    }
    let view = match mailbox.protocol {
        MailboxProtocol::Pop3 => pop3::check(&endpoint, &auth, &*tools.dial).await,
        MailboxProtocol::Imap => Box::pin(imap::check(&endpoint, &auth, &*tools.dial)).await,
    };
    let view = view.map_err(Met::mailbox)?;
    Ok(Contents { folders: view.folders, messages: view.messages })
}

/// The mailbox's own credentials, or else those of SMTP. A token is not among them yet.
fn auth(settings: &AccountSettings, mailbox: &IncomingMailbox) -> Option<MailboxAuth> {
    if let Some(own) = &mailbox.sign_in {
        return Some(MailboxAuth::Password {
            user: own.credentials.user.clone(),
            password: own.credentials.password.clone(),
            apop: own.apop,
            allow_plaintext: own.allow_plaintext,
        });
    }
    match &settings.sign_in {
        SignIn::Password { user, password, allow_plaintext, .. } => Some(MailboxAuth::Password {
            user: user.clone(),
            password: password.clone(),
            apop: false,
            allow_plaintext: *allow_plaintext,
        }),
        SignIn::OAuth2(oauth) => Some(MailboxAuth::Token {
            user: oauth.user.clone(),
            token: crate::domain::secret::Secret::new(String::new()),
            allow_plaintext: oauth.allow_plaintext,
        }),
        SignIn::PopBeforeSmtp(pop) => Some(MailboxAuth::Password {
            user: pop.credentials.user.clone(),
            password: pop.credentials.password.clone(),
            apop: pop.apop,
            allow_plaintext: pop.allow_plaintext,
        }),
        SignIn::None | SignIn::AsMailbox => None,
    }
}
