//! A store as JSON lines: what `export` writes and `import` reads. Secrets stay sealed; derived entries are left out.

use std::io::{BufRead, Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    SledStore,
    accept::day_of,
    blob_store::put_claim,
    disk, dkim, jobs,
    keys::{Family, Key},
    returns::lines::{self, ReturnLine},
    routing,
    shelving::Shelved,
    txn::{Txn, cursor},
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        time::Timestamp,
    },
    storage::{
        Progress, StorageError,
        blobs::Pin,
        records::{
            account::AccountRow,
            blob::BlobRow,
            dkim::{DkimKeyRow, DkimRulesRow},
            event::EventsRow,
            idempotency::IdempotencyRow,
            job::{Body, JobRow, Location},
            ledger::MarkRow,
            ledger::UsageRow,
            merge::{OutcomesRow, PartRow},
            routing::RoutingRow,
            standing::StandingRow,
            tokens::TokensRow,
        },
        uploads::Claim,
    },
};

mod files;
mod lists;
mod put;

use files::{Written, hash_of_text, text_of_hash};
use lists::ListLine;
use put::{put_account, put_job, put_mark, put_outcomes, put_part};

/// The form of the lines that this version writes.
const LINES_FORMAT: u32 = 2;
/// What is exported, in an order in which it can be imported.
const EXPORTED: [Family; 16] = [
    Family::Account,
    Family::Routing,
    Family::DkimKey,
    Family::DkimRules,
    Family::Job,
    Family::Recipients,
    Family::Outcomes,
    Family::Mark,
    Family::Idempotency,
    Family::Bucket,
    Family::Events,
    Family::Blob,
    Family::Suppression,
    Family::SoftRun,
    Family::HeldBy,
    Family::Count,
];
/// After how many lines progress is told.
const LINES_PER_REPORT: u64 = 1_000;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Store {
        format: u32,
    },
    Account {
        number: u32,
        row: Box<AccountRow>,
        standing: Option<StandingRow>,
        #[serde(default)]
        tokens: Option<TokensRow>,
    },
    Routing {
        row: RoutingRow,
    },
    /// A piece of a file that lines after it refer to.
    File {
        blake3: String,
        /// The length of the whole file.
        bytes: u64,
        offset: u64,
        content: String,
    },
    DkimKey {
        row: DkimKeyRow,
    },
    DkimRules {
        row: DkimRulesRow,
    },
    Job {
        id: String,
        row: Box<JobRow>,
        /// The message of a plain job, or the content of a merge job, without the files that were cut out.
        message: String,
    },
    Recipients {
        job: String,
        first: u32,
        row: PartRow,
    },
    Outcomes {
        job: String,
        page: u32,
        row: OutcomesRow,
    },
    Mark {
        account: u32,
        job: String,
        #[serde(default)]
        index: u32,
        row: MarkRow,
    },
    Usage {
        account: u32,
        bucket: u64,
        row: UsageRow,
    },
    Idempotency {
        hash: String,
        row: IdempotencyRow,
    },
    Events {
        seq: u64,
        row: EventsRow,
    },
    Blob {
        file: String,
        row: BlobRow,
    },
    List {
        #[serde(flatten)]
        line: ListLine,
    },
    /// What came back.
    Return {
        record: ReturnLine,
    },
    End {
        records: u64,
        /// How many records were left out because they could not be read.
        #[serde(default)]
        damaged: u64,
    },
}

impl SledStore {
    pub(super) fn export_to(&self, out: &mut (dyn Write + Send), progress: &dyn Progress) -> Result<u64, StorageError> {
        let _held = self.shelves.files.hold();
        self.sound.forget_all();
        let (mut count, mut damaged, mut files) = (0, 0, Written::default());
        write_line(out, &Line::Store { format: LINES_FORMAT })?;
        for family in EXPORTED.into_iter().chain(lines::EXPORTED) {
            for entry in self.disk.tree.scan_prefix(family.prefix()).keys() {
                let Some(key) = Key::parse(&self.disk.checked(entry)?) else { continue };
                let line = match self.line_of(&key) {
                    Err(StorageError::Damaged(why)) => {
                        tracing::error!(reason = %why, "the export leaves a damaged record out");
                        damaged += 1;
                        continue;
                    }
                    line => line?,
                };
                let Some(line) = line else { continue };
                count += self.export_files(&line, &mut files, out)?;
                write_line(out, &line)?;
                count += 1;
                if count % LINES_PER_REPORT == 0 {
                    progress.report(count, 0);
                }
            }
        }
        write_line(out, &Line::End { records: count, damaged })?;
        out.flush().map_err(|error| unwritable(&error))?;
        progress.report(count, count);
        Ok(count)
    }

