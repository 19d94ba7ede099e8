//! Lists of suppressions, page by page.

use hikyaku_proto::v1;
use prost::Message as _;

use super::{Lists, check_account, in_request};
use crate::{
    domain::{
        address::ADDRESS_BYTES_MAX,
        suppression::{SuppressionKey, SuppressionScope},
    },
    service::{
        convert::{
            suppression::{from_suppression, to_reason, to_scope},
            values::{one_line, optional_time},
            violations::Violations,
        },
        paging::page_size,
        status::Refusal,
        visibility::{View, Visitor},
    },
    storage::{SuppressionFilter, SuppressionPage},
};

/// Most bytes of one page, unless a single suppression has more. Clients take 4 MiB unless they are told otherwise.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

impl Lists {
    /// One page of the suppressions that match and that the caller sees.
    pub(super) async fn page(
        &self,
        request: v1::ListSuppressionsRequest,
        visitor: &Visitor,
    ) -> Result<v1::ListSuppressionsResponse, Refusal> {
        let list = v1::ListSuppressionsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let tokens = self.pages.tokens::<SuppressionKey>(&list);
        let mut violations = Violations::default();
        let limit = page_size(request.page_size, &mut violations);
        let after = tokens.read::<SuppressionKey>(&request.page_token, &mut violations);
        let filter = to_filter(request, &mut violations);
        let ((filter, limit), after) = violations.finish(filter.zip(limit).zip(after))?;
        let mut view = View::new(visitor, &self.storage);
        if let [SuppressionScope::Account(account)] = filter.scopes.as_slice() {
            check_account(account, &mut view).await.map_err(|refusal| in_request(refusal, "scope.account_id"))?;
        }
        let page = SuppressionPage { after, limit, now: self.clock.now() };
        let found = self.storage.list_suppressions(&filter, page).await?;

        let mut next = found.next;
        let mut bytes = 0;
        let mut last = None;
        let mut suppressions = Vec::with_capacity(found.suppressions.len());
        for suppression in found.suppressions {
            if let SuppressionScope::Account(account) = &suppression.key.scope
                && !view.sees_account(account).await?
            {
                continue;
            }
            let told = from_suppression(&suppression);
            bytes += told.encoded_len();
            if last.is_some() && bytes > PAGE_BYTES_MAX {
                next = last;
                break;
            }
            last = Some(suppression.key);
            suppressions.push(told);
        }
        let next_page_token = next.map(|last| tokens.after(&last)).unwrap_or_default();
        Ok(v1::ListSuppressionsResponse { suppressions, next_page_token })
    }
}

fn to_filter(request: v1::ListSuppressionsRequest, violations: &mut Violations) -> Option<SuppressionFilter> {
    let scopes = match request.scope {
        None => Some(Vec::new()),
        scope => to_scope(scope, "scope", violations).map(|scope| vec![scope]),
    };
    let reason = to_reason(request.reason, "reason", violations);
    let contained = one_line(request.address_contains, ADDRESS_BYTES_MAX, "address_contains", violations);
    let added_from = optional_time(request.added_from, "added_from", violations);
    let added_before = optional_time(request.added_before, "added_before", violations);
    Some(SuppressionFilter {
        scopes: scopes?,
        reason: reason?,
        address_contains: contained.map(|text| Some(text.to_lowercase()).filter(|text| !text.is_empty()))?,
        added_from: added_from?,
        added_before: added_before?,
    })
}
