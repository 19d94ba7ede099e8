//! What one setting is: its key, its meaning, its default and its reader, in one place.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use super::places::Places;
use crate::{
    domain::account::EhloName,
    platform::logging::{LogFilter, LogFormat},
    wire::clamd::{BadScannerPlace, ScannerPlace},
};

/// One key of the configuration.
#[derive(Debug)]
pub(super) struct Setting<T> {
    /// Section and name: `listen.tcp.address`.
    pub(super) key: &'static str,
    /// What it means, for the manual; lines as they are printed.
    pub(super) doc: &'static str,
    /// What holds when it is not given.
    pub(super) default: Default,
    /// Reads a value, or says what it must be.
    pub(super) parse: fn(&Given) -> Result<T, String>,
}

/// What holds when a key is not given.
#[derive(Debug)]
pub(super) enum Default {
    /// This value, as TOML.
    Value(&'static str),
    /// A path that depends on who starts the daemon.
    Place(fn(&Places) -> PathBuf),
    /// Nothing; with an example, as TOML.
    Absent(&'static str),
}

impl Default {
    /// The default as TOML; nothing when the key is absent by default.
    pub(super) fn toml(&self, places: &Places) -> Option<String> {
        match self {
            Self::Value(text) => Some((*text).to_owned()),
            Self::Place(path) => Some(toml::Value::String(path(places).display().to_string()).to_string()),
            Self::Absent(_) => None,
        }
    }
}

/// A value as it was given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// In the file.
    Toml(toml::Value),
    /// By this variable of the environment.
    Variable {
        /// The variable's name.
        name: String,
        /// Its text.
        text: String,
    },
}

impl Given {
    fn text(&self) -> Result<&str, String> {
        match self {
            Self::Variable { text, .. } | Self::Toml(toml::Value::String(text)) => Ok(text),
            Self::Toml(other) => Err(format!("must be a text in quotes, not {}", kind(other))),
        }
    }

    fn whole(&self) -> Result<u64, String> {
        match self {
            Self::Toml(toml::Value::Integer(number)) => {
                u64::try_from(*number).map_err(|_| String::from("must not be negative"))
            }
            Self::Toml(other) => Err(format!("must be a whole number, not {}", kind(other))),
            Self::Variable { text, .. } => text.parse().map_err(|_| format!("must be a whole number, not {text:?}")),
        }
    }
}

fn kind(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::String(_) => "a text",
        toml::Value::Integer(_) => "a number",
        toml::Value::Float(_) => "a fraction",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Datetime(_) => "a time",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a section",
    }
}

/// An absolute path.
pub(super) fn path(given: &Given) -> Result<PathBuf, String> {
    let path = PathBuf::from(given.text()?);
    let is_clean = path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0);
    if is_clean { Ok(path) } else { Err(format!("must be an absolute path, not {:?}", path.display())) }
}

/// A path that a socket can have.
pub(super) fn socket_path(given: &Given) -> Result<PathBuf, String> {
    let path = path(given)?;
    match path.as_os_str().len() {
        0..=SOCKET_PATH_BYTES_MAX => Ok(path),
        long => Err(format!("is {long} bytes long; the path of a socket may have {SOCKET_PATH_BYTES_MAX}")),
    }
}

/// Longest path of a socket, in bytes: `sun_path` has 108 with its final zero, and it is made under a name with 4 more.
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// The mode of a file, in octal digits.
pub(super) fn mode(given: &Given) -> Result<u32, String> {
    let text = given.text()?;
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| format!("must be three octal digits such as \"0660\", not {text:?}"))
}

/// An IP address with a port.
pub(super) fn socket_address(given: &Given) -> Result<SocketAddr, String> {
    let text = given.text()?;
    text.parse().map_err(|_| format!("must be an IP address with a port such as \"127.0.0.1:7725\", not {text:?}"))
}

/// Where a virus scanner listens.
pub(super) fn scanner_place(given: &Given) -> Result<ScannerPlace, String> {
    let text = given.text()?;
    text.parse().map_err(|error: BadScannerPlace| format!("{error}, not {text:?}"))
}

/// A whole number within bounds, both included.
pub(super) fn whole_within<const MIN: u64, const MAX: u64>(given: &Given) -> Result<u64, String> {
    let number = given.whole()?;
    if (MIN..=MAX).contains(&number) { Ok(number) } else { Err(format!("must be from {MIN} to {MAX}, not {number}")) }
}

/// The form of log lines.
pub(super) fn log_format(given: &Given) -> Result<LogFormat, String> {
    match given.text()? {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("must be \"pretty\" or \"json\", not {other:?}")),
    }
}

/// The filter of log lines.
pub(super) fn log_filter(given: &Given) -> Result<LogFilter, String> {
    let text = given.text()?;
    LogFilter::from_str(text).map_err(|error| format!("is no filter such as \"info,hikyaku_daemon=debug\": {error}"))
}

/// A name for EHLO.
pub(super) fn ehlo_name(given: &Given) -> Result<EhloName, String> {
    given.text()?.parse().map_err(|error: crate::domain::account::BadHost| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug + PartialEq>(
        parse: fn(&Given) -> Result<T, String>,
        toml: &str,
        expected: Result<T, &str>,
    ) {
        let value = toml.parse().expect("TOML");
        assert_eq!(parse(&Given::Toml(value)), expected.map_err(str::to_owned));
    }

    #[test]
    fn values_are_read_or_told_what_they_must_be() {
        check(path, "'/a/b'", Ok("/a/b".into()));
        check(path, "'a/b'", Err("must be an absolute path, not \"a/b\""));
        check(path, "5", Err("must be a text in quotes, not a number"));
        check(mode, "'0660'", Ok(0o660));
        check(mode, "'660'", Ok(0o660));
        check(mode, "'0o66'", Err("must be three octal digits such as \"0660\", not \"0o66\""));
        check(mode, "'4755'", Err("must be three octal digits such as \"0660\", not \"4755\""));
        check(whole_within::<1, 9>, "9", Ok(9));
        check(whole_within::<1, 9>, "0", Err("must be from 1 to 9, not 0"));
        check(whole_within::<1, 9>, "-1", Err("must not be negative"));
        check(whole_within::<1, 9>, "1.5", Err("must be a whole number, not a fraction"));
        check(log_format, "'json'", Ok(LogFormat::Json));
        check(log_format, "'Json'", Err("must be \"pretty\" or \"json\", not \"Json\""));
    }

    #[test]
    fn variables_are_read_like_the_file() {
        let given = |text: &str| Given::Variable { name: "X".to_owned(), text: text.to_owned() };
        assert_eq!(whole_within::<1, 9>(&given("7")), Ok(7));
        assert_eq!(path(&given("/x")), Ok("/x".into()));
        assert!(whole_within::<1, 9>(&given("seven")).is_err());
    }
}
