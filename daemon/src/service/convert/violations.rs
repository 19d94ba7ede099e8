//! What is wrong with a request, field by field.

use std::fmt::Display;

/// Most violations that are kept of one request; the others are counted.
pub(in crate::service) const VIOLATIONS_MAX: usize = 50;
/// Longest description of one violation, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 500;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Violation {
    /// The field's path in the request, such as `job.to[3].address`.
    pub(in crate::service) field: String,
    /// What is wrong, and what is allowed.
    pub(in crate::service) description: String,
    /// The index of the recipient among to, cc and bcc together, when it is about one.
    pub(in crate::service) recipient: Option<u32>,
}

/// All that is wrong with a request; nothing while it is empty.
#[derive(Debug, Default)]
pub(in crate::service) struct Violations {
    kept: Vec<Violation>,
    dropped: usize,
}

impl Violations {
    /// Notes what is wrong with `field`.
    pub(in crate::service) fn add(&mut self, field: impl Display, description: impl Display) {
        self.note(&field, &description, None);
    }

    /// Notes what is wrong with a field of a recipient, which is told by its index among to, cc and bcc together.
    pub(in crate::service) fn add_for(&mut self, recipient: u32, field: impl Display, description: impl Display) {
        self.note(&field, &description, Some(recipient));
    }

    /// The value, or nothing and a note of what is wrong with it.
    pub(in crate::service) fn keep<T, E: Display>(&mut self, field: impl Display, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(field, error)).ok()
    }

    /// All violations, or `value` when there are none.
    ///
    /// `value` is nothing only where a violation was noted.
    pub(in crate::service) fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Violation>> {
        if self.dropped > 0
            && let Some(last) = self.kept.last_mut()
        {
            last.description = format!("{}; {} more mistakes are not listed", last.description, self.dropped);
        }
        match value {
            Some(value) if self.kept.is_empty() => Ok(value),
            _ => Err(self.kept),
        }
    }

    fn note(&mut self, field: &dyn Display, description: &dyn Display, recipient: Option<u32>) {
        if self.kept.len() == VIOLATIONS_MAX {
            self.dropped += 1;
            return;
        }
        let mut description = description.to_string();
        description.truncate(description.floor_char_boundary(DESCRIPTION_BYTES_MAX));
        self.kept.push(Violation { field: field.to_string(), description, recipient });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_kept_up_to_a_bound() {
        let mut violations = Violations::default();
        for index in 0..VIOLATIONS_MAX + 7 {
            violations.add(format_args!("job.to[{index}]"), "is wrong");
        }
        let found = violations.finish(Some(())).expect_err("mistakes");
        assert_eq!(found.len(), VIOLATIONS_MAX);
        assert!(found[VIOLATIONS_MAX - 1].description.ends_with("7 more mistakes are not listed"));
    }

    #[test]
    fn a_request_without_mistakes_gives_its_value() {
        assert_eq!(Violations::default().finish(Some(5)), Ok(5));
    }

    #[test]
    fn long_descriptions_are_cut_between_characters() {
        let mut violations = Violations::default();
        violations.add("x", "飛".repeat(1_000));
        let found = violations.finish(Some(())).expect_err("a mistake");
        assert!(found[0].description.len() <= DESCRIPTION_BYTES_MAX);
    }
}
