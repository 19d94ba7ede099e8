//! Where what comes into a mailbox is filed on the daemon's host, and what it is marked with, on the wire.

use std::path::{Component, Path};

use hikyaku_proto::v1;

use super::{names::to_labels, values::one_line, violations::Violations};
use crate::domain::account::InboundMarks;

/// Longest name of a folder, in bytes.
const FOLDER_BYTES_MAX: usize = 1_000;
/// Longest status, in bytes.
const STATUS_BYTES_MAX: usize = 64;

/// What becomes of mail that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filing {
    pub(super) archive_folder: Option<String>,
    pub(super) attachments_folder: Option<String>,
    pub(super) marks_to: InboundMarks,
    pub(super) marks_cc: InboundMarks,
    pub(super) marks_from: InboundMarks,
}

/// What a caller wants to become of mail that comes.
pub(super) fn to_filing(wire: &v1::IncomingMailbox, at: &str, violations: &mut Violations) -> Option<Filing> {
    let archive_folder = to_folder(&wire.archive_folder, &format!("{at}.archive_folder"), violations);
    let attachments_folder = to_folder(&wire.attachments_folder, &format!("{at}.attachments_folder"), violations);
    if matches!(attachments_folder, Some(Some(_))) && !wire.all_mail {
        violations.add(format_args!("{at}.attachments_folder"), "needs all_mail: nothing is saved of bounces");
    }
    let marks_to = to_marks(wire.marks_to.as_ref(), &format!("{at}.marks_to"), violations);
    let marks_cc = to_marks(wire.marks_cc.as_ref(), &format!("{at}.marks_cc"), violations);
    let marks_from = to_marks(wire.marks_from.as_ref(), &format!("{at}.marks_from"), violations);
    Some(Filing {
        archive_folder: archive_folder?,
        attachments_folder: attachments_folder?,
        marks_to: marks_to?,
        marks_cc: marks_cc?,
        marks_from: marks_from?,
    })
}

/// A folder below the daemon's own, which no name may leave; nothing when the caller names none.
fn to_folder(folder: &str, at: &str, violations: &mut Violations) -> Option<Option<String>> {
    let folder = one_line(folder.to_owned(), FOLDER_BYTES_MAX, at, violations)?;
    if folder.is_empty() {
        return Some(None);
    }
    let is_inside = is_name_below(&folder);
    if !is_inside {
        violations
            .add(at, "must be a name below the daemon's folder for inbound mail, not absolute and without \"..\"");
    }
    is_inside.then_some(Some(folder))
}

/// Whether a path leads from a folder to something below it, whatever lies there.
pub(in crate::service) fn is_name_below(path: &str) -> bool {
    // A drive's letter or a backslash means nothing here, and something to whoever reads the folder elsewhere.
    let is_plain = !path.is_empty() && !path.contains(['\\', '\0']);
    is_plain && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Marks on the wire; nothing when there are none.
pub(super) fn from_marks(marks: &InboundMarks) -> Option<v1::InboundMarks> {
    (*marks != InboundMarks::default()).then(|| v1::InboundMarks {
        labels: marks.labels.iter().map(|label| label.as_str().to_owned()).collect(),
        status: marks.status.clone(),
    })
}

/// Marks that a caller sent.
fn to_marks(wire: Option<&v1::InboundMarks>, at: &str, violations: &mut Violations) -> Option<InboundMarks> {
    let Some(wire) = wire else { return Some(InboundMarks::default()) };
    let labels = to_labels(&wire.labels, &format!("{at}.labels"), violations);
    let status = one_line(wire.status.clone(), STATUS_BYTES_MAX, format_args!("{at}.status"), violations);
    Some(InboundMarks { labels: labels?, status: status? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_folder(folder: &str, expected: Option<Option<&str>>) {
        let mut violations = Violations::default();
        let read = to_folder(folder, "m.archive_folder", &mut violations);
        assert_eq!(read, expected.map(|folder| folder.map(str::to_owned)), "{folder:?}");
        assert_eq!(violations.finish(Some(())).is_err(), expected.is_none(), "{folder:?}");
    }

    #[test]
    fn a_folder_is_a_name_below_the_daemons_own() {
        check_folder("", Some(None));
        check_folder("sales", Some(Some("sales")));
        check_folder("sales/2026", Some(Some("sales/2026")));
        check_folder("飛脚", Some(Some("飛脚")));
        check_folder("..hidden", Some(Some("..hidden")));
        let long = "x".repeat(FOLDER_BYTES_MAX + 1);
        for bad in ["/", "/mail", "..", "../mail", "a/../../b", ".", "./a", "a\nb", "a\0", "a\\b", long.as_str()] {
            check_folder(bad, None);
        }
    }

    #[track_caller]
    fn check_marks(labels: &[&str], status: &str, expected: &[&str]) {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let wire = v1::InboundMarks { labels, status: status.to_owned() };
        let mut violations = Violations::default();
        let read = to_marks(Some(&wire), "m.marks_to", &mut violations);
        let found = violations.finish(Some(())).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
        if let Some(read) = read {
            assert_eq!(from_marks(&read).unwrap_or_default(), wire);
        }
    }

    #[test]
    fn marks_have_few_labels_and_a_short_status() {
        check_marks(&[], "", &[]);
        check_marks(&["vip", "飛脚"], "new", &[]);
        check_marks(&["x"; 17], "", &["m.marks_to.labels"]);
        check_marks(&["a", "a"], "", &["m.marks_to.labels[1]"]);
        check_marks(&["a", ""], &"x".repeat(65), &["m.marks_to.labels[1]", "m.marks_to.status"]);
        check_marks(&[], "a\nb", &["m.marks_to.status"]);
    }
}
