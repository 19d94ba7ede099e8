//! The recipients of a merge job as they come: each is proved to have a message that can be composed.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use hikyaku_proto::v1;
use prost::Message as _;

use crate::{
    compose::{
        dkim::{SigningKey, signature_bytes},
        identity::{ComposeError, Identity},
        merge::Renderer,
    },
    domain::{
        address::{ADDRESS_BYTES_MAX, Address},
        job::MessageFacts,
        mail::Mailbox,
        merge::{MERGE_RECIPIENTS_MAX, MergeRecipient},
    },
    service::convert::{
        values::to_receiver,
        violations::{Violation, Violations},
    },
};

/// Most recipients in one request.
pub(super) const BATCH_RECIPIENTS_MAX: usize = 1_000;

/// What the account allows its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Largest message, in bytes.
    pub(super) message_bytes_max: u64,
    /// Whether recipients are named in To.
    pub(super) recipient_names: bool,
    /// Whether addresses are taken that Japanese carriers once issued.
    pub(super) lenient_addresses: bool,
}

/// What has been read of the recipients.
#[derive(Debug)]
pub(super) struct Incoming {
    renderer: Renderer,
    identity: Identity,
    bounds: Bounds,
    /// The keys that would sign now.
    keys: Vec<Arc<SigningKey>>,
    /// How many bytes they add to each message.
    signature_bytes: u64,
    count: u32,
    first: Option<MessageFacts>,
    /// Most bytes that a message can have, of those that came.
    bytes_max: u64,
    /// A hash of each address. Two that are equal by chance among a million are one case in some ten million, and cost
    /// no more than a wrong warning.
    addresses: Vec<u64>,
}

/// All recipients, read to the end.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) recipients: u32,
    /// What the first message is like.
    pub(super) first: MessageFacts,
    /// Most bytes that each of the messages has.
    pub(super) bytes_max: u64,
    pub(super) warning: Option<String>,
}

impl Incoming {
    pub(super) const fn new(renderer: Renderer, identity: Identity, bounds: Bounds) -> Self {
        Self {
            renderer,
            identity,
            bounds,
            keys: Vec::new(),
            signature_bytes: 0,
            count: 0,
            first: None,
            bytes_max: 0,
            addresses: Vec::new(),
        }
    }

    /// With the keys that sign each message when it is sent, so that its length is known.
    pub(super) fn signed_by(self, keys: Vec<Arc<SigningKey>>) -> Self {
        Self { keys, ..self }
    }

    /// How many came so far.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether recipients are checked without filling templates in.
    pub(super) fn is_quick(&self) -> bool {
        self.renderer.is_plain()
    }

    /// The recipients of one request, checked; or what is wrong with them, by their places in the whole stream.
    pub(super) fn take(&mut self, batch: Vec<v1::MergeRecipient>) -> Result<Vec<MergeRecipient>, Vec<Violation>> {
        let mut violations = Violations::default();
        if batch.len() > BATCH_RECIPIENTS_MAX {
            let reason = format_args!("has more than {BATCH_RECIPIENTS_MAX} entries in one request");
            violations.add("recipients", reason);
            return violations.finish(None);
        }
        if self.count as usize + batch.len() > MERGE_RECIPIENTS_MAX as usize {
            violations.add("recipients", format_args!("are more than {MERGE_RECIPIENTS_MAX}"));
            return violations.finish(None);
        }
        let mut taken = Vec::with_capacity(batch.len());
        for recipient in batch {
            taken.extend(self.take_one(recipient, &mut violations));
            self.count += 1;
        }
        if self.bounds.lenient_addresses {
            violations.take_unless_lenient();
        }
        violations.finish(Some(taken))
    }

    /// What came, when that was all.
    pub(super) fn finish(self) -> Result<Whole, Vec<Violation>> {
        let mut violations = Violations::default();
        if self.first.is_none() {
            violations.add("recipients", "are none: at least one is required");
        }
        let warning = repeated(self.addresses).map(|count| {
            format!("{count} of the recipients have an address that came before: each gets a message of its own")
        });
        let (recipients, bytes_max) = (self.count, self.bytes_max);
        violations.finish(self.first.map(|first| Whole { recipients, first, bytes_max, warning }))
    }

