//! Which accounts a caller is shown: those that it sees and that match its filter, page by page.

use hikyaku_proto::v1;
use prost::Message as _;

use super::Accounts;
use crate::{
    domain::ids::AccountId,
    service::{
        convert::{account::state_of, account_filter::to_account_filter, violations::Violations},
        paging::page_size,
        status::Refusal,
        visibility::Visitor,
    },
    storage::PAGE_MAX,
};

/// Most bytes of one page, unless a single account has more. Clients take 4 MiB unless they are told otherwise.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Fewest accounts that are read at once.
const READ_MIN: usize = 100;
/// Accounts that are looked at for one page, which is shorter when few of them match.
const SCANNED_MAX: usize = 10_000;

impl Accounts {
    /// One page of the accounts that match.
    pub(super) async fn list(
        &self,
        request: v1::ListAccountsRequest,
        visitor: &Visitor,
    ) -> Result<v1::ListAccountsResponse, Refusal> {
        let mut violations = Violations::default();
        let size = page_size(request.page_size, &mut violations);
        let list = v1::ListAccountsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let tokens = self.pages.tokens::<AccountId>(&list);
        let after = tokens.read::<AccountId>(&request.page_token, &mut violations);
        let filter = to_account_filter(request.filter.unwrap_or_default(), "filter", &mut violations);
        let ((size, mut after), filter) = violations.finish(size.zip(after).zip(filter))?;

        let mut accounts = Vec::new();
        let (mut bytes, mut scanned) = (0, 0);
        let next_page_token = 'read: loop {
            let records = self.storage.accounts(after.as_ref(), (size + 1).clamp(READ_MIN, PAGE_MAX)).await?;
            if records.is_empty() {
                break String::new();
            }
            for record in records {
                // Whether the page is full is told by the first account for which there is no room.
                let resume = after.replace(record.account.id.clone());
                scanned += 1;
                let settings = &record.account.settings;
                if !visitor.sees(settings) || !filter.includes(&record.account) {
                    continue;
                }
                let record = self.as_it_stands(record).await?;
                if !filter.includes_state(state_of(&record.standing)) {
                    continue;
                }
                let account = self.shown(&record).await?;
                bytes += account.encoded_len();
                if accounts.len() == size || (bytes > PAGE_BYTES_MAX && !accounts.is_empty()) {
                    break 'read resume.map(|last| tokens.after(&last)).unwrap_or_default();
                }
                accounts.push(account);
            }
            if scanned >= SCANNED_MAX {
                break after.map(|last| tokens.after(&last)).unwrap_or_default();
            }
        };
        Ok(v1::ListAccountsResponse { accounts, next_page_token })
    }
}
