//! From options and files to the submissions they describe.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context as _;
use hikyaku_client::{
    Draft,
    proto::{MergeHead, SubmitJobRequest, job_draft::Content},
};

use super::{
    failure::{Failure, usage},
    job_args::{ContentArgs, MergeArgs, SubmitArgs, TemplateArgs, TermArgs},
    media_type::media_type,
    run::{read_bytes, read_text},
};

/// The submission that is sent once, or repeated.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn submission(args: SubmitArgs, now: SystemTime) -> Result<SubmitJobRequest, Failure> {
    let mut draft = Draft::new(args.account.unwrap_or_default());
    draft = args.from.iter().fold(draft, |draft, from| draft.from(from));
    draft = args.reply_to.iter().fold(draft, |draft, mailbox| draft.reply_to(mailbox));
    draft = args.to.iter().fold(draft, |draft, mailbox| draft.to(mailbox));
    draft = args.cc.iter().fold(draft, |draft, mailbox| draft.cc(mailbox));
    draft = args.bcc.iter().fold(draft, |draft, mailbox| draft.bcc(mailbox));
    draft = content(draft, args.content)?;

    draft = self::terms(draft, args.terms, now);
    draft = args.conduct.idempotency_key.into_iter().fold(draft, Draft::idempotency_key);
    draft = if args.conduct.dry_run { draft.dry_run() } else { draft };
    Ok(draft.into())
}

/// The head of a merge job.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn merge_head(args: MergeArgs, now: SystemTime) -> Result<MergeHead, Failure> {
    let mut draft = Draft::new(args.account.unwrap_or_default());
    draft = args.from.iter().fold(draft, |draft, from| draft.from(from));
    draft = args.reply_to.iter().fold(draft, |draft, mailbox| draft.reply_to(mailbox));
    let TemplateArgs { subject, text, text_file, html, html_file, attach, inline, header } = args.content;
    draft = subject.into_iter().fold(draft, Draft::subject);
    draft = text.into_iter().fold(draft, Draft::text);
    draft = html.into_iter().fold(draft, Draft::html);
    if let Some(path) = &text_file {
        draft = draft.text(read_text(path)?);
    }
    if let Some(path) = &html_file {
        draft = draft.html(read_text(path)?);
    }
    draft = header.into_iter().fold(draft, |draft, (name, value)| draft.header(name, value));
    draft = files(draft, &attach, inline)?;
    draft = terms(draft, args.terms, now);
    draft = args.idempotency_key.into_iter().fold(draft, Draft::idempotency_key);
    draft = if args.dry_run { draft.dry_run() } else { draft };
    Ok(draft.into())
}

fn terms(mut draft: Draft, terms: TermArgs, now: SystemTime) -> Draft {
    draft = terms.label.into_iter().fold(draft, Draft::label);
    draft = draft.priority(terms.priority.into());
    draft = terms.send_at.into_iter().fold(draft, |draft, when| draft.send_at(when.resolve(now)));
    draft = terms.expires_at.into_iter().fold(draft, |draft, when| draft.expires_at(when.resolve(now)));
    if terms.hold { draft.hold() } else { draft }
}

/// The `n`th of several, counted from 1: its number stands in the subject and in the key.
pub(crate) fn numbered(template: &SubmitJobRequest, n: u64) -> SubmitJobRequest {
    let mut request = template.clone();
    if !request.idempotency_key.is_empty() {
        request.idempotency_key = format!("{}-{n}", request.idempotency_key);
    }
    if let Some(Content::Mail(mail)) = request.job.as_mut().and_then(|job| job.content.as_mut()) {
        mail.subject = mail.subject.replace("{n}", &n.to_string());
    }
    request
}

fn content(mut draft: Draft, content: ContentArgs) -> Result<Draft, Failure> {
    if let Some(path) = &content.raw {
        return Ok(draft.raw(if is_stdin(path) { read_stdin()? } else { read_bytes(path)? }));
    }
    draft = content.subject.into_iter().fold(draft, Draft::subject);
    draft = content.text.into_iter().fold(draft, Draft::text);
    if let Some(path) = &content.text_file {
        let text = if is_stdin(path) { text_from_stdin()? } else { read_text(path)? };
        draft = draft.text(text);
    }
    if let Some(path) = &content.html_file {
        draft = draft.html(read_text(path)?);
    }
    draft = content.header.into_iter().fold(draft, |draft, (name, value)| draft.header(name, value));
    files(draft, &content.attach, content.inline)
}

fn files(mut draft: Draft, attach: &[PathBuf], inline: Vec<(PathBuf, String)>) -> Result<Draft, Failure> {
    for path in attach {
        draft = draft.attach(file_name(path)?, media_type(path), read_bytes(path)?);
    }
    for (path, id) in inline {
        draft = draft.inline(file_name(&path)?, media_type(&path), id, read_bytes(&path)?);
    }
    Ok(draft)
}

fn file_name(path: &Path) -> Result<String, Failure> {
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => Err(usage(format!("{} is not the name of a file", path.display()))),
    }
}

fn is_stdin(path: &PathBuf) -> bool {
    path == Path::new("-")
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read stdin")?;
    Ok(bytes)
}

fn text_from_stdin() -> Result<String, Failure> {
    Ok(String::from_utf8(read_stdin()?).context("the text on stdin is not UTF-8")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_submissions_are_told_apart_by_their_number() {
        let template: SubmitJobRequest =
            Draft::new("shop").to("a@example.jp").subject("mail {n} of {n}").idempotency_key("load").into();
        let third = numbered(&template, 3);
        assert_eq!(third.idempotency_key, "load-3");
        let Some(Content::Mail(mail)) = third.job.unwrap().content else { panic!("no mail") };
        assert_eq!(mail.subject, "mail 3 of 3");
    }

    #[test]
    fn submissions_without_a_key_stay_without() {
        assert_eq!(numbered(&Draft::new("shop").into(), 1).idempotency_key, "");
    }
}
