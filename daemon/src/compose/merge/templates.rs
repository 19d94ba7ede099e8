//! The templates of a merge job: read together, filled in together, and what is said when one of them cannot be.

use std::sync::Arc;

use crate::{
    compose::{
        identity::ComposeError,
        list_unsubscribe::list_unsubscribe_fields,
        plain_text,
        template::{Filling, Mistake, Syntax, Template},
    },
    domain::mail::{Draft, ListUnsubscribe},
};

/// Most bytes that one byte of a text takes when it is encoded: `=E9` and its share of soft line breaks, or its share of a
/// word in ISO-2022-JP whose escapes come with each second character.
const ENCODED_BYTES_PER_BYTE: usize = 5;
/// Most bytes that one byte of a value takes in HTML: `&quot;`.
const ESCAPED_BYTES_PER_BYTE: usize = 6;

/// All texts of a draft that may differ from message to message.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    subject: Template,
    text: Option<Template>,
    html: Option<Template>,
    leave: Leave,
}

/// How the fields are made by which readers leave the list.
#[derive(Clone, Debug)]
enum Leave {
    /// The same for all, or none.
    Fixed(String),
    Each {
        url: Option<Template>,
        mailto: Option<Template>,
        one_click: bool,
    },
}

/// What the templates became for one recipient.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) subject: String,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    /// List-Unsubscribe and what belongs to it; empty when the message is of no list.
    pub(super) leave: String,
}

/// How often a variable is used where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uses {
    pub(super) subject: usize,
    text: usize,
    html: usize,
}

impl Templates {
    /// Reads the templates and adds their variables to `variables` unless they are there.
    pub(super) fn parse(draft: &Draft, variables: &mut Vec<String>) -> Result<Self, ComposeError> {
        let mut parse = |field: &str, text: &str, syntax: Syntax| {
            let wrong = |found: Mistake| ComposeError::new(field, found.to_string());
            Template::parse(text, syntax, variables).map_err(wrong)
        };
        let subject = parse("job.subject", &draft.subject, Syntax::Plain)?;
        let text = draft.text.as_ref().map(|text| parse("job.text", text, Syntax::Plain)).transpose()?;
        let html = draft.html.as_ref().map(|html| parse("job.html", html, Syntax::Html)).transpose()?;
        let Some(list) = &draft.list_unsubscribe else {
            return Ok(Self { subject, text, html, leave: Leave::Fixed(String::new()) });
        };
        let ListUnsubscribe { url, mailto, one_click } = list;
        let mut parse =
            |field, text: &Option<String>| text.as_ref().map(|text| parse(field, text, Syntax::Url)).transpose();
        let url = parse("job.list_unsubscribe.url", url)?;
        let mailto = parse("job.list_unsubscribe.mailto", mailto)?;
        let are_same = [&url, &mailto].into_iter().flatten().all(Template::is_text);
        let leave = if are_same {
            Leave::Fixed(list_unsubscribe_fields(list)?)
        } else {
            Leave::Each { url, mailto, one_click: *one_click }
        };
        Ok(Self { subject, text, html, leave })
    }

    /// Whether the length of a message can be told without filling in subject, text and HTML.
    pub(super) fn are_plain(&self) -> bool {
        self.all().all(Template::is_plain)
    }

    /// Whether what is written could complete an entity of the HTML from which the text is made.
    pub(super) fn may_make_entities(&self) -> bool {
        self.text.is_none() && self.html.as_ref().is_some_and(Template::may_make_entities)
    }

    /// Fills all of them in.
    ///
    /// # Errors
    /// The first that cannot be; the field is named from the recipient on, such as `variables.code`.
    pub(super) fn fill(&self, variables: &Arc<[String]>, values: &[Option<String>]) -> Result<Filled, ComposeError> {
        let mut filling = Filling::new(variables, values);
        let mut fill = |name: &str, template: &Template| {
            template.fill(&mut filling).map_err(|mistake| unfilled(name, &mistake, variables))
        };
        let subject = fill("subject", &self.subject)?;
        let text = self.text.as_ref().map(|text| fill("text", text)).transpose()?;
        let html = self.html.as_ref().map(|html| fill("HTML", html)).transpose()?;
        let leave = self.leave.fill(&mut filling, variables)?;
        Ok(Filled { subject, text, html, leave })
    }

