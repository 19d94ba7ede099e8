//! A job in a file, TOML or JSON: `hikyaku job submit --file`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use hikyaku_client::proto::{AutoSubmitted, Header, ListUnsubscribe, Priority};
use toml::de::{DeTable, DeValue};

use super::{
    failure::Failure,
    settings::{
        document::{content_of, table_of, told},
        fields::{Choices, Fields, as_text, wrong_kind},
        json_table::json_table,
        reading::{Reading, Source},
    },
    time_text::When,
    wanted::{Wanted, WantedFile},
};

const PRIORITIES: Choices = &[
    ("normal", Priority::Normal as i32),
    ("high", Priority::High as i32),
    ("low", Priority::Low as i32),
    ("bulk", Priority::Bulk as i32),
];
const KINDS: Choices = &[("generated", AutoSubmitted::Generated as i32), ("replied", AutoSubmitted::Replied as i32)];
/// Largest file that a text or a message is read from.
const CONTENT_BYTES_MAX: u64 = 64 << 20;

/// The job of a file; `-` for stdin.
///
/// # Errors
/// When it cannot be read, and otherwise every mistake in it.
pub(crate) fn read_job(path: &Path, now: SystemTime) -> Result<Wanted, Failure> {
    let (name, text, folder) = content_of(path)?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        // No TOML begins with a brace.
        || text.trim_start().starts_with('{');
    parse(name, &text, folder, is_json, now).map_err(|mistakes| told(&mistakes, "nothing was submitted"))
}

fn parse(name: String, text: &str, folder: PathBuf, is_json: bool, now: SystemTime) -> Result<Wanted, Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let source = Source::new(name, text, folder.clone());
    let table: Option<DeTable<'_>> = if is_json { json_table(text, &source) } else { table_of(text, &source) };
    let mut wanted = Wanted::default();
    if let Some(table) = table {
        let mut reading = Reading::new(&source, &table, String::new(), 0);
        job(&mut reading, &mut wanted, &folder, now);
        reading.finish();
    }
    let mistakes = source.mistakes();
    if mistakes.is_empty() { Ok(wanted) } else { Err(mistakes) }
}

fn job<F: Fields>(f: &mut F, wanted: &mut Wanted, folder: &Path, now: SystemTime) {
    let job = &mut wanted.job;
    f.text("account", &mut job.account_id);
    f.mailbox("from", &mut job.from);
    f.mailboxes("reply_to", &mut job.reply_to);
    f.mailboxes("to", &mut job.to);
    f.mailboxes("cc", &mut job.cc);
    f.mailboxes("bcc", &mut job.bcc);
    content(f, wanted, folder);
    let job = &mut wanted.job;
    f.choice("priority", &mut job.priority, PRIORITIES);
    f.texts("labels", &mut job.labels);
    f.value("send_at", &mut job.send_at, |cell| as_time(cell, now).map(Some), |_| None);
    f.value("expires_at", &mut job.expires_at, |cell| as_time(cell, now).map(Some), |_| None);
    f.flag("hold", &mut job.hold);
    f.flag("approval_required", &mut job.approval_required);
    f.flag("override_suppression", &mut job.override_suppression);
}

fn content<F: Fields>(f: &mut F, wanted: &mut Wanted, folder: &Path) {
    let Wanted { mail, files, raw, .. } = wanted;
    f.text("subject", &mut mail.subject);
    let (mut text, mut html) = (None, None);
    f.text("text", &mut mail.text);
    f.value("text_file", &mut text, |cell| text_of(folder, cell).map(Some), |_| None);
    f.text("html", &mut mail.html);
    f.value("html_file", &mut html, |cell| text_of(folder, cell).map(Some), |_| None);
    f.value("headers", &mut mail.headers, as_headers, |_| None);
    f.groups("attachments", files, |f, file| attachment(f, file, folder));
    f.text("in_reply_to", &mut mail.in_reply_to);
    f.texts("references", &mut mail.references);
    f.group("list_unsubscribe", &mut mail.list_unsubscribe, list_unsubscribe);
    f.choice("auto_submitted", &mut mail.auto_submitted, KINDS);
    f.value("raw_file", raw, |cell| bytes_of(folder, cell).map(Some), |_| None);
    for (name, given, from_file) in [("text", &mut mail.text, text), ("html", &mut mail.html, html)] {
        let Some(content) = from_file else { continue };
        if !given.is_empty() {
            f.mistake(&format!("has {name} and {name}_file: which is it?"));
        }
        *given = content;
    }
    if raw.is_some() && (*mail != Default::default() || !files.is_empty()) {
        f.mistake("has raw_file, a whole message, and content besides it");
    }
}

