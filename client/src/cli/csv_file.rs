//! A CSV file of any of the usual encodings, as text that is read bit by bit.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use csv::{Reader, ReaderBuilder};
use encoding_rs::{Decoder, Encoding};

use super::failure::Failure;

/// Where a list is, and how it is written.
#[derive(Clone, Debug)]
pub(crate) struct CsvFile {
    pub(crate) path: PathBuf,
    pub(crate) encoding: EncodingName,
    pub(crate) delimiter: Delimiter,
    /// How many bytes of it have been read.
    pub(crate) read: Arc<AtomicU64>,
}

/// The encodings of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncodingName {
    /// With or without a byte order mark
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// With the characters of Windows, CP932: what Excel writes in Japan
    #[value(name = "shift_jis", aliases = ["shift-jis", "sjis", "cp932", "windows-31j"])]
    ShiftJis,
    /// Of old Unix systems
    #[value(name = "euc-jp", aliases = ["eucjp", "euc_jp"])]
    EucJp,
    /// Little-endian: what Excel calls Unicode text, with --delimiter tab
    #[value(name = "utf-16", alias = "utf-16le")]
    Utf16,
}

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delimiter(u8);

/// Bytes that are decoded at once.
const RAW_BYTES: usize = 32_768;
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

impl CsvFile {
    /// Begins to read.
    ///
    /// # Errors
    /// When it cannot be opened, or is evidently UTF-16.
    pub(crate) fn open(&self) -> Result<Reader<Decoded>, Failure> {
        let cannot = || format!("cannot read {}", self.path.display());
        let mut file = File::open(&self.path).with_context(cannot)?;
        let mut head = Vec::new();
        (&mut file).take(UTF_8_MARK.len() as u64).read_to_end(&mut head).with_context(cannot)?;
        let is_marked = self.encoding == EncodingName::Utf8 && head == UTF_8_MARK;
        if self.encoding == EncodingName::Utf8 && UTF_16_MARKS.iter().any(|mark| head.starts_with(mark)) {
            return Err(anyhow!(
                "{} is UTF-16: try --encoding utf-16, perhaps with --delimiter tab",
                self.path.display()
            )
            .into());
        }
        let start = if is_marked { UTF_8_MARK.len() as u64 } else { 0 };
        file.seek(SeekFrom::Start(start)).context("it must be a file that can be read twice").with_context(cannot)?;
        self.read.store(start, Ordering::Relaxed);
        let decoded = Decoded::new(file, self.encoding.decoder(), Arc::clone(&self.read));
        Ok(ReaderBuilder::new().delimiter(self.delimiter.0).from_reader(decoded))
    }

    /// Its length in bytes; 0 when it is not known.
    pub(crate) fn size_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |facts| facts.len())
    }
}

impl EncodingName {
    /// As people know it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::ShiftJis => "Shift_JIS",
            Self::EucJp => "EUC-JP",
            Self::Utf16 => "UTF-16",
        }
    }

    /// Nothing for UTF-8, which is checked row by row.
    fn decoder(self) -> Option<Decoder> {
        let encoding: &'static Encoding = match self {
            Self::Utf8 => return None,
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::EucJp => encoding_rs::EUC_JP,
            Self::Utf16 => encoding_rs::UTF_16LE,
        };
        Some(encoding.new_decoder_with_bom_removal())
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Self(b'\t')),
            [one] if one.is_ascii() && !one.is_ascii_alphanumeric() && !matches!(one, b'"' | b'\r' | b'\n' | b'@') => {
                Ok(Self(*one))
            }
            _ => Err(format!("\"{text}\" cannot stand between cells; write ',', ';', '|' or tab")),
        }
    }
}

/// The bytes of a file as UTF-8. What is no character of its encoding becomes U+FFFD.
#[derive(Debug)]
pub(crate) struct Decoded {
    file: File,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    /// What was decoded and not yet taken: from `from` to `to`.
    text: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
    read: Arc<AtomicU64>,
}

impl Decoded {
    fn new(file: File, decoder: Option<Decoder>, read: Arc<AtomicU64>) -> Self {
        let text = decoder.as_ref().and_then(|decoder| decoder.max_utf8_buffer_length(RAW_BYTES)).unwrap_or_default();
        let raw = if decoder.is_some() { RAW_BYTES } else { 0 };
        Self { file, decoder, raw: vec![0; raw], text: vec![0; text], from: 0, to: 0, ended: false, read }
    }

    fn take_raw(&mut self) -> io::Result<usize> {
        let count = self.file.read(&mut self.raw)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.decoder.is_none() {
            let count = self.file.read(out)?;
            self.read.fetch_add(count as u64, Ordering::Relaxed);
            return Ok(count);
        }
        while self.from == self.to && !self.ended {
            let count = self.take_raw()?;
            self.ended = count == 0;
            let Some(decoder) = &mut self.decoder else { break };
            // The room is for the worst case, so all that was read is decoded at once.
            let (_, _, written, _) = decoder.decode_to_utf8(&self.raw[..count], &mut self.text, self.ended);
            (self.from, self.to) = (0, written);
        }
        let count = out.len().min(self.to - self.from);
        out[..count].copy_from_slice(&self.text[self.from..self.from + count]);
        self.from += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: EncodingName) -> Result<String, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, bytes).unwrap();
        let file = CsvFile { path, encoding, delimiter: Delimiter(b','), read: Arc::default() };
        let mut text = String::new();
        file.open()?.into_inner().read_to_string(&mut text).unwrap();
        assert_eq!(file.read.load(Ordering::Relaxed), bytes.len() as u64);
        Ok(text)
    }

    #[test]
    fn files_are_read_in_their_encoding() {
        assert_eq!(read(b"\xef\xbb\xbf\"address\"", EncodingName::Utf8).unwrap(), "\"address\"");
        assert_eq!(read("髙橋①".as_bytes(), EncodingName::Utf8).unwrap(), "髙橋①");
        assert_eq!(read(b"\xfb\xfc\x8b\xb4\x87\x40\x81\x60", EncodingName::ShiftJis).unwrap(), "髙橋①～");
        assert_eq!(read(b"a\x81", EncodingName::ShiftJis).unwrap(), "a\u{fffd}");
        assert_eq!(read(b"\xb6\xb6", EncodingName::EucJp).unwrap(), "橋");
        assert_eq!(read(b"\xff\xfea\0q\x5c", EncodingName::Utf16).unwrap(), "a山");
        assert!(read(b"\xff\xfea\0", EncodingName::Utf8).is_err());
        assert_eq!(read(b"", EncodingName::ShiftJis).unwrap(), "");
    }

    #[test]
    fn long_files_are_decoded_bit_by_bit() {
        // An odd first byte makes characters lie across the borders of what is read at once.
        let text = format!("x{}", "山田".repeat(20_000));
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&text);
        assert_eq!(read(&bytes, EncodingName::ShiftJis).unwrap(), text);
    }

    #[test]
    fn a_delimiter_is_one_character() {
        for (text, expected) in [(",", Some(b',')), (";", Some(b';')), ("tab", Some(b'\t')), ("\\t", Some(b'\t'))] {
            assert_eq!(text.parse().ok(), expected.map(Delimiter), "{text}");
        }
        for text in ["", ",,", "a", "\"", "、"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text}");
        }
    }
}
