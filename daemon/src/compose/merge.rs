//! How one content becomes a message for each of many.
//!
//! Everything that could go wrong is found before a job is taken: [`read_template`] refuses what is no template,
//! [`Renderer::new`] what can be written into no message, and [`Renderer::check`] what a recipient brings.

mod templates;

use std::sync::Arc;

use bytes::Bytes;
use lettre::message::{Body, SinglePart, header::ContentTransferEncoding};

use super::{
    charset::{Script, script_for, texts_of},
    check::{HEADER_VALUE_BYTES_MAX, check_draft},
    encode::text_field,
    identity::{ComposeError, Identity},
    message::{Files, body, check_lines, custom_fields, header, html_part, receiver_fields, sender_fields, text_part},
    template::has_template,
};
use crate::domain::{
    charset::Charset,
    ids::{JobId, MessageKey},
    mail::{Draft, Mailbox, Message},
    merge::{MERGE_VALUES_BYTES_MAX, MergeRecipient, MergeTemplate},
    time::Timestamp,
};
use templates::{Filled, Templates, Uses};

/// Most bytes of the fields and boundaries that no template has a hand in, To included.
const FRAME_BYTES_MAX: usize = 8 * 1_024;

/// Renderers that are kept: each holds the files of its job.
const RENDERERS_KEPT_MAX: usize = 4;

/// Reads the templates of a draft, which are in the language of Jinja: its subject, text and HTML, and the places by which
/// readers leave its list.
///
/// # Errors
/// The first template with a mistake, and where that is; a header that looks like a template, which it would not be.
pub fn read_template(draft: Draft) -> Result<MergeTemplate, ComposeError> {
    let mut variables = Vec::new();
    Templates::parse(&draft, &mut variables)?;
    for (index, (_, value)) in draft.headers.iter().enumerate() {
        if has_template(value) {
            let field = format!("job.headers[{index}].value");
            return Err(ComposeError::new(field, "has a {{, {% or {#, but headers are no templates"));
        }
    }
    Ok(MergeTemplate { draft, variables, forbid_dkim: false })
}

/// Composes one message of a merge job. Whoever composes several keeps a [`Renderer`].
///
/// # Errors
/// None for a template that [`read_template`] and [`Renderer::new`] took and a recipient that [`Renderer::check`] took.
pub fn render(
    template: &MergeTemplate,
    recipient: &MergeRecipient,
    identity: &Identity,
) -> Result<Message, ComposeError> {
    Renderer::new(template, identity.job)?.render(recipient, identity)
}

/// The content of a merge job, made ready to be filled in: templates are read, files encoded, and all that is the same
/// in each message is written.
#[derive(Clone, Debug)]
pub struct Renderer {
    templates: Templates,
    variables: Arc<[String]>,
    /// Where the values of each variable go, when the templates are plain.
    uses: Vec<Uses>,
    charset: Charset,
    /// The fields that are the same in each message, in UTF-8.
    fields: Fields,
    /// The same in ISO-2022-JP; nothing when no message can be written in it.
    japanese_fields: Option<Fields>,
    frame: Frame,
    /// Most bytes of a message without what its templates make of values; of those that are not plain, without anything.
    bytes_max: usize,
}

/// Fields of the header that no recipient changes.
#[derive(Clone, Debug, Default)]
struct Fields {
    senders: String,
    custom: String,
}

/// The body around the parts that differ.
#[derive(Clone, Debug)]
struct Frame {
    before: Vec<u8>,
    /// Between text and HTML, when there is HTML.
    between: Vec<u8>,
    after: Vec<u8>,
}

