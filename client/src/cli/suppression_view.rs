//! How suppressions are shown.

use hikyaku_client::proto::{
    AddSuppressionResponse, RemoveSuppressionResponse, Suppression, SuppressionReason, SuppressionScope,
    SuppressionSource, suppression_scope::Scope,
};
use serde::Serialize;

use super::{
    counted::counted,
    escape::escape,
    job_view::bare,
    output::Show,
    table::{fields, table},
    time_text::show_time,
};

/// Longest evidence in a table, in characters.
const EVIDENCE_CHARS_MAX: usize = 60;

/// A suppression.
#[derive(Debug, Serialize)]
pub(crate) struct SuppressionView {
    scope: String,
    address: String,
    reason: String,
    source: String,
    added_at: Option<String>,
    added_by: String,
    expires_at: Option<String>,
    evidence: String,
    message: String,
}

impl From<Suppression> for SuppressionView {
    fn from(suppression: Suppression) -> Self {
        Self {
            scope: scope_text(suppression.scope.as_ref()),
            reason: reason_word(suppression.reason()),
            source: lower(bare(SuppressionSource::as_str_name(&suppression.source()), "SUPPRESSION_SOURCE_")),
            address: suppression.address,
            added_at: suppression.added_at.map(show_time),
            added_by: suppression.added_by,
            expires_at: suppression.expires_at.map(show_time),
            evidence: suppression.evidence,
            message: suppression.message,
        }
    }
}

impl Show for SuppressionView {
    fn text(&self) -> String {
        let added: Vec<_> =
            self.added_at.iter().chain([&self.added_by]).filter(|word| !word.is_empty()).cloned().collect();
        fields([
            ("address", self.address.clone()),
            ("scope", self.scope.clone()),
            ("reason", self.reason.clone()),
            ("source", self.source.clone()),
            ("added", added.join(" by ")),
            ("expires", self.expires_at.clone().unwrap_or_default()),
            ("message", self.message.clone()),
            ("evidence", self.evidence.clone()),
        ])
    }
}

/// Suppressions as rows.
pub(crate) fn suppression_table(suppressions: &[SuppressionView]) -> String {
    let rows = suppressions.iter().map(|one| {
        let evidence: String = one.evidence.chars().take(EVIDENCE_CHARS_MAX).collect();
        vec![
            escape(&one.address).into_owned(),
            escape(&one.scope).into_owned(),
            one.reason.clone(),
            one.source.clone(),
            one.added_at.clone().unwrap_or_default(),
            one.expires_at.clone().unwrap_or_default(),
            escape(&evidence).into_owned(),
        ]
    });
    table(&["ADDRESS", "SCOPE", "REASON", "SOURCE", "ADDED", "EXPIRES", "EVIDENCE"], rows)
}

/// That an address was added, or why not.
#[derive(Debug, Serialize)]
pub(crate) struct AddedView {
    replaced: bool,
    kept: bool,
    suppression: SuppressionView,
}

impl From<AddSuppressionResponse> for AddedView {
    fn from(answer: AddSuppressionResponse) -> Self {
        let AddSuppressionResponse { suppression, replaced, kept } = answer;
        Self { replaced, kept, suppression: suppression.unwrap_or_default().into() }
    }
}

impl Show for AddedView {
    fn text(&self) -> String {
        let done = match (self.kept, self.replaced) {
            (true, _) => "kept",
            (false, true) => "replaced",
            (false, false) => "added",
        };
        format!("{done} {} for {}", escape(&self.suppression.address), escape(&self.suppression.scope))
    }
}

/// That an address was removed.
#[derive(Debug, Serialize)]
pub(crate) struct RemovedView {
    suppression: SuppressionView,
    requeued_recipients: u32,
}

impl From<RemoveSuppressionResponse> for RemovedView {
    fn from(answer: RemoveSuppressionResponse) -> Self {
        let RemoveSuppressionResponse { suppression, requeued_recipients } = answer;
        Self { suppression: suppression.unwrap_or_default().into(), requeued_recipients }
    }
}

impl Show for RemovedView {
    fn text(&self) -> String {
        let requeued = counted(self.requeued_recipients.into(), "recipient", "recipients");
        if self.suppression.address.is_empty() {
            return format!("it was not suppressed any more; {requeued} queued again");
        }
        format!(
            "removed {} for {}; {requeued} queued again",
            escape(&self.suppression.address),
            escape(&self.suppression.scope)
        )
    }
}

/// A scope as it is written: `global`, `account:shop` or `label:news`.
pub(crate) fn scope_text(scope: Option<&SuppressionScope>) -> String {
    match scope.and_then(|scope| scope.scope.as_ref()) {
        None => String::new(),
        Some(Scope::Global(_)) => "global".to_owned(),
        Some(Scope::AccountId(account)) => format!("account:{account}"),
        Some(Scope::Label(label)) => format!("label:{label}"),
    }
}

/// A scope of its text.
///
/// # Errors
/// A sentence that says what is allowed.
pub(crate) fn parse_scope(text: &str) -> Result<SuppressionScope, String> {
    let scope = match text.split_once(':') {
        None if text == "global" => Scope::Global(true),
        Some(("account", account)) => Scope::AccountId(account.to_owned()),
        Some(("label", label)) => Scope::Label(label.to_owned()),
        _ => return Err(format!("\"{text}\" is not a scope; write global, account:ID or label:LABEL")),
    };
    Ok(SuppressionScope { scope: Some(scope) })
}

/// A reason as it is written, such as `hard-bounce`.
pub(crate) fn reason_word(reason: SuppressionReason) -> String {
    lower(bare(reason.as_str_name(), "SUPPRESSION_REASON_"))
}

fn lower(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_their_text() {
        for text in ["global", "account:shop", "label:news:weekly"] {
            assert_eq!(scope_text(Some(&parse_scope(text).expect(text))), text);
        }
        for text in ["", "shop", "everywhere", "global:1"] {
            assert!(parse_scope(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reasons_are_written_as_they_are_given() {
        assert_eq!(reason_word(SuppressionReason::HardBounce), "hard-bounce");
        assert_eq!(reason_word(SuppressionReason::Manual), "manual");
    }
}
