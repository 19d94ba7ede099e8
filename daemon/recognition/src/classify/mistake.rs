//! What can be wrong with a table of rules.

/// One thing that is wrong with a table of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {field}{}{reason}", if .field.is_empty() { "" } else { ": " })]
pub struct RuleMistake {
    /// The rule's name, `#n` for the nth rule when it has none, or `(table)` for the table as a whole.
    pub rule: String,
    /// The rule's field; empty when the mistake is not about a single one.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}
