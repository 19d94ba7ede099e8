//! Which accounts a caller wants to see, on the wire.

use hikyaku_proto::v1;

use super::{
    values::{one_line, parse},
    violations::Violations,
};
use crate::domain::{
    account::Account,
    address::Address,
    ids::{Caller, Label},
};

const TEXT_BYTES_MAX: usize = 200;

/// What accounts have to be; each part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::service) struct AccountFilter {
    /// In lower case; any when empty.
    text: String,
    owner: Option<Caller>,
    label: Option<Label>,
    /// Any when empty.
    states: Vec<v1::AccountState>,
    sends_as: Option<Address>,
    listed_only: bool,
}

impl AccountFilter {
    /// Whether an account is meant, as far as its settings tell.
    pub(in crate::service) fn includes(&self, account: &Account) -> bool {
        let settings = &account.settings;
        let has_text = || {
            let texts = [account.id.as_str(), &settings.display_name, settings.from.address.as_str()];
            texts.iter().any(|text| text.to_lowercase().contains(&self.text))
        };
        (self.text.is_empty() || has_text())
            && self.owner.as_ref().is_none_or(|owner| settings.owner.as_ref() == Some(owner))
            && self.label.as_ref().is_none_or(|label| settings.labels.contains(label))
            && self.sends_as.as_ref().is_none_or(|address| settings.may_send_from(address))
            && !(self.listed_only && settings.unlisted)
    }

    /// Whether accounts in this state are meant.
    pub(in crate::service) fn includes_state(&self, state: v1::AccountState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }
}

/// A filter that a caller sent.
pub(in crate::service) fn to_account_filter(
    wire: v1::AccountFilter,
    at: &str,
    violations: &mut Violations,
) -> Option<AccountFilter> {
    let text = one_line(wire.text, TEXT_BYTES_MAX, format_args!("{at}.text"), violations);
    let owner = match wire.owner.as_str() {
        "" => Some(None),
        owner => parse::<Caller>(owner, format_args!("{at}.owner"), violations).map(Some),
    };
    let label = match wire.label.as_str() {
        "" => Some(None),
        label => parse::<Label>(label, format_args!("{at}.label"), violations).map(Some),
    };
    let states = to_states(&wire.states, at, violations);
    let sends_as = match wire.sends_as.as_str() {
        "" => Some(None),
        address => parse::<Address>(address, format_args!("{at}.sends_as"), violations).map(Some),
    };
    Some(AccountFilter {
        text: text?.to_lowercase(),
        owner: owner?,
        label: label?,
        states: states?,
        sends_as: sends_as?,
        listed_only: wire.listed_only,
    })
}

fn to_states(wire: &[i32], at: &str, violations: &mut Violations) -> Option<Vec<v1::AccountState>> {
    let mut states = Vec::new();
    for (index, number) in wire.iter().enumerate() {
        match v1::AccountState::try_from(*number) {
            Ok(v1::AccountState::Unspecified) | Err(_) => {
                violations.add(format_args!("{at}.states[{index}]"), "is no state of an account");
                return None;
            }
            Ok(state) if states.contains(&state) => {}
            Ok(state) => states.push(state),
        }
    }
    Some(states)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::account::SignIn,
        storage::contract::{samples, unusual},
    };

    #[track_caller]
    fn check(filter: v1::AccountFilter, expected: bool) {
        let settings = unusual::settings(SignIn::None);
        let account = Account { settings, ..samples::sample_account("sales.tokyo") };
        let mut violations = Violations::default();
        let read = to_account_filter(filter.clone(), "f", &mut violations).expect("it is good");
        assert_eq!(read.includes(&account), expected, "{filter:?}");
    }

    #[test]
    fn each_condition_must_hold() {
        let usual = v1::AccountFilter::default;
        check(usual(), true);
        for (text, expected) in [("S.Tok", true), ("営", true), ("SALES@", true), ("osaka", false)] {
            check(v1::AccountFilter { text: text.into(), ..usual() }, expected);
        }
        check(v1::AccountFilter { owner: "taro".into(), ..usual() }, true);
        check(v1::AccountFilter { owner: "jiro".into(), ..usual() }, false);
        check(v1::AccountFilter { label: "新宿".into(), ..usual() }, true);
        check(v1::AccountFilter { label: "新".into(), ..usual() }, false);
        for (address, expected) in [
            ("Sales@example.jp", true),
            ("other@example.com", true),
            ("anyone@shop.example", true),
            ("nobody@example.com", false),
        ] {
            check(v1::AccountFilter { sends_as: address.into(), ..usual() }, expected);
        }
        check(v1::AccountFilter { listed_only: true, ..usual() }, false);
        check(v1::AccountFilter { label: "tokyo".into(), owner: "jiro".into(), ..usual() }, false);
    }

    #[test]
    fn filters_are_checked_field_by_field() {
        let wrong = v1::AccountFilter {
            text: "a\nb".into(),
            owner: "a b".into(),
            label: "a\nb".into(),
            states: vec![1, 0],
            sends_as: "x".into(),
            listed_only: true,
        };
        let mut violations = Violations::default();
        assert_eq!(to_account_filter(wrong, "f", &mut violations), None);
        let found = violations.finish(Some(())).expect_err("mistakes");
        let fields: Vec<_> = found.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["f.text", "f.owner", "f.label", "f.states[1]", "f.sends_as"]);
    }
}