impl Renderer {
    /// Makes the content of a job ready.
    ///
    /// # Errors
    /// The first field of the draft that can be written into no message, as when it is composed for one.
    pub fn new(template: &MergeTemplate, job: JobId) -> Result<Self, ComposeError> {
        let MergeTemplate { draft, variables, .. } = template;
        let first = MessageKey { job, index: 0 };
        check_draft(draft, &Identity::of_merge(first, String::new(), &draft.from.address, Timestamp::EPOCH))?;
        let mut known = variables.clone();
        let templates = Templates::parse(draft, &mut known)?;
        if known.len() > variables.len() {
            return Err(ComposeError::new("job", "its templates use variables that are not in its list"));
        }
        let uses = (0..variables.len()).map(|index| templates.uses_of(index)).collect();
        let fields = Fields::new(draft, Script::Utf8);
        // A template's own marks are ASCII, so they never keep it out of a charset.
        let is_japanese = script_for(draft.charset, texts_of(draft))? == Script::Iso2022Jp;
        let japanese_fields = is_japanese.then(|| Fields::new(draft, Script::Iso2022Jp));
        let frame = Frame::new(draft, job, if is_japanese { Script::Iso2022Jp } else { Script::Utf8 })?;
        let other = japanese_fields.clone().unwrap_or_default();
        let fixed = [&*fields.senders, &*fields.custom, &*other.senders, &*other.custom].map(str::as_bytes);
        let fixed = fixed.into_iter().chain([&*frame.before, &*frame.between, &*frame.after]);
        fixed.clone().try_for_each(check_lines)?;
        let plain_bytes_max = if templates.are_plain() { templates.fixed_bytes_max() } else { 0 };
        let bytes_max = FRAME_BYTES_MAX + fixed.map(<[u8]>::len).sum::<usize>() + plain_bytes_max;
        Ok(Self {
            templates,
            variables: variables.as_slice().into(),
            uses,
            charset: draft.charset,
            fields,
            japanese_fields,
            frame,
            bytes_max,
        })
    }

