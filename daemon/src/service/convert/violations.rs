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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::service) struct Violations {
    always: Notes,
    /// What is wrong unless the account takes lenient addresses.
    unless_lenient: Notes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Notes {
    kept: Vec<Violation>,
    dropped: usize,
}

impl Violations {
    /// Notes what is wrong with `field`.
    pub(in crate::service) fn add(&mut self, field: impl Display, description: impl Display) {
        self.always.add(&field, &description, None);
    }

    /// Notes what is wrong with a field of a recipient, which is told by its index among to, cc and bcc together.
    pub(in crate::service) fn add_for(&mut self, recipient: u32, field: impl Display, description: impl Display) {
        self.always.add(&field, &description, Some(recipient));
    }

    /// Notes what is wrong with a field, perhaps of a recipient, for an account that takes no lenient addresses. It counts
    /// as wrong for all, unless [`Violations::take_unless_lenient`] is called.
    pub(in crate::service) fn add_unless_lenient(
        &mut self,
        recipient: Option<u32>,
        field: impl Display,
        description: impl Display,
    ) {
        self.unless_lenient.add(&field, &description, recipient);
    }

    /// What is wrong only for an account that takes no lenient addresses. It is no longer among the others.
    pub(in crate::service) fn take_unless_lenient(&mut self) -> Self {
        Self { always: std::mem::take(&mut self.unless_lenient), unless_lenient: Notes::default() }
    }

    /// The value, or nothing and a note of what is wrong with it.
    pub(in crate::service) fn keep<T, E: Display>(&mut self, field: impl Display, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(field, error)).ok()
    }

    /// All violations, or `value` when there are none.
    ///
    /// `value` is nothing only where a violation was noted.
    pub(in crate::service) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        let Self { always: mut notes, unless_lenient } = self;
        notes.dropped += unless_lenient.dropped;
        unless_lenient.kept.into_iter().for_each(|violation| notes.keep(violation));
        let Notes { mut kept, dropped } = notes;
        if dropped > 0
            && let Some(last) = kept.last_mut()
        {
            last.description = format!("{}; {dropped} more mistakes are not listed", last.description);
        }
        match value {
            Some(value) if kept.is_empty() => Ok(value),
            _ => Err(kept),
        }
    }
}

impl Notes {
    fn add(&mut self, field: &dyn Display, description: &dyn Display, recipient: Option<u32>) {
        if self.kept.len() == VIOLATIONS_MAX {
            self.dropped += 1;
            return;
        }
        let mut description = description.to_string();
        description.truncate(description.floor_char_boundary(DESCRIPTION_BYTES_MAX));
        self.kept.push(Violation { field: field.to_string(), description, recipient });
    }

    fn keep(&mut self, violation: Violation) {
        if self.kept.len() == VIOLATIONS_MAX {
            self.dropped += 1;
        } else {
            self.kept.push(violation);
        }
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
    fn what_a_lenient_account_would_take_is_wrong_unless_it_is_taken_out() {
        let mut violations = Violations::default();
        violations.add_unless_lenient(Some(3), "job.to[3].address", "has a dot too many");
        assert_eq!(violations.clone().finish(Some(())).expect_err("a mistake")[0].recipient, Some(3));
        let taken = violations.take_unless_lenient();
        assert_eq!(violations.finish(Some(5)), Ok(5));
        assert_eq!(taken.finish(Some(())).expect_err("a mistake")[0].field, "job.to[3].address");
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
