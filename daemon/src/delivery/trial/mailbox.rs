//! How is the server of an account's mailbox tested?

use super::{Contents, Halt, Met, NotTested, Tools, Trial, smtp::access_token};
use crate::{
    accounts::mailbox::auth,
    domain::account::MailboxProtocol,
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
