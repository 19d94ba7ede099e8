//! How secrets are kept at rest: sealed with XChaCha20-Poly1305, each bound to the record it belongs to.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::{Zeroize, Zeroizing};

/// Length of a key, in bytes.
pub const KEY_BYTES: usize = 32;
/// By how many bytes a sealed secret is longer than the secret.
pub const SEAL_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The first byte of everything sealed; another one would mean another cipher.
const VERSION: u8 = 1;

/// Seals secrets with one key and opens them again.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    /// What other keys are derived from.
    root: Zeroizing<[u8; KEY_BYTES]>,
}

/// Why the key cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyFileError {
    #[error("cannot read or make the key file {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the key file {0} must hold 32 bytes: raw, as 64 hexadecimal digits, or as base64")]
    Form(PathBuf),
    #[error("the key file {path} may be read by others (mode {mode:o}): it must have mode 0600, 0400 or 0440")]
    Mode { path: PathBuf, mode: u32 },
}

/// A sealed secret that does not open: another key, another record, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed secret does not open with this key and for this record")]
pub struct DoesNotOpen;

impl Sealer {
    /// With a key that is known.
    #[must_use]
    pub fn from_key(mut key: [u8; KEY_BYTES]) -> Self {
        let cipher = XChaCha20Poly1305::new(&key.into());
        let root = Zeroizing::new(blake3::derive_key("hikyaku 2026-11-22 root of derived keys", &key));
        key.zeroize();
        Self { cipher, root }
    }

    /// A key of its own for a purpose: always the same for the same key and purpose, and of no use to find another.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        *blake3::keyed_hash(&self.root, purpose.as_bytes()).as_bytes()
    }

    /// With the key in a file, which is made with a random key and mode 0600 when it is not there.
    ///
    /// # Errors
    /// When the file cannot be read or made, does not hold a key, or may be read by others.
    pub fn from_key_file(path: &Path) -> Result<Self, KeyFileError> {
        let broken = |source| KeyFileError::Io { path: path.to_owned(), source };
        match fs::metadata(path) {
            Ok(facts) => {
                let mode = facts.permissions().mode() & 0o777;
                // The group may read: so it is when systemd or Kubernetes hands a secret over.
                if mode & 0o037 != 0 {
                    return Err(KeyFileError::Mode { path: path.to_owned(), mode });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(path).map_err(broken)?,
            Err(error) => return Err(broken(error)),
        }
        let text = Zeroizing::new(fs::read(path).map_err(broken)?);
        parse_key(&text).map(Self::from_key).ok_or_else(|| KeyFileError::Form(path.to_owned()))
    }

    /// Seals a secret for the record that `aad` names: it opens with the same `aad` only.
    #[must_use]
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce);
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
            .expect("a secret in memory is shorter than the cipher's bound of 256 GiB");
        [&[VERSION][..], &nonce, &sealed].concat()
    }

    /// Opens what was sealed for the same `aad`.
    ///
    /// # Errors
    /// When it was sealed with another key or for another record, or was changed since.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (version, rest) = sealed.split_first().ok_or(DoesNotOpen)?;
        let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
        if *version != VERSION {
            return Err(DoesNotOpen);
        }
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad });
        opened.map(Zeroizing::new).map_err(|_| DoesNotOpen)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn make_key(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill_random(key.as_mut());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(BASE64_STANDARD.encode(key.as_ref()) + "\n");
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Without its key the store's secrets are lost: the file's name must be durable too.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(dir)?.sync_all()
}

fn parse_key(bytes: &[u8]) -> Option<[u8; KEY_BYTES]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.len() == 2 * KEY_BYTES {
        let mut key = [0; KEY_BYTES];
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
    decoded.as_slice().try_into().ok()
}

#[expect(clippy::disallowed_methods, reason = "this is the platform layer: keys and nonces come from the kernel")]
fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the kernel of a running host gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_record_only() {
        let sealer = Sealer::from_key([7; KEY_BYTES]);
        let sealed = sealer.seal(b"sales", b"hunter2");
        assert_eq!(sealed.len(), 7 + SEAL_BYTES);
        assert_eq!(sealer.open(b"sales", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(sealer.open(b"other", &sealed).is_err());
        assert!(Sealer::from_key([8; KEY_BYTES]).open(b"sales", &sealed).is_err());
        assert!(sealer.open(b"sales", &sealed[..20]).is_err());
        assert!(sealer.open(b"sales", b"").is_err());
        assert_ne!(sealed, sealer.seal(b"sales", b"hunter2"));
        assert_eq!(format!("{sealer:?}"), "Sealer(..)");
    }

    #[test]
    fn derived_keys_depend_on_key_and_purpose() {
        let sealer = Sealer::from_key([7; KEY_BYTES]);
        assert_eq!(sealer.derive("a"), Sealer::from_key([7; KEY_BYTES]).derive("a"));
        assert_ne!(sealer.derive("a"), sealer.derive("b"));
        assert_ne!(sealer.derive("a"), Sealer::from_key([8; KEY_BYTES]).derive("a"));
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let sealed = Sealer::from_key_file(&path).unwrap().seal(b"a", b"x");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Sealer::from_key_file(&path).unwrap().open(b"a", &sealed).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Sealer::from_key_file(&path), Err(KeyFileError::Mode { mode: 0o644, .. })));
    }

    #[track_caller]
    fn check_key(text: &[u8], valid: bool) {
        assert_eq!(parse_key(text).is_some(), valid, "{text:?}");
    }

    #[test]
    fn keys_may_be_raw_hexadecimal_or_base64() {
        check_key(&[0xff; 32], true);
        check_key("ab".repeat(32).as_bytes(), true);
        check_key((BASE64_STANDARD.encode([1; 32]) + "\n").as_bytes(), true);
        check_key(b"", false);
        check_key("zz".repeat(32).as_bytes(), false);
        check_key(BASE64_STANDARD.encode([1; 31]).as_bytes(), false);
    }
}