    /// The variables, in the order in which a recipient's values stand.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Whether the templates only name variables, so that [`Renderer::check`] takes next to no time.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.templates.are_plain() && !self.looks_at_made_text()
    }

    /// Whether the text that is made from the HTML has to be looked at before a recipient is taken: an entity may be put
    /// together of the template and a value.
    fn looks_at_made_text(&self) -> bool {
        self.charset == Charset::Iso2022JpReject && self.templates.may_make_entities()
    }

    /// Proves that a recipient's message can be composed, and says how many bytes it has at most. What is only `{{ name }}`
    /// is not filled in for that.
    ///
    /// # Errors
    /// The first value that is missing, cannot be written where it is used, or is too much; or the first template that
    /// cannot be filled in. The field is named from the recipient on: `variables.name`.
    pub fn check(&self, recipient: &MergeRecipient) -> Result<usize, ComposeError> {
        self.check_values(&recipient.values)?;
        let bytes_max = if self.is_plain() { self.check_plain(recipient)? } else { self.check_filled(recipient)? };
        Ok(self.bytes_max + bytes_max)
    }

    /// Composes the message of a recipient. The same recipient and identity give the same bytes.
    ///
    /// # Errors
    /// None for a recipient that [`Renderer::check`] took.
    pub fn render(&self, recipient: &MergeRecipient, identity: &Identity) -> Result<Message, ComposeError> {
        let Own { header, text, html } = self.own(recipient, identity)?;
        let Frame { before, between, after } = &self.frame;
        let bytes = [header.as_bytes(), before, &text, between, &html, after].concat();
        let is_eight_bit = !bytes.is_ascii();
        Ok(Message { bytes: Bytes::from(bytes), is_eight_bit })
    }

    /// The length of what [`Renderer::render`] would give, in bytes. Large files are not touched.
    ///
    /// # Errors
    /// As [`Renderer::render`].
    pub fn message_bytes(&self, recipient: &MergeRecipient, identity: &Identity) -> Result<usize, ComposeError> {
        let Own { header, text, html } = self.own(recipient, identity)?;
        let Frame { before, between, after } = &self.frame;
        Ok(header.len() + before.len() + text.len() + between.len() + html.len() + after.len())
    }

    fn check_values(&self, values: &[Option<String>]) -> Result<(), ComposeError> {
        if values.len() != self.variables.len() {
            let reason = format!("has {} values for {} variables", values.len(), self.variables.len());
            return Err(ComposeError::new("variables", reason));
        }
        let mut bytes = 0;
        for (value, name) in values.iter().zip(&*self.variables) {
            let value = value.as_deref().unwrap_or_default();
            bytes += value.len();
            if value.as_bytes().contains(&0) {
                return Err(ComposeError::new(format!("variables.{name}"), "has a NUL character"));
            }
        }
        if bytes > MERGE_VALUES_BYTES_MAX {
            let reason = format!("its values have {bytes} bytes together, more than {MERGE_VALUES_BYTES_MAX}");
            return Err(ComposeError::new("variables", reason));
        }
        Ok(())
    }

    /// Most bytes that plain templates make of the values.
    fn check_plain(&self, recipient: &MergeRecipient) -> Result<usize, ComposeError> {
        let mut bytes_max = self.templates.check_plain(&self.variables, &recipient.values)?;
        let mut subject_bytes = self.templates.subject_fixed_bytes();
        for ((value, uses), name) in recipient.values.iter().zip(&self.uses).zip(&*self.variables) {
            let value = value.as_deref().unwrap_or_default();
            subject_bytes += value.len() * uses.subject;
            bytes_max += value.len() * uses.bytes_per_byte();
            if uses.subject > 0 && value.chars().any(char::is_control) {
                let reason = "stands in the subject and has a control character, such as a line break";
                return Err(ComposeError::new(format!("variables.{name}"), reason));
            }
        }
        if self.charset == Charset::Iso2022JpReject {
            let named = self.variables.iter().map(|name| format!("variables.{name}")).collect::<Vec<_>>();
            let values = recipient.values.iter().map(|value| value.as_deref().unwrap_or_default());
            let name = recipient.name.as_deref().map(|name| ("name", name));
            script_for(self.charset, named.iter().map(String::as_str).zip(values).chain(name))?;
        }
        check_subject_bytes(subject_bytes)?;
        Ok(bytes_max)
    }

    /// Most bytes of what the templates make of the values, which is looked at.
    fn check_filled(&self, recipient: &MergeRecipient) -> Result<usize, ComposeError> {
        let filled = self.templates.fill(&self.variables, &recipient.values)?;
        let wrong = |reason: &str| ComposeError::new("variables", reason);
        if filled.subject.chars().any(char::is_control) {
            return Err(wrong("the subject would have a control character, such as a line break"));
        }
        // A template can spell out what no value may have.
        if filled.texts().any(|text| text.contains('\0')) {
            return Err(wrong("the text would have a NUL character"));
        }
        check_subject_bytes(filled.subject.len())?;
        if self.charset == Charset::Iso2022JpReject {
            let name = recipient.name.as_deref().map(|name| ("name", name));
            let made = filled.made_text();
            let texts = filled.texts().chain(made.as_deref());
            script_for(self.charset, texts.map(|text| ("variables", text)).chain(name))?;
        }
        Ok(filled.bytes_max())
    }

    /// The charset of a recipient's message: one character outside ISO-2022-JP makes that message, and no other, UTF-8.
    /// `made` is the text that was made from the HTML, whose entities may stand for what the HTML itself does not have.
    fn script_of(&self, recipient: &MergeRecipient, filled: &Filled, made: Option<&str>) -> (Script, &Fields) {
        let Some(fields) = &self.japanese_fields else { return (Script::Utf8, &self.fields) };
        let is_japanese = |texts: &mut dyn Iterator<Item = &str>| {
            script_for(self.charset, texts.map(|text| ("variables", text))) == Ok(Script::Iso2022Jp)
        };
        let name = recipient.name.as_deref();
        let is_japanese = if self.templates.are_plain() {
            is_japanese(&mut recipient.values.iter().flatten().map(String::as_str).chain(name).chain(made))
        } else {
            is_japanese(&mut filled.texts().chain(name).chain(made))
        };
        if is_japanese { (Script::Iso2022Jp, fields) } else { (Script::Utf8, &self.fields) }
    }

    fn own(&self, recipient: &MergeRecipient, identity: &Identity) -> Result<Own, ComposeError> {
        let filled = self.templates.fill(&self.variables, &recipient.values)?;
        let to = Mailbox { name: recipient.name.clone(), address: recipient.address.clone() };
        let made = filled.made_text();
        let (script, fields) = self.script_of(recipient, &filled, made.as_deref());
        let Filled { subject, text, html, leave } = filled;
        let receivers = receiver_fields(std::slice::from_ref(&to), &[], script);
        let subject = text_field("Subject", &subject, script);
        let header = header(&fields.senders, &receivers, &subject, &[&*fields.custom, &leave].concat(), identity);
        let text = text_part(&text.or(made).unwrap_or_default(), script);
        let html = html.map(|html| html_part(&html, script).formatted()).unwrap_or_default();
        Ok(Own { header, text: text.formatted(), html })
    }
}

