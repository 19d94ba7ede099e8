//! Where secrets come from: a file names them, and never holds them.

use std::{fmt, fs, path::PathBuf};

use super::fields::Shape;

/// Opens references.
pub(crate) struct Vault<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    folder: PathBuf,
}

/// Largest file with a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1_024;
/// The folder in which systemd puts the credentials of a unit.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const ADVICE: &str = "write \"file:/run/secrets/NAME\", \"env:NAME\" or \"credential:NAME\" (of systemd)";

impl<'a> Vault<'a> {
    /// Opens references with these environment variables, and files from `folder` on.
    pub(crate) fn new(variable: &'a dyn Fn(&str) -> Option<String>, folder: PathBuf) -> Self {
        Self { variable, folder }
    }

    /// The secret that a reference names.
    ///
    /// # Errors
    /// Why there is none; never what was found.
    pub(crate) fn open(&self, reference: &str, shape: Shape) -> Result<String, String> {
        let secret = match parts(reference) {
            Some(("file", path)) => read(self.folder.join(path))?,
            Some(("env", name)) => {
                (self.variable)(name).ok_or_else(|| format!("the environment variable {name} is not set; {KEEP}"))?
            }
            Some(("credential", name)) => {
                let folder = (self.variable)(CREDENTIALS_VARIABLE)
                    .ok_or_else(|| format!("there are no credentials: {CREDENTIALS_VARIABLE} is not set"))?;
                read(PathBuf::from(folder).join(name))?
            }
            _ => return Err(format!("is no reference; {ADVICE}")),
        };
        let secret = match shape {
            Shape::Line => secret.lines().next().unwrap_or_default().to_owned(),
            Shape::Whole => secret,
        };
        if secret.is_empty() { Err(format!("\"{reference}\" names an empty secret")) } else { Ok(secret) }
    }
}

const KEEP: &str = "leave the key out to keep the stored secret";

impl fmt::Debug for Vault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// Whether a text is a reference.
///
/// # Errors
/// What to write instead of a secret; never the text.
pub(crate) fn check_reference(text: &str) -> Result<(), String> {
    match parts(text) {
        Some(("credential", name)) if name.contains('/') || name.starts_with('.') => {
            Err("a credential has a name, not a path".to_owned())
        }
        Some(("file" | "env" | "credential", name)) if !name.is_empty() => Ok(()),
        _ => Err(format!("a secret does not stand in the file itself: {ADVICE}")),
    }
}

fn parts(reference: &str) -> Option<(&str, &str)> {
    reference.split_once(':')
}

fn read(path: PathBuf) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(&path).map_err(cannot)?.len() > SECRET_BYTES_MAX {
        return Err(format!("{} is larger than {SECRET_BYTES_MAX} bytes", path.display()));
    }
    fs::read_to_string(&path).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_secrets_are_refused_without_being_repeated() {
        for text in ["hunter2", "plain:hunter2", "env:", "", "credential:../hunter2"] {
            let error = check_reference(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        for text in ["env:NAME", "file:a", "file:/run/secrets/a", "credential:shop"] {
            assert_eq!(check_reference(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn references_are_opened_where_they_point() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("s"), "one\ntwo\n").unwrap();
        fs::write(folder.path().join("empty"), "\n").unwrap();
        let here = folder.path().display().to_string();
        let variable = |name: &str| match name {
            "A" => Some("of A".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(here.clone()),
            _ => None,
        };
        let vault = Vault::new(&variable, folder.path().to_owned());
        for (reference, shape, expected) in [
            ("env:A", Shape::Line, Some("of A")),
            ("env:B", Shape::Line, None),
            ("file:s", Shape::Line, Some("one")),
            ("file:s", Shape::Whole, Some("one\ntwo\n")),
            ("file:empty", Shape::Line, None),
            ("file:absent", Shape::Line, None),
            ("credential:s", Shape::Line, Some("one")),
        ] {
            assert_eq!(vault.open(reference, shape).ok().as_deref(), expected, "{reference}");
        }
    }
}
