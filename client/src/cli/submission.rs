//! From options and files to the submissions they describe.

use std::{io::Read as _, path::Path, time::SystemTime};

use anyhow::Context as _;
use hikyaku_client::{
    parse_mailbox,
    proto::{AutoSubmitted, Header, MailContent, Priority, SubmitJobRequest, job_draft::Content},
};

use super::{
    failure::{Failure, usage},
    job_file::read_job,
    merge_args::MergeArgs,
    raw_recipients::take_recipients,
    run::{read_bytes, read_text},
    submit_args::{ContentArgs, KindArgs, MessageArgs, TermArgs},
    wanted::{Submission, Wanted, WantedFile},
};

/// The job that is submitted, or shown.
///
/// # Errors
/// When a file cannot be read or is wrong, and when something needed is not there.
pub(crate) fn submission(args: MessageArgs, now: SystemTime) -> Result<Submission, Failure> {
    let stdin = [&args.file, &args.content.text_file, &args.content.raw];
    if stdin.into_iter().flatten().filter(|path| is_stdin(path)).count() > 1 {
        return Err(usage("only one of --file, --text-file and --raw can be read from stdin"));
    }
    let mut wanted = match &args.file {
        Some(path) => read_job(path, now)?,
        None => Wanted::default(),
    };
    overlay(&mut wanted.job.account_id, args.account);
    if let Some(from) = &args.from {
        wanted.job.from = Some(parse_mailbox(from));
    }
    let job = &mut wanted.job;
    for (given, list) in
        [(args.reply_to, &mut job.reply_to), (args.to, &mut job.to), (args.cc, &mut job.cc), (args.bcc, &mut job.bcc)]
    {
        overlay_list(list, given.iter().map(|text| parse_mailbox(text)));
    }
    content(&mut wanted, args.content)?;
    overlay(&mut wanted.mail.in_reply_to, args.reply.in_reply_to);
    overlay_list(&mut wanted.mail.references, args.reply.reference);
    kind(&mut wanted.mail, &args.kind);
    terms(&mut wanted, args.terms, now);
    if args.recipients_from_headers {
        take_recipients(&mut wanted)?;
    }
    check(&wanted)?;
    wanted.read()
}

/// The head of a merge job.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn merge_head(args: MergeArgs, now: SystemTime) -> Result<Submission, Failure> {
    let mut wanted = Wanted::default();
    overlay(&mut wanted.job.account_id, args.account);
    wanted.job.from = args.from.as_deref().map(parse_mailbox);
    wanted.job.reply_to = args.reply_to.iter().map(|text| parse_mailbox(text)).collect();
    content(&mut wanted, args.content.into())?;
    kind(&mut wanted.mail, &args.kind);
    terms(&mut wanted, args.terms, now);
    wanted.read()
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

/// Says what no job can do without, before anything is read or asked.
fn check(wanted: &Wanted) -> Result<(), Failure> {
    let Wanted { job, mail, files, raw } = wanted;
    if job.account_id.is_empty() && job.from.is_none() {
        return Err(usage("which account sends it? Name it with --account, or let the routing rules choose by --from"));
    }
    if job.to.is_empty() && job.cc.is_empty() && job.bcc.is_empty() {
        return Err(usage("who gets it? Name recipients with --to, --cc or --bcc, or in the job's file"));
    }
    if raw.is_some() && (!files.is_empty() || *mail != MailContent::default()) {
        return Err(usage("a raw message is sent as it is: subject, text, files and headers cannot be added to it"));
    }
    if raw.is_none() && mail.text.is_empty() && mail.html.is_empty() {
        return Err(usage("what does it say? Give --text, --text-file, --html, --html-file or --raw, or a job's file"));
    }
    Ok(())
}

fn content(wanted: &mut Wanted, args: ContentArgs) -> Result<(), Failure> {
    let ContentArgs { subject, text, text_file, html, html_file, attach, inline, header, raw } = args;
    if let Some(path) = &raw {
        wanted.raw = Some(if is_stdin(path) { read_stdin()? } else { read_bytes(path)? });
    }
    let mail = &mut wanted.mail;
    overlay(&mut mail.subject, subject);
    overlay(&mut mail.text, text);
    overlay(&mut mail.html, html);
    if let Some(path) = &text_file {
        mail.text = if is_stdin(path) { text_from_stdin()? } else { read_text(path)? };
    }
    if let Some(path) = &html_file {
        mail.html = read_text(path)?;
    }
    overlay_list(&mut mail.headers, header.into_iter().map(|(name, value)| Header { name, value }));
    let attached = attach.into_iter().map(|path| WantedFile::at(path, String::new()));
    let inline = inline.into_iter().map(|(path, id)| WantedFile::at(path, id));
    overlay_list(&mut wanted.files, attached.chain(inline));
    Ok(())
}

fn kind(mail: &mut MailContent, args: &KindArgs) {
    if let Some(way) = args.list_unsubscribe() {
        mail.list_unsubscribe = Some(way);
    }
    if let Some(name) = args.auto_submitted {
        mail.auto_submitted = AutoSubmitted::from(name).into();
    }
}

fn terms(wanted: &mut Wanted, args: TermArgs, now: SystemTime) {
    let job = &mut wanted.job;
    match args.priority {
        Some(name) => job.priority = Priority::from(name).into(),
        None if job.priority == 0 => job.priority = Priority::Normal.into(),
        None => {}
    }
    overlay_list(&mut job.labels, args.label);
    let time = |when: super::time_text::When| prost_types::Timestamp::from(when.resolve(now));
    job.send_at = args.send_at.map(time).or(job.send_at);
    job.expires_at = args.expires_at.map(time).or(job.expires_at);
    job.hold |= args.hold;
    job.approval_required |= args.approval_required;
    job.override_suppression |= args.override_suppression;
}

/// What an option says takes the place of what a file says.
fn overlay(text: &mut String, given: Option<String>) {
    if let Some(given) = given {
        *text = given;
    }
}

fn overlay_list<T>(list: &mut Vec<T>, given: impl IntoIterator<Item = T>) {
    let mut given = given.into_iter().peekable();
    if given.peek().is_some() {
        *list = given.collect();
    }
}

fn is_stdin(path: &Path) -> bool {
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
    use hikyaku_client::Draft;

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

    #[test]
    fn an_option_takes_the_place_of_a_file() {
        let mut list = vec![1, 2];
        overlay_list(&mut list, []);
        assert_eq!(list, [1, 2]);
        overlay_list(&mut list, [3]);
        assert_eq!(list, [3]);
    }
}