fn check_subject_bytes(bytes: usize) -> Result<(), ComposeError> {
    if bytes > HEADER_VALUE_BYTES_MAX {
        let reason = format!("its subject would be longer than {HEADER_VALUE_BYTES_MAX} bytes");
        return Err(ComposeError::new("variables", reason));
    }
    Ok(())
}

/// The renderers of the jobs that were composed for last, for whoever composes a message of this job and one of that.
#[derive(Debug, Default)]
pub struct Renderers {
    /// The one that was used last is the last.
    kept: Vec<(JobId, Arc<Renderer>)>,
}

impl Renderers {
    /// The renderer of a job, if it is kept.
    pub fn of(&mut self, job: JobId) -> Option<Arc<Renderer>> {
        let place = self.kept.iter().position(|(kept, _)| *kept == job)?;
        let known = self.kept.remove(place);
        let renderer = Arc::clone(&known.1);
        self.kept.push(known);
        Some(renderer)
    }

    /// Keeps the renderer of a job, which may take its time to make, in the place of the one that was used least lately.
    pub fn keep(&mut self, job: JobId, renderer: Arc<Renderer>) {
        self.kept.retain(|(kept, _)| *kept != job);
        if self.kept.len() == RENDERERS_KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push((job, renderer));
    }
}

/// What a message has for itself.
struct Own {
    header: String,
    text: Vec<u8>,
    html: Vec<u8>,
}

impl Fields {
    fn new(draft: &Draft, script: Script) -> Self {
        Self { senders: sender_fields(draft, script), custom: custom_fields(draft, script) }
    }
}

impl Frame {
    /// Composes a body with a mark in each part's place, and keeps what is around the marks. Names of files tell their own
    /// charset, so it serves messages in both.
    fn new(draft: &Draft, job: JobId, script: Script) -> Result<Self, ComposeError> {
        let mark = SinglePart::builder().body(
            Body::new_with_encoding(format!("=_hikyaku-{job}-part"), ContentTransferEncoding::SevenBit)
                .expect("the mark is a short line of ASCII"),
        );
        let files = Files { files: &draft.attachments, script };
        let marked = body(mark.clone(), draft.html.as_ref().map(|_| mark.clone()), &files, job)?;
        let mark = mark.formatted();
        // Both parts stand before all files, so no file can be taken for a mark.
        let (before, rest) = split_once(&marked, &mark);
        let (between, after) = if draft.html.is_some() { split_once(rest, &mark) } else { (rest, &[][..]) };
        Ok(Self { before: before.to_vec(), between: between.to_vec(), after: after.to_vec() })
    }
}

fn split_once<'a>(bytes: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(mark.len()).position(|window| window == mark);
    let at = at.expect("a composed body holds the parts that it was composed of");
    (&bytes[..at], &bytes[at + mark.len()..])
}

#[cfg(test)]
mod tests;
