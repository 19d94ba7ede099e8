//! How a message says what it answers, and that a program wrote it.

use crate::domain::mail::{AutoSubmitted, Draft, MessageId};

/// In-Reply-To and References (RFC 5322 3.6.4), one id on each line.
pub(super) fn thread_fields(draft: &Draft) -> String {
    let mut fields = String::new();
    let mut references: Vec<&MessageId> = draft.references.iter().collect();
    if let Some(answered) = &draft.in_reply_to {
        fields.push_str(&format!("In-Reply-To: {answered}\r\n"));
        if references.last() != Some(&answered) {
            references.push(answered);
        }
    }
    if !references.is_empty() {
        let written: Vec<_> = references.iter().map(ToString::to_string).collect();
        fields.push_str(&format!("References: {}\r\n", written.join("\r\n ")));
    }
    fields
}

/// Auto-Submitted (RFC 3834 5).
pub(super) fn auto_submitted_field(draft: &Draft) -> &'static str {
    match draft.auto_submitted {
        None => "",
        Some(AutoSubmitted::Generated) => "Auto-Submitted: auto-generated\r\n",
        Some(AutoSubmitted::Replied) => "Auto-Submitted: auto-replied\r\n",
    }
}
