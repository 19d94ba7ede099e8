//! How one content becomes a message for each of many.
//!
//! Everything that could go wrong is found before a job is taken: [`read_template`] refuses what is no template,
//! [`Renderer::new`] what can be written into no message, and [`Renderer::check`] what a recipient brings.

use std::sync::Arc;

use bytes::Bytes;
use lettre::message::{Body, SinglePart, header::ContentTransferEncoding};

use super::{
    charset::{Script, script_for, texts_of},
    check::{HEADER_VALUE_BYTES_MAX, check_draft},
    encode::text_field,
    identity::{ComposeError, Identity},
    message::{body, check_lines, custom_fields, header, html_part, receiver_fields, sender_fields, text_part},
    plain_text,
    template::{Mistake, Syntax, Template, has_template},
};
use crate::domain::{
    charset::Charset,
    ids::{JobId, MessageKey},
    mail::{Draft, Mailbox, Message},
    merge::{MERGE_VALUES_BYTES_MAX, MergeRecipient, MergeTemplate},
    time::Timestamp,
};

/// Most bytes that one byte of a text takes when it is encoded: `=E9` and its share of soft line breaks, or its share of a
/// word in ISO-2022-JP whose escapes come with each second character.
const ENCODED_BYTES_PER_BYTE: usize = 5;
/// Most bytes that one byte of a value takes in HTML: `&quot;`.
const ESCAPED_BYTES_PER_BYTE: usize = 6;
/// Most bytes of the fields and boundaries that no template has a hand in, To included.
const FRAME_BYTES_MAX: usize = 8 * 1_024;

/// Renderers that are kept: each holds the files of its job.
const RENDERERS_KEPT_MAX: usize = 4;

/// Reads the templates of a draft: its subject, text and HTML, in which `{{ name }}` stands for a variable.
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
    Ok(Renderer::new(template, identity.job)?.render(recipient, identity))
}

/// The content of a merge job, made ready to be filled in: templates are read, files encoded, and all that is the same
/// in each message is written.
#[derive(Clone, Debug)]
pub struct Renderer {
    templates: Templates,
    variables: Vec<String>,
    /// Where the values of each variable go.
    uses: Vec<Uses>,
    charset: Charset,
    /// The fields that are the same in each message, in UTF-8.
    fields: Fields,
    /// The same in ISO-2022-JP; nothing when no message can be written in it.
    japanese_fields: Option<Fields>,
    frame: Frame,
    /// Most bytes of a message whose values are all empty.
    bytes_max: usize,
}

#[derive(Clone, Debug)]
struct Templates {
    subject: Template,
    text: Option<Template>,
    html: Option<Template>,
}

/// Fields of the header that no recipient changes.
#[derive(Clone, Debug, Default)]
struct Fields {
    senders: String,
    custom: String,
}

