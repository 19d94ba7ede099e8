//! How is the server tested that takes an account's mail?

use super::{Halt, Met, NotTested, Tools, Trial};
use crate::{
    accounts::{live, pop_gate::PopGate, tokens::TokenError},
    compose::{identity::Identity, message::compose},
    domain::{
        account::SignIn,
        address::Address,
        charset::Charset,
        ids::JobId,
        mail::{Draft, Envelope, Mailbox, Message},
        reply::Reply,
        secret::Secret,
        verdict::Phase,
    },
    policy::quota::permit::Need,
    wire::{
        smtp::{Credentials, Session},
        steps::{self, Dialogue, StepName},
    },
};

const SUBJECT: &str = "Hikyaku test";
const TEXT: &str = "This is a test mail of Hikyaku. Its account can send.\n";

/// Signs in, and sends a test mail when there is somebody to send it to.
pub(super) async fn walk(tools: &Tools, trial: &Trial) -> Result<(), Halt> {
    let mut provider = live::provider(&trial.settings, &tools.host_name).map_err(Met::setup)?;
    if let Credentials::Token { token, .. } = &mut provider.sign_in {
        *token = access_token(tools, trial).await?;
    }
    if let SignIn::PopBeforeSmtp(pop) = &trial.settings.sign_in {
        let gate = PopGate::new(pop).map_err(Met::setup)?;
        gate.pass(&*tools.dial).await.map_err(Met::obstacle)?;
    }
    let mut session = Session::open(&provider, &*tools.dial).await.map_err(Met::obstacle)?;
    if let Some(recipient) = &trial.recipient {
        send(&mut session, tools, trial, recipient).await?;
    }
    session.quit().await;
    Ok(())
}

/// A token for the settings: the account's own, where they sign in as it does.
pub(super) async fn access_token(tools: &Tools, trial: &Trial) -> Result<Secret<String>, Halt> {
    let step = steps::begin(StepName::Token);
    let own = trial.stored.as_ref().filter(|account| account.settings.sign_in == trial.settings.sign_in);
    let got = match (own, &trial.settings.sign_in) {
        (Some(account), _) => tools.tokens.token(account).await,
        (None, SignIn::OAuth2(oauth)) => tools.tokens.untried(oauth).await,
        (None, _) => return Err(Met::token(crate::wire::oauth::OauthError::NotConsented).into()),
    };
    step.end(Dialogue::default(), got.as_ref().map(|access| format!("good until {}", access.expires_at)));
    match got {
        Ok(access) => Ok(access.token),
        Err(TokenError::Issuer(error)) => Err(Met::token(error).into()),
        Err(TokenError::Storage(error)) => Err(Halt::NotTested(error.into())),
    }
}

async fn send(session: &mut Session, tools: &Tools, trial: &Trial, recipient: &Address) -> Result<(), Halt> {
    let Some(account) = &trial.stored else {
        return Err(Halt::NotTested(NotTested::NotStored));
    };
    let message = test_mail(tools, &trial.settings.from, recipient)?;
    let need = Need::message_to(1).of_bytes(message.bytes.len() as u64);
    let units = tools.desk.take_units(&account.id, need).await.map_err(|error| Halt::NotTested(error.into()))?;
    let envelope = Envelope { sender: trial.settings.from.address.clone(), recipients: vec![recipient.clone()] };
    session.ask_singly();
    let sent = transact(session, &envelope, &message).await;
    // Whatever came of it: who was asked for MAIL may have counted it.
    units.settle(tools.clock.now());
    Ok(sent?)
}

async fn transact(session: &mut Session, envelope: &Envelope, message: &Message) -> Result<(), Met> {
    let replies = session.envelope(envelope, message).await.map_err(Met::envelope)?;
    if !replies.may_send_message() {
        let refused = |reply: &Reply| reply.code() >= 400;
        let recipient = replies.recipients.into_iter().find(refused).map(|reply| (Phase::Rcpt, reply));
        let (phase, reply) = match replies.data {
            _ if refused(&replies.mail) => (Phase::Mail, replies.mail),
            Some(data) => recipient.unwrap_or((Phase::Data, data)),
            None => recipient.unwrap_or((Phase::Mail, replies.mail)),
        };
        return Err(Met::replied(phase, reply));
    }
    let reply = session.message(message).await.map_err(Met::broken)?;
    if reply.is_positive() { Ok(()) } else { Err(Met::replied(Phase::EndOfData, reply)) }
}

fn test_mail(tools: &Tools, from: &Mailbox, recipient: &Address) -> Result<Message, Met> {
    let now = tools.clock.now();
    let mut random = [0; 10];
    tools.entropy.fill(&mut random);
    let draft = Draft {
        from: from.clone(),
        reply_to: Vec::new(),
        to: vec![Mailbox { name: None, address: recipient.clone() }],
        cc: Vec::new(),
        subject: SUBJECT.to_owned(),
        text: Some(TEXT.to_owned()),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: Charset::Utf8,
    };
    // The id names no job; the message has to have one of its own.
    let identity = Identity::of_job(JobId::new(now, random), &from.address, now);
    compose(&draft, &identity).map_err(|error| Met::composing(error.to_string()))
}