fn attachment<F: Fields>(f: &mut F, file: &mut WantedFile, folder: &Path) {
    f.value("path", &mut file.path, |cell| Ok(Some(folder.join(as_text(cell)?))), |_| None);
    f.text("blob_id", &mut file.blob_id);
    f.text("name", &mut file.name);
    f.text("type", &mut file.media_type);
    f.text("content_id", &mut file.content_id);
    match (&file.path, file.blob_id.is_empty()) {
        (None, true) => f.mistake("has neither path nor blob_id"),
        (Some(path), true) => {
            if let Err(what) = readable(path) {
                f.mistake(&what);
            }
        }
        (Some(_), false) => f.mistake("has path and blob_id: which is it?"),
        (None, false) if file.name.is_empty() => f.mistake("has no name, which an uploaded file needs"),
        _ => {}
    }
}

fn list_unsubscribe<F: Fields>(f: &mut F, way: &mut ListUnsubscribe) {
    f.text("url", &mut way.url);
    f.text("mailto", &mut way.mailto);
    f.flag("one_click", &mut way.one_click);
}

/// A time in text, or one of TOML's own with its offset.
fn as_time(cell: &DeValue<'_>, now: SystemTime) -> Result<prost_types::Timestamp, String> {
    let text = match cell {
        DeValue::Datetime(time) => time.to_string(),
        other => as_text(other)?.to_owned(),
    };
    Ok(text.parse::<When>()?.resolve(now).into())
}

/// Headers as a table of names and values, or as a list of `Name: value` and of tables.
fn as_headers(cell: &DeValue<'_>) -> Result<Vec<Header>, String> {
    let wrong = |cell| wrong_kind("a table of names and values, or a list of texts such as \"X-Order: 7\"", cell);
    if let Some(table) = cell.as_table() {
        let pair = |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
            Ok(Header { name: name.get_ref().to_string(), value: as_text(value.get_ref())?.to_owned() })
        };
        return table.iter().map(pair).collect();
    }
    let items = cell.as_array().ok_or_else(|| wrong(cell))?;
    items.iter().map(|item| as_header(item.get_ref())).collect()
}

fn as_header(cell: &DeValue<'_>) -> Result<Header, String> {
    let Some(table) = cell.as_table() else {
        let (name, value) = super::pair_text::parse_header(as_text(cell)?)?;
        return Ok(Header { name, value });
    };
    let mut header = Header::default();
    for (key, value) in table {
        let field = match key.get_ref().as_ref() {
            "name" => &mut header.name,
            "value" => &mut header.value,
            other => return Err(format!("has no \"{other}\"; a header has name and value")),
        };
        *field = as_text(value.get_ref())?.to_owned();
    }
    Ok(header)
}