    /// Proves of plain templates that they can be filled in, and gives the length of the fields by which readers leave.
    pub(super) fn check_plain(
        &self,
        variables: &Arc<[String]>,
        values: &[Option<String>],
    ) -> Result<usize, ComposeError> {
        let mut filling = Filling::new(variables, values);
        for (name, template) in self.named() {
            template.check_plain(&mut filling).map_err(|mistake| unfilled(name, &mistake, variables))?;
        }
        Ok(self.leave.fill(&mut filling, variables)?.len())
    }

    /// How often plain templates use a variable.
    pub(super) fn uses_of(&self, index: usize) -> Uses {
        let uses = |template: &Option<Template>| template.as_ref().map_or(0, |template| template.uses_of(index));
        let html = uses(&self.html);
        // Without a text of its own, the message has one that is made from the HTML.
        let text = if self.text.is_some() { uses(&self.text) } else { html };
        Uses { subject: self.subject.uses_of(index), text, html }
    }

    /// Length of a plain subject without its values, in bytes.
    pub(super) fn subject_fixed_bytes(&self) -> usize {
        self.subject.fixed_bytes()
    }

    /// Most bytes that plain templates add to the message when their values are all empty.
    pub(super) fn fixed_bytes_max(&self) -> usize {
        let fixed = |template: &Option<Template>| template.as_ref().map(Template::fixed_bytes);
        encoded_bytes_max(self.subject.fixed_bytes(), fixed(&self.text), fixed(&self.html))
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let (text, html) =
            (self.text.as_ref().map(|text| ("text", text)), self.html.as_ref().map(|html| ("HTML", html)));
        [Some(("subject", &self.subject)), text, html].into_iter().flatten()
    }

    fn all(&self) -> impl Iterator<Item = &Template> {
        self.named().map(|(_, template)| template)
    }
}

impl Leave {
    fn fill(&self, filling: &mut Filling<'_>, variables: &[String]) -> Result<String, ComposeError> {
        let (url, mailto, one_click) = match self {
            Self::Fixed(fields) => return Ok(fields.clone()),
            Self::Each { url, mailto, one_click } => (url, mailto, *one_click),
        };
        let mut fill = |name: &str, template: &Option<Template>| {
            let filled = template.as_ref().map(|template| template.fill(filling)).transpose();
            filled.map_err(|mistake| unfilled(name, &mistake, variables))
        };
        let url = fill("list_unsubscribe.url", url)?;
        let mailto = fill("list_unsubscribe.mailto", mailto)?;
        list_unsubscribe_fields(&ListUnsubscribe { url, mailto, one_click }).map_err(
            |ComposeError { field, reason }| {
                let name = field.strip_prefix("job.").unwrap_or(&field);
                ComposeError::new("variables", format!("the {name} {reason}"))
            },
        )
    }
}

impl Filled {
    /// Most bytes that the texts take in a message.
    pub(super) fn bytes_max(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map(String::len);
        self.leave.len() + encoded_bytes_max(self.subject.len(), length(&self.text), length(&self.html))
    }

    /// The text of a message that has HTML only.
    pub(super) fn made_text(&self) -> Option<String> {
        self.html.as_deref().filter(|_| self.text.is_none()).map(plain_text::from_html)
    }

    /// The texts that are written in the message's charset.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        [Some(&self.subject), self.text.as_ref(), self.html.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

impl Uses {
    /// Most bytes that each byte of a value adds to the message.
    pub(super) const fn bytes_per_byte(&self) -> usize {
        ENCODED_BYTES_PER_BYTE * (self.subject + self.text + ESCAPED_BYTES_PER_BYTE * self.html)
    }
}

/// Most bytes of texts of these lengths in a message.
fn encoded_bytes_max(subject: usize, text: Option<usize>, html: Option<usize>) -> usize {
    let html = html.unwrap_or_default();
    // A text that is made from HTML shows what links point at.
    ENCODED_BYTES_PER_BYTE * (subject + text.unwrap_or(2 * html) + html)
}

/// Why a template could not be filled in for a recipient.
fn unfilled(name: &str, mistake: &Mistake, variables: &[String]) -> ComposeError {
    let Mistake { place, reason, missing } = mistake;
    let place = format!("line {}, column {} of the {name}", place.line, place.column);
    match missing.and_then(|missing| variables.get(missing)) {
        Some(variable) => ComposeError::new(format!("variables.{variable}"), format!("is missing: {place} needs it")),
        None => ComposeError::new("variables", format!("{place} cannot be filled in: {reason}")),
    }
}