    /// The line of a record; nothing for a further frame, or one that is gone by now.
    fn line_of(&self, key: &Key) -> Result<Option<Line>, StorageError> {
        let disk = &self.disk;
        Ok(match *key {
            Key::Account { account, chunk: 0 } => {
                let standing = disk::read_row::<StandingRow>(disk, |chunk| Key::Standing { account, chunk })?;
                let tokens = disk::read_row::<TokensRow>(disk, |chunk| Key::Tokens { account, chunk })?;
                disk::read_row::<AccountRow>(disk, |chunk| Key::Account { account, chunk })?.map(|row| Line::Account {
                    number: account,
                    row: Box::new(row.value),
                    standing: standing.map(|row| row.value),
                    tokens: tokens.map(|row| row.value),
                })
            }
            Key::Routing { chunk: 0 } => {
                let row = disk::read_row::<RoutingRow>(disk, |chunk| Key::Routing { chunk })?;
                row.map(|row| Line::Routing { row: row.value })
            }
            Key::Dkim { hash, chunk: 0 } => dkim::row_of_key(disk, hash)?.map(|row| Line::DkimKey { row }),
            Key::DkimRules { chunk: 0 } => {
                let row = disk::read_row::<DkimRulesRow>(disk, |chunk| Key::DkimRules { chunk })?;
                row.map(|row| Line::DkimRules { row: row.value })
            }
            Key::Job { job, chunk: 0 } => self.line_of_job(job)?,
            Key::Recipients { job, first, chunk: 0 } => {
                let row = self.whole_part(job, first)?;
                row.map(|row| Line::Recipients { job: job.to_string(), first, row })
            }
            Key::Outcomes { job, page, chunk: 0 } => {
                let is_doomed = jobs::load(disk, job)?.is_none();
                let row = disk::read_row::<OutcomesRow>(disk, |chunk| Key::Outcomes { job, page, chunk })?;
                let row = row.filter(|_| !is_doomed);
                row.map(|row| Line::Outcomes { job: job.to_string(), page, row: row.value })
            }
            Key::Mark { account, job, index, chunk: 0 } => {
                let row = disk::read_row::<MarkRow>(disk, |chunk| Key::Mark { account, job, index, chunk })?;
                row.map(|row| Line::Mark { account, job: job.to_string(), index, row: row.value })
            }
            Key::Idempotency { hash } => {
                let row = disk::read_row::<IdempotencyRow>(disk, |_| Key::Idempotency { hash })?;
                row.map(|row| Line::Idempotency { hash: BASE64_STANDARD.encode(hash), row: row.value })
            }
            Key::Bucket { account, quota, bucket } => {
                let row = disk::read_row::<UsageRow>(disk, |_| Key::Bucket { account, quota, bucket })?;
                row.map(|row| Line::Usage { account, bucket, row: row.value })
            }
            Key::Events { seq, chunk: 0 } => {
                let row = disk::read_row::<EventsRow>(disk, |chunk| Key::Events { seq, chunk })?;
                row.map(|row| Line::Events { seq, row: row.value })
            }
            Key::Blob { file, .. } => {
                let row = disk::read_row::<BlobRow>(disk, |_| key.clone())?;
                self.check_exported(&file)?;
                row.map(|row| Line::Blob { file: text_of_hash(&file), row: row.value })
            }
            Key::List(ref key) => lists::line_of(disk, key)?.map(|line| Line::List { line }),
            Key::Return(ref key) => lines::line_of(disk, key)?.map(|record| Line::Return { record }),
            _ => None,
        })
    }

    fn line_of_job(&self, job: JobId) -> Result<Option<Line>, StorageError> {
        let disk = &self.disk;
        let Some(stored) = jobs::load(disk, job)? else { return Ok(None) };
        let message = jobs::load_body(disk, &self.shelves, &stored)?;
        self.check_cuts(&stored)?;
        // The message goes with the line; where it is kept is for the next store to decide.
        let body = Body { location: Location::Beside, ..stored.body };
        let row = Box::new(JobRow::new(&stored.job, &body));
        Ok(Some(Line::Job { id: job.to_string(), row, message: BASE64_STANDARD.encode(&message) }))
    }

    pub(super) async fn import_from(
        &self,
        from: &mut (dyn BufRead + Send),
        progress: &dyn Progress,
    ) -> Result<u64, StorageError> {
        let is_empty = self.directory().is_empty() && self.disk.last(&Family::Job.prefix())?.is_none();
        if !is_empty {
            return Err(bad_line(0, "the store holds accounts or jobs already"));
        }
        let _held = self.shelves.files.hold();
        let (mut count, mut number, mut text, mut ended, mut coming) = (0, 0, String::new(), false, None);
        loop {
            text.clear();
            number += 1;
            if from.read_line(&mut text).map_err(|error| bad_line(number, error))? == 0 {
                break;
            }
            let line: Line = serde_json::from_str(&text).map_err(|error| bad_line(number, error))?;
            match line {
                Line::Store { format: LINES_FORMAT } => continue,
                Line::Store { format } => return Err(bad_line(number, format_args!("unknown format {format}"))),
                Line::End { records, .. } if records != count => return Err(bad_line(number, "lines are missing")),
                Line::End { damaged, .. } => {
                    ended = true;
                    if damaged > 0 {
                        tracing::warn!(records = damaged, "the export had left damaged records out");
                    }
                }
                line @ Line::File { .. } => {
                    self.import_piece(line, &mut coming)?;
                    count += 1;
                }
                line => {
                    self.import_line(line, text.len()).await?;
                    count += 1;
                }
            }
            if count % LINES_PER_REPORT == 0 {
                progress.report(count, 0);
            }
        }
        if ended { Ok(count) } else { Err(bad_line(number, "the end is missing")) }
    }

