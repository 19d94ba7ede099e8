//! How a job of the corpus is written in TOML.

use hikyaku_proto::v1;
use serde::Deserialize;

use crate::domain::charset::Charset;

/// A file of jobs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jobs {
    pub(super) job: Vec<Job>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub(super) name: String,
    /// For who reads it.
    #[serde(rename = "why")]
    _why: Option<String>,
    #[serde(default = "only_utf_8")]
    charsets: Vec<Setting>,
    from: Option<Named>,
    #[serde(default)]
    reply_to: Vec<Named>,
    to: Option<Mailboxes>,
    #[serde(default)]
    cc: Vec<Named>,
    #[serde(default)]
    bcc: Vec<Named>,
    #[serde(default)]
    subject: Words,
    #[serde(default)]
    text: Words,
    #[serde(default)]
    html: Words,
    #[serde(default)]
    headers: Vec<[String; 2]>,
    #[serde(default)]
    in_reply_to: String,
    #[serde(default)]
    references: Vec<String>,
    list_unsubscribe: Option<Leaving>,
    #[serde(default)]
    auto_submitted: String,
    #[serde(default)]
    attachments: Vec<File>,
    raw: Option<Words>,
    /// How its parts are nested, for the independent check.
    #[serde(rename = "structure")]
    _structure: Option<String>,
    /// That addresses make its header 8-bit, for the independent check.
    #[serde(default, rename = "eight_bit")]
    _eight_bit: bool,
    refused: Option<Refused>,
    #[serde(default, rename = "utf-8")]
    utf_8: Expected,
    #[serde(default)]
    upgrade: Expected,
    #[serde(default)]
    replace: Expected,
    #[serde(default)]
    reject: Expected,
}

/// What the account's charset is.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setting {
    #[serde(rename = "utf-8")]
    Utf8,
    Upgrade,
    Replace,
    Reject,
}

/// What comes out with one charset.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) refused: Option<Refused>,
    pub(super) warnings: Option<Vec<String>>,
    /// What its readers see where that is not what was written, for the independent check.
    #[serde(rename = "reads")]
    _reads: Option<toml::Table>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    pub(super) field: String,
    /// A part of the reason.
    pub(super) reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(default)]
    name: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Mailboxes {
    Listed(Vec<Named>),
    /// `reader0@example.jp` and so on, each with this name and its number.
    Counted {
        count: usize,
        name: String,
    },
}

/// A text, or one that is too long to be written out.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Plain(String),
    Repeated { repeat: String, times: usize },
    Joined(Vec<Words>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    /// All bytes from 0 to 255, so often.
    Every {
        every_byte: usize,
    },
    Text(Words),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    file_name: String,
    #[serde(default)]
    media_type: String,
    content: Bytes,
    #[serde(default)]
    content_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    #[serde(default)]
    url: String,
    #[serde(default)]
    mailto: String,
    #[serde(default)]
    one_click: bool,
}

fn only_utf_8() -> Vec<Setting> {
    vec![Setting::Utf8]
}

impl Setting {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Upgrade => "upgrade",
            Self::Replace => "replace",
            Self::Reject => "reject",
        }
    }

    pub(super) const fn charset(self) -> Charset {
        match self {
            Self::Utf8 => Charset::Utf8,
            Self::Upgrade => Charset::Iso2022Jp,
            Self::Replace => Charset::Iso2022JpReplace,
            Self::Reject => Charset::Iso2022JpReject,
        }
    }
}

impl Job {
    pub(super) fn settings(&self) -> Vec<Setting> {
        self.charsets.clone()
    }

    pub(super) fn expected(&self, setting: Setting) -> Expected {
        let Expected { refused, warnings, .. } = match setting {
            Setting::Utf8 => &self.utf_8,
            Setting::Upgrade => &self.upgrade,
            Setting::Replace => &self.replace,
            Setting::Reject => &self.reject,
        };
        let refused = refused.as_ref().or(self.refused.as_ref()).cloned();
        Expected { refused, warnings: warnings.clone(), _reads: None }
    }

    /// The job as a client sends it.
    pub(super) fn draft(&self) -> v1::JobDraft {
        let mailboxes = |mailboxes: &[Named]| mailboxes.iter().map(Named::mailbox).collect();
        let content = match &self.raw {
            Some(raw) => v1::job_draft::Content::Raw(raw.text().into()),
            None => v1::job_draft::Content::Mail(self.mail()),
        };
        v1::JobDraft {
            account_id: "shop".into(),
            from: self.from.as_ref().map(Named::mailbox),
            reply_to: mailboxes(&self.reply_to),
            to: match &self.to {
                None => vec![v1::Mailbox { name: String::new(), address: "reader@example.jp".into() }],
                Some(Mailboxes::Listed(listed)) => mailboxes(listed),
                Some(Mailboxes::Counted { count, name }) => (0..*count)
                    .map(|n| v1::Mailbox { name: format!("{name}{n}"), address: format!("reader{n}@example.jp") })
                    .collect(),
            },
            cc: mailboxes(&self.cc),
            bcc: mailboxes(&self.bcc),
            content: Some(content),
            ..v1::JobDraft::default()
        }
    }

    fn mail(&self) -> v1::MailContent {
        let header = |[name, value]: &[String; 2]| v1::Header { name: name.clone(), value: value.clone() };
        let leaving = |list: &Leaving| v1::ListUnsubscribe {
            url: list.url.clone(),
            mailto: list.mailto.clone(),
            one_click: list.one_click,
        };
        let auto_submitted = match &*self.auto_submitted {
            "" => v1::AutoSubmitted::Unspecified,
            "generated" => v1::AutoSubmitted::Generated,
            "replied" => v1::AutoSubmitted::Replied,
            other => panic!("{other} is no auto_submitted"),
        };
        v1::MailContent {
            subject: self.subject.text(),
            text: self.text.text(),
            html: self.html.text(),
            headers: self.headers.iter().map(header).collect(),
            attachments: self.attachments.iter().map(File::attachment).collect(),
            in_reply_to: self.in_reply_to.clone(),
            references: self.references.clone(),
            list_unsubscribe: self.list_unsubscribe.as_ref().map(leaving),
            auto_submitted: auto_submitted.into(),
        }
    }
}

impl Named {
    fn mailbox(&self) -> v1::Mailbox {
        v1::Mailbox { name: self.name.clone(), address: self.address.clone() }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl Words {
    fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Repeated { repeat, times } => repeat.repeat(*times),
            Self::Joined(pieces) => pieces.iter().map(Self::text).collect(),
        }
    }
}

impl File {
    fn attachment(&self) -> v1::Attachment {
        let content: Vec<u8> = match &self.content {
            Bytes::Every { every_byte } => (0..=255).cycle().take(256 * every_byte).collect(),
            Bytes::Text(text) => text.text().into(),
        };
        v1::Attachment {
            file_name: self.file_name.clone(),
            media_type: self.media_type.clone(),
            content: content.into(),
            content_id: self.content_id.clone(),
            ..v1::Attachment::default()
        }
    }
}
