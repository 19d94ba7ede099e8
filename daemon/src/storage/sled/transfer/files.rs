//! How files travel with an export: each once, in pieces, before the first line that refers to it.

use std::{
    collections::HashSet,
    fs::File,
    io::{ErrorKind, Read as _, Write},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Line, bad_line, unwritable, write_line};
use crate::{
    domain::mail::Message,
    storage::{
        StorageError,
        blobs::{FileHash, Incoming},
        records::job::{Body, JobRow, Location},
        sled::{SledStore, jobs::SPOOLED_BYTES_MAX, kept_file::KeptFile, shelving::Shelved},
    },
};

/// How much of a file goes into one line.
const PIECE_BYTES: u64 = 1_024 * 1_024;

/// The files that an export has written.
#[derive(Debug, Default)]
pub(super) struct Written(HashSet<FileHash>);

impl SledStore {
    /// Writes the files to which a line refers, unless that was done; returns how many lines that took.
    pub(super) fn export_files(
        &self,
        line: &Line,
        written: &mut Written,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, StorageError> {
        let files: Vec<FileHash> = match line {
            Line::Job { row, .. } => row.cuts.iter().filter_map(|cut| cut.file.as_slice().try_into().ok()).collect(),
            Line::Blob { file, .. } => hash_of_text(file).into_iter().collect(),
            _ => Vec::new(),
        };
        let mut lines = 0;
        for file in files {
            if written.0.insert(file) {
                lines += self.export_file(file, out)?;
            }
        }
        Ok(lines)
    }

    fn export_file(&self, hash: FileHash, out: &mut (dyn Write + Send)) -> Result<u64, StorageError> {
        let read_error = |error| unwritable(&format_args!("a file cannot be read: {error}"));
        let mut file = File::open(self.shelves.files.path(&hash)).map_err(read_error)?;
        let bytes = file.metadata().map_err(read_error)?.len();
        let (mut offset, mut lines) = (0, 0);
        while offset < bytes {
            let mut piece = Vec::new();
            let read = (&mut file).take(PIECE_BYTES).read_to_end(&mut piece).map_err(read_error)?;
            if read == 0 {
                return Err(unwritable(&"a file has become shorter"));
            }
            let content = BASE64_STANDARD.encode(&piece);
            write_line(out, &Line::File { blake3: text_of_hash(&hash), bytes, offset, content })?;
            offset += read as u64;
            lines += 1;
        }
        Ok(lines)
    }

    /// Whether a file can be read, so that a line may refer to it.
    pub(super) fn check_exported(&self, file: &FileHash) -> Result<(), StorageError> {
        self.sound.check(&self.shelves.files, file).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidData => StorageError::Damaged(format!("an uploaded file: {error}")),
            _ => unwritable(&error),
        })
    }

    /// Puts the message of an imported job on its shelves. One that was exported whole is cut now.
    pub(super) async fn shelve_imported(&self, row: &JobRow, message: &str) -> Result<Shelved, StorageError> {
        let message = BASE64_STANDARD.decode(message).map_err(|error| bad_line(0, error))?;
        let Body { is_eight_bit, cuts, whole_sum, .. } = row.body().map_err(|error| bad_line(0, error))?;
        if row.merge.is_none() && cuts.is_empty() {
            return self.shelve(Message { bytes: message.into(), is_eight_bit }).await;
        }
        let is_there = |hash: &FileHash| self.shelves.files.path(hash).exists();
        if !cuts.iter().all(|cut| is_there(&cut.file)) {
            return Err(bad_line(0, "a file to which a job refers is missing"));
        }
        let mut shelved = Shelved {
            spooled: None,
            body: Body { location: Location::Beside, is_eight_bit, cuts, whole_sum },
            files: Vec::new(),
        };
        if message.len() > SPOOLED_BYTES_MAX {
            let pin = self.in_background(move |store| store.store_file(&message)).await?;
            shelved.body.location = Location::File(pin.hash);
            shelved.files.push(KeptFile::new(pin, &self.disk, &self.shelves.files));
        } else {
            shelved.spooled = Some(message.into());
        }
        Ok(shelved)
    }

    /// Takes a piece of a file of an import. `coming` is the file whose pieces come.
    pub(super) fn import_piece(&self, line: Line, coming: &mut Option<Coming>) -> Result<(), StorageError> {
        let Line::File { blake3, bytes, offset, content } = line else {
            return Err(bad_line(0, "the rest of a file is missing"));
        };
        let content = BASE64_STANDARD.decode(content).map_err(|error| bad_line(0, error))?;
        let file_error = |error: &std::io::Error| self.file_error(error, bytes);
        let mut file = match coming.take() {
            Some(file) if file.name == blake3 && file.bytes == bytes => file,
            None => {
                let incoming = self.shelves.files.incoming().map_err(|error| file_error(&error))?;
                Coming { name: blake3, bytes, offset: 0, incoming }
            }
            Some(_) => return Err(bad_line(0, "the rest of a file is missing")),
        };
        if file.offset != offset {
            return Err(bad_line(0, "a part of a file is missing"));
        }
        file.incoming.write(&content).map_err(|error| file_error(&error))?;
        file.offset += content.len() as u64;
        if file.offset < bytes {
            *coming = Some(file);
            return Ok(());
        }
        let pin = file.incoming.finish().map_err(|error| file_error(&error))?;
        let is_its = hash_of_text(&file.name) == Some(pin.hash);
        if is_its { Ok(()) } else { Err(bad_line(0, "a file is not what its hash says")) }
    }
}

/// A file of an import whose pieces come.
#[derive(Debug)]
pub(super) struct Coming {
    name: String,
    bytes: u64,
    offset: u64,
    incoming: Incoming,
}

pub(super) fn text_of_hash(hash: &FileHash) -> String {
    blake3::Hash::from(*hash).to_hex().to_string()
}

pub(super) fn hash_of_text(text: &str) -> Option<FileHash> {
    blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes())
}