    async fn import_line(&self, line: Line, bytes: usize) -> Result<(), StorageError> {
        let (shelved, pin) = match &line {
            Line::Job { row, message, .. } => (Some(self.shelve_imported(row, message).await?), None),
            Line::Recipients { row, .. } if row.pages.len() > jobs::SPOOLED_BYTES_MAX => {
                let pages = row.pages.clone();
                let pin = self.in_background(move |store| store.store_file(&pages)).await?;
                (None, Some(pin))
            }
            _ => (None, None),
        };
        let is_in_file = pin.is_some() || shelved.as_ref().is_some_and(|shelved| shelved.spooled.is_none());
        let bytes = if is_in_file { 4_096 } else { bytes };
        let put = move |txn: &mut Txn| put_line(txn, line, shelved.as_ref(), pin.as_ref()).map(|()| (shelved, pin));
        self.writer.commit(Weight { changes: 1, bytes }, Patience::Wait, put).await.map(drop)
    }
}

fn put_line(txn: &mut Txn, line: Line, shelved: Option<&Shelved>, pin: Option<&Pin>) -> Result<(), StorageError> {
    let bad = |error: &dyn std::fmt::Display| bad_line(0, error);
    match line {
        Line::Store { .. } | Line::File { .. } | Line::End { .. } => {}
        Line::Account { number, row, standing, tokens } => put_account(txn, number, &row, standing, tokens)?,
        Line::Routing { row } => routing::put(txn, &row)?,
        Line::DkimKey { row } => dkim::put_key(txn, &row)?,
        Line::DkimRules { row } => dkim::put_rules(txn, &row)?,
        Line::Job { id, row, .. } => put_job(txn, &id, *row, shelved.ok_or_else(|| bad(&"its message is missing"))?)?,
        Line::Recipients { job, first, row } => {
            let job: JobId = job.parse().map_err(|error| bad(&error))?;
            put_part(txn, job, first, row, pin);
        }
        Line::Outcomes { job, page, row } => {
            let job: JobId = job.parse().map_err(|error| bad(&error))?;
            put_outcomes(txn, job, page, row).map_err(|error| bad(&error))?;
        }
        Line::Mark { account, job, index, row } => {
            let job: JobId = job.parse().map_err(|error| bad(&error))?;
            put_mark(txn, account, MessageKey { job, index }, &row)?;
        }
        Line::Usage { account, bucket, row } => {
            let usage = row.clone().into_usage(bucket).map_err(|error| bad(&error))?;
            let quota = super::txn::quota_hash(&usage.key);
            txn.put_row(|_| Key::Bucket { account, quota, bucket }, &row, 0);
        }
        Line::Idempotency { hash, row } => {
            let hash = BASE64_STANDARD.decode(hash).map_err(|error| bad(&error))?;
            let hash: [u8; 16] = hash.try_into().map_err(|_| bad(&"a hash has 16 bytes"))?;
            let day = day_of(Timestamp::from_millis(row.at));
            txn.put(Key::IdempotencyDay { day, hash }.to_bytes().into(), ::sled::IVec::default());
            txn.put_row(|_| Key::Idempotency { hash }, &row, 0);
        }
        Line::Events { seq, row } => {
            txn.next_seq = txn.next_seq.max(seq.saturating_add(1));
            txn.made.head = Some(cursor(seq, row.events.len()));
            txn.put_row(|chunk| Key::Events { seq, chunk }, &row, 0);
        }
        Line::Return { record } => lines::put(txn, record).map_err(|why| bad(&why))?,
        Line::Blob { file, row } => {
            let file = hash_of_text(&file).ok_or_else(|| bad(&"a file's name is no hash"))?;
            let caller = row.caller().map_err(|error| bad(&error))?;
            put_claim(txn, caller, file, Claim { bytes: row.bytes, used_at: row.used_at() });
        }
        Line::List { line } => lists::put(txn, line)?,
    }
    Ok(())
}

fn write_line(out: &mut (dyn Write + Send), line: &Line) -> Result<(), StorageError> {
    serde_json::to_writer(&mut *out, line).map_err(|error| unwritable(&error))?;
    out.write_all(b"\n").map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unfinished(format!("the export cannot be written: {error}"))
}

fn bad_line(number: u64, why: impl std::fmt::Display) -> StorageError {
    StorageError::Unfinished(format!("import, line {number}: {why}"))
}