    fn take_one(&mut self, wire: v1::MergeRecipient, violations: &mut Violations) -> Option<MergeRecipient> {
        let index = self.count;
        let v1::MergeRecipient { address, name, mut variables } = wire;
        let mailbox = v1::Mailbox { name, address };
        let mailbox = to_receiver(mailbox, None, format_args!("recipients[{index}]"), violations)?;
        let mut value = |variable: &String| variables.remove(variable).or_else(|| own(&mailbox, variable));
        let values = self.renderer.variables().iter().map(&mut value).collect();
        let Mailbox { name, address } = mailbox;
        // The values were read before: a variable may mean the name all the same.
        let name = name.filter(|_| self.bounds.recipient_names);
        let recipient = MergeRecipient { address, name, values };
        self.prove(&recipient, violations)?;
        self.addresses.push(address_hash(&recipient.address));
        Some(recipient)
    }

    /// Sees that the recipient's message can be composed, and is not too long.
    fn prove(&mut self, recipient: &MergeRecipient, violations: &mut Violations) -> Option<()> {
        let index = self.count;
        let wrong = |ComposeError { field, reason }| {
            let dot = if field.is_empty() { "" } else { "." };
            violations.add(format_args!("recipients[{index}]{dot}{field}"), reason);
        };
        self.measure(recipient).map_err(wrong).ok()
    }

    /// The same; the field of an error is named from the recipient on.
    fn measure(&mut self, recipient: &MergeRecipient) -> Result<(), ComposeError> {
        let mut bytes_max = self.renderer.check(recipient)? as u64;
        if self.first.is_none() {
            let message = self.renderer.render(recipient, &self.identity)?;
            // All messages have the same fields, so their signatures are equally long.
            self.signature_bytes = signature_bytes(&message, &self.keys, self.identity.date) as u64;
            let (bytes, is_eight_bit) = (message.bytes.len() as u64 + self.signature_bytes, message.is_eight_bit);
            self.first = Some(MessageFacts { message_id: String::new(), bytes, is_eight_bit });
        }
        bytes_max += self.signature_bytes;
        if bytes_max > self.bounds.message_bytes_max {
            // Each message has its own number, which is longer by up to six digits than the first one's, in two places.
            let bytes = self.renderer.message_bytes(recipient, &self.identity)? as u64 + self.signature_bytes + 12;
            let most = self.bounds.message_bytes_max;
            if bytes > most {
                let reason = format!("its message would have {bytes} bytes, the account allows {most}");
                return Err(ComposeError { field: String::new(), reason });
            }
            bytes_max = bytes;
        }
        self.bytes_max = self.bytes_max.max(bytes_max);
        Ok(())
    }
}

/// What a variable means that a recipient has by nature.
fn own(mailbox: &Mailbox, variable: &str) -> Option<String> {
    match variable {
        "address" => Some(mailbox.address.as_str().to_owned()),
        "name" => mailbox.name.clone(),
        _ => None,
    }
}

/// A hash of an address without regard to case.
fn address_hash(address: &Address) -> u64 {
    let mut lower = [0; ADDRESS_BYTES_MAX];
    let lower = &mut lower[..address.as_str().len()];
    lower.copy_from_slice(address.as_str().as_bytes());
    lower.make_ascii_lowercase();
    let mut hasher = DefaultHasher::new();
    hasher.write(lower);
    hasher.finish()
}

/// How many of these came before; nothing when none did.
fn repeated(mut hashes: Vec<u64>) -> Option<usize> {
    hashes.sort_unstable();
    let count = hashes.windows(2).filter(|pair| pair[0] == pair[1]).count();
    (count > 0).then_some(count)
}

/// Tells different merge jobs under one idempotency key apart, however they are cut into requests.
#[derive(Debug, Default)]
pub(super) struct PayloadHash {
    hasher: blake3::Hasher,
    bytes: Vec<u8>,
}

impl PayloadHash {
    pub(super) fn new(head: &v1::MergeHead) -> Self {
        let mut hash = Self::default();
        // No plain job's encoding begins like this.
        hash.hasher.update(b"\0merge");
        hash.hasher.update(&head.job.as_ref().map(prost::Message::encode_length_delimited_to_vec).unwrap_or_default());
        hash
    }

    pub(super) fn add(&mut self, recipient: &v1::MergeRecipient) {
        self.bytes.clear();
        recipient.encode_length_delimited(&mut self.bytes).expect("a vector grows as it must");
        self.hasher.update(&self.bytes);
    }

    pub(super) fn finish(self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests;