/// The length of a file that can be read.
fn readable(path: &Path) -> Result<u64, String> {
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => Ok(facts.len()),
        Ok(_) => Err(format!("{} is no file", path.display())),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn bytes_of(folder: &Path, cell: &DeValue<'_>) -> Result<Vec<u8>, String> {
    let path = folder.join(as_text(cell)?);
    if readable(&path)? > CONTENT_BYTES_MAX {
        return Err(format!("{} is larger than {CONTENT_BYTES_MAX} bytes", path.display()));
    }
    fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn text_of(folder: &Path, cell: &DeValue<'_>) -> Result<String, String> {
    String::from_utf8(bytes_of(folder, cell)?).map_err(|_| "names a file that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use hikyaku_client::show_mailbox;

    use super::*;

    fn read(text: &str) -> Result<Wanted, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("body.txt", "本文\n"), ("a.pdf", "%PDF"), ("bytes", "\u{e9}")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        fs::write(folder.path().join("latin1"), b"\xe9").unwrap();
        let is_json = text.trim_start().starts_with('{');
        parse("job".to_owned(), text, folder.path().to_owned(), is_json, SystemTime::UNIX_EPOCH)
    }

    const TOML: &str = "
account = 'shop'
from = 'Shop <shop@example.jp>'
to = ['Taro <taro@example.jp>', {name = 'A <b>', address = 'a@example.jp'}]
bcc = ['log@example.jp']
subject = '件名'
text_file = 'body.txt'
html = '<p>x</p>'
headers = {X-Order = '7'}
in_reply_to = '1@example.jp'
references = ['0@example.jp']
auto_submitted = 'generated'
priority = 'bulk'
labels = ['x']
send_at = 1970-01-01T00:01:00Z
expires_at = '+2h'
hold = true
approval_required = true
[[attachments]]
path = 'a.pdf'
name = '見積.pdf'
[[attachments]]
blob_id = 'b3'
name = 'logo.png'
type = 'image/png'
content_id = 'logo'
[list_unsubscribe]
url = 'https://example.jp/leave'
one_click = true
";

    const JSON: &str = r#"{
        "account": "shop", "from": "Shop <shop@example.jp>",
        "to": ["Taro <taro@example.jp>", {"name": "A <b>", "address": "a@example.jp"}], "bcc": ["log@example.jp"],
        "subject": "件名", "text_file": "body.txt", "html": "<p>x</p>", "headers": ["X-Order: 7"], "cc": null,
        "in_reply_to": "1@example.jp", "references": ["0@example.jp"], "auto_submitted": "generated",
        "priority": "bulk", "labels": ["x"], "send_at": "1970-01-01T00:01:00Z", "expires_at": "+2h", "hold": true,
        "approval_required": true, "list_unsubscribe": {"url": "https://example.jp/leave", "one_click": true},
        "attachments": [{"path": "a.pdf", "name": "見積.pdf"},
                        {"blob_id": "b3", "name": "logo.png", "type": "image/png", "content_id": "logo"}]
    }"#;

    #[test]
    fn every_field_can_stand_in_either_kind_of_file() {
        for text in [TOML, JSON] {
            let Wanted { job, mail, files, raw } = read(text).unwrap();
            let to: Vec<_> = job.to.iter().map(show_mailbox).collect();
            assert_eq!(to, ["Taro <taro@example.jp>", "\"A <b>\" <a@example.jp>"]);
            assert_eq!((job.account_id.as_str(), job.bcc.len(), job.cc.len()), ("shop", 1, 0));
            assert_eq!((mail.subject.as_str(), mail.text.as_str(), mail.html.as_str()), ("件名", "本文\n", "<p>x</p>"));
            assert_eq!((mail.headers[0].name.as_str(), mail.headers[0].value.as_str()), ("X-Order", "7"));
            assert_eq!((mail.in_reply_to.as_str(), mail.references.len(), mail.auto_submitted), ("1@example.jp", 1, 1));
            assert!(mail.list_unsubscribe.unwrap().one_click);
            assert_eq!((job.priority, job.labels.len(), job.hold, job.approval_required), (4, 1, true, true));
            assert_eq!((job.send_at.unwrap().seconds, job.expires_at.unwrap().seconds), (60, 7_200));
            assert_eq!((files.len(), files[0].name.as_str(), files[1].blob_id.as_str()), (2, "見積.pdf", "b3"));
            assert_eq!(raw, None);
        }
    }

    #[test]
    fn the_example_is_good() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/job.toml");
        let wanted = read_job(&path, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((wanted.job.to.len(), wanted.files.len(), wanted.mail.references.len()), (2, 2, 2));
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mistakes = read(text).unwrap_err();
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
        for (mistake, part) in mistakes.iter().zip(expected) {
            assert!(mistake.contains(part), "{part} in {mistake}");
        }
    }

    #[test]
    fn mistakes_are_told_with_key_and_line() {
        check("subjct = 'x'\nto = 'a@b'\n", &["job:1: subjct: is not a setting", "job:2: to: must be a list"]);
        check("{\"subject\": 7,\n\"prioritty\": 1}", &["job:1: subject: must be text", "job:2: prioritty: is not"]);
        check("text = 'x'\ntext_file = 'body.txt'", &["job:1: has text and text_file"]);
        check("\nhtml_file = 'absent'", &["job:2: html_file: cannot read "]);
        check("text_file = 'latin1'", &["text_file: names a file that is not UTF-8"]);
        check("raw_file = 'bytes'\nsubject = 'x'", &["has raw_file"]);
        check("priority = 'urgent'", &["priority: must be one of normal, high, low, bulk"]);
        check(
            "send_at = 'tomorrow'\nexpires_at = 2026-01-01",
            &["send_at: \"tomorrow\"", "expires_at: \"2026-01-01\""],
        );
        check("headers = ['x']\nreferences = [1]", &["headers: \"x\" is not a header", "references: must be text"]);
        check(
            "[[attachments]]\nname = 'x'\n[[attachments]]\npath = 'absent'\n[[attachments]]\nblob_id = 'b'\nfile = 'x'",
            &[
                "job:1: attachments[0]: has neither",
                "job:3: attachments[1]: cannot read",
                "job:5: attachments[2]: has no name",
                "job:7: attachments[2].file: is not a setting",
            ],
        );
    }
}
