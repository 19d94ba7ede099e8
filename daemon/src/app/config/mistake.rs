//! What is wrong with a configuration: everything at once, each mistake with its key.

use std::{fmt, path::Path};

/// The place of a mistake that is about the file as a whole, while its name is not known.
pub(super) const FILE: &str = "file";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The key, such as `listen.tcp.address`; the file or the variable when it is about no single key.
    pub place: String,
    /// What is wrong with it.
    pub wrong: String,
}

impl Mistake {
    pub(super) fn new(place: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self { place: place.into(), wrong: wrong.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)
    }
}

/// Everything that is wrong, in the order of the places; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Nothing when there is no mistake.
    pub(super) fn from_found(mut found: Vec<Mistake>) -> Option<Self> {
        found.sort();
        found.dedup();
        (!found.is_empty()).then_some(Self(found))
    }

    /// A single one.
    pub(super) fn one(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }

    /// Names the file by its path where a mistake is about the whole of it.
    pub(super) fn of_file(mut self, path: Option<&Path>) -> Self {
        for mistake in self.0.iter_mut().filter(|mistake| mistake.place == FILE) {
            if let Some(path) = path {
                mistake.place = path.display().to_string();
            }
        }
        self
    }

    /// The mistakes.
    #[must_use]
    pub fn as_slice(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    /// One line a mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration has {} {noun}", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