/// How often a variable is used where.
#[derive(Clone, Copy, Debug)]
struct Uses {
    subject: usize,
    text: usize,
    html: usize,
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
        check_draft(draft, &Identity::of_merge(first, &draft.from.address, Timestamp::EPOCH))?;
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
        let frame = Frame::new(draft, job)?;
        let other = japanese_fields.clone().unwrap_or_default();
        let fixed = [&*fields.senders, &*fields.custom, &*other.senders, &*other.custom].map(str::as_bytes);
        let fixed = fixed.into_iter().chain([&*frame.before, &*frame.between, &*frame.after]);
        fixed.clone().try_for_each(check_lines)?;
        let bytes_max =
            FRAME_BYTES_MAX + fixed.map(<[u8]>::len).sum::<usize>() + ENCODED_BYTES_PER_BYTE * templates.fixed_bytes();
        Ok(Self {
            templates,
            variables: variables.clone(),
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

    /// Proves that a recipient's message can be composed, and says how many bytes it has at most.
    ///
    /// # Errors
    /// The first value that cannot be written where it is used, or is too much; the field is named from the recipient
    /// on: `variables.name`.
    pub fn check(&self, recipient: &MergeRecipient) -> Result<usize, ComposeError> {
        let values = &recipient.values;
        if values.len() != self.variables.len() {
            let reason = format!("has {} values for {} variables", values.len(), self.variables.len());
            return Err(ComposeError::new("variables", reason));
        }
        let mut bytes = 0;
        let mut subject_bytes = self.templates.subject.fixed_bytes();
        let mut bytes_max = self.bytes_max;
        for ((value, uses), name) in values.iter().zip(&self.uses).zip(&self.variables) {
            bytes += value.len();
            subject_bytes += value.len() * uses.subject;
            bytes_max += value.len() * uses.bytes_per_byte();
            let wrong = |reason: &str| ComposeError::new(format!("variables.{name}"), reason);
            if uses.subject > 0 && value.chars().any(char::is_control) {
                return Err(wrong("stands in the subject and has a control character, such as a line break"));
            }
            if value.as_bytes().contains(&0) {
                return Err(wrong("has a NUL character"));
            }
        }
        if bytes > MERGE_VALUES_BYTES_MAX {
            let reason = format!("its values have {bytes} bytes together, more than {MERGE_VALUES_BYTES_MAX}");
            return Err(ComposeError::new("variables", reason));
        }
        if self.charset == Charset::Iso2022JpReject {
            let named = self.variables.iter().map(|name| format!("variables.{name}")).collect::<Vec<_>>();
            let texts = named.iter().map(String::as_str).zip(values.iter().map(String::as_str));
            let name = recipient.name.as_deref().map(|name| ("name", name));
            script_for(self.charset, texts.chain(name))?;
        }
        if subject_bytes > HEADER_VALUE_BYTES_MAX {
            let reason = format!("its subject would be longer than {HEADER_VALUE_BYTES_MAX} bytes");
            return Err(ComposeError::new("variables", reason));
        }
        Ok(bytes_max)
    }

    /// Composes the message of a recipient that [`Renderer::check`] took. The same recipient and identity give the same
    /// bytes.
    #[must_use]
    pub fn render(&self, recipient: &MergeRecipient, identity: &Identity) -> Message {
        let Own { header, text, html } = self.own(recipient, identity);
        let Frame { before, between, after } = &self.frame;
        let bytes = [header.as_bytes(), before, &text, between, &html, after].concat();
        let is_eight_bit = !bytes.is_ascii();
        Message { bytes: Bytes::from(bytes), is_eight_bit }
    }

    /// The length of what [`Renderer::render`] would give, in bytes. Large files are not touched.
    #[must_use]
    pub fn message_bytes(&self, recipient: &MergeRecipient, identity: &Identity) -> usize {
        let Own { header, text, html } = self.own(recipient, identity);
        let Frame { before, between, after } = &self.frame;
        header.len() + before.len() + text.len() + between.len() + html.len() + after.len()
    }

    /// The charset of a recipient's message: one value outside ISO-2022-JP makes that message, and no other, UTF-8.
    fn script_of(&self, recipient: &MergeRecipient) -> (Script, &Fields) {
        let texts = recipient.values.iter().map(String::as_str).chain(recipient.name.as_deref());
        match &self.japanese_fields {
            Some(fields)
                if script_for(self.charset, texts.map(|text| ("variables", text))) == Ok(Script::Iso2022Jp) =>
            {
                (Script::Iso2022Jp, fields)
            }
            _ => (Script::Utf8, &self.fields),
        }
    }

    fn own(&self, recipient: &MergeRecipient, identity: &Identity) -> Own {
        let values = &recipient.values;
        let to = Mailbox { name: recipient.name.clone(), address: recipient.address.clone() };
        let (script, fields) = self.script_of(recipient);
        let receivers = receiver_fields(std::slice::from_ref(&to), &[], script);
        let subject = text_field("Subject", &self.templates.subject.fill(values), script);
        let header = header(&fields.senders, &receivers, &subject, &fields.custom, identity);
        let html = self.templates.html.as_ref().map(|html| html.fill(values));
        let text = match (&self.templates.text, &html) {
            (Some(text), _) => text_part(&text.fill(values), script),
            (None, Some(html)) => text_part(&plain_text::from_html(html), script),
            (None, None) => text_part("", script),
        };
        let html = html.map(|html| html_part(&html, script).formatted()).unwrap_or_default();
        Own { header, text: text.formatted(), html }
    }
}

/// The renderers of the jobs that were composed for last, for whoever composes a message of this job and one of that.
#[derive(Debug, Default)]
pub struct Renderers {
    /// The one that was used last is the last.
    kept: Vec<(JobId, Arc<Renderer>)>,
}

impl Renderers {
    /// The renderer of a job, made now unless it is kept.
    ///
    /// # Errors
    /// As [`Renderer::new`].
    pub fn of(&mut self, template: &MergeTemplate, job: JobId) -> Result<Arc<Renderer>, ComposeError> {
        let known = self.kept.iter().position(|(kept, _)| *kept == job).map(|place| self.kept.remove(place).1);
        let renderer = match known {
            Some(renderer) => renderer,
            None => Arc::new(Renderer::new(template, job)?),
        };
        if self.kept.len() == RENDERERS_KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push((job, Arc::clone(&renderer)));
        Ok(renderer)
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

impl Templates {
    /// Reads the templates and adds their variables to `variables` unless they are there.
    fn parse(draft: &Draft, variables: &mut Vec<String>) -> Result<Self, ComposeError> {
        let mut parse = |field: &str, text: &str, syntax: Syntax| {
            let wrong = |found: Mistake| ComposeError::new(field, found.to_string());
            Template::parse(text, syntax, variables).map_err(wrong)
        };
        let subject = parse("job.subject", &draft.subject, Syntax::Plain)?;
        let text = draft.text.as_ref().map(|text| parse("job.text", text, Syntax::Plain)).transpose()?;
        let html = draft.html.as_ref().map(|html| parse("job.html", html, Syntax::Html)).transpose()?;
        Ok(Self { subject, text, html })
    }

    fn uses_of(&self, index: usize) -> Uses {
        let uses = |template: &Option<Template>| template.as_ref().map_or(0, |template| template.uses_of(index));
        let html = uses(&self.html);
        // Without a text of its own, the message has one that is made from the HTML.
        let text = if self.text.is_some() { uses(&self.text) } else { html };
        Uses { subject: self.subject.uses_of(index), text, html }
    }

    fn fixed_bytes(&self) -> usize {
        let fixed = |template: &Option<Template>| template.as_ref().map_or(0, Template::fixed_bytes);
        let html = fixed(&self.html);
        let text = if self.text.is_some() { fixed(&self.text) } else { 2 * html };
        self.subject.fixed_bytes() + text + html
    }
}

impl Uses {
    /// Most bytes that each byte of a value adds to the message.
    fn bytes_per_byte(&self) -> usize {
        ENCODED_BYTES_PER_BYTE * (self.subject + self.text + ESCAPED_BYTES_PER_BYTE * self.html)
    }
}

impl Frame {
    /// Composes a body with a mark in each part's place, and keeps what is around the marks.
    fn new(draft: &Draft, job: JobId) -> Result<Self, ComposeError> {
        let mark = SinglePart::builder().body(
            Body::new_with_encoding(format!("=_hikyaku-{job}-part"), ContentTransferEncoding::SevenBit)
                .expect("the mark is a short line of ASCII"),
        );
        let marked = body(mark.clone(), draft.html.as_ref().map(|_| mark.clone()), &draft.attachments, job)?;
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
