//! Lists of mail that came in, page by page.

use hikyaku_proto::v1;
use prost::Message as _;

use super::Inbound;
use crate::{
    domain::inbound::InboundId,
    service::{
        convert::{
            inbound::{from_mail, to_inbound_filter},
            violations::Violations,
        },
        paging::page_size,
        status::Refusal,
        visibility::{View, Visitor},
    },
};

/// Most bytes of one page, unless a single mail has more. Clients take 4 MiB unless they are told otherwise.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

impl Inbound {
    /// One page of the mails that match and that the caller sees.
    pub(super) async fn page(
        &self,
        request: v1::ListInboundRequest,
        visitor: &Visitor,
    ) -> Result<v1::ListInboundResponse, Refusal> {
        let list = v1::ListInboundRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let tokens = self.pages.tokens::<InboundId>(&list);
        let mut violations = Violations::default();
        let filter = to_inbound_filter(&request, &mut violations);
        let limit = page_size(request.page_size, &mut violations);
        let after = tokens.read::<InboundId>(&request.page_token, &mut violations);
        let ((filter, limit), after) = violations.finish(filter.zip(limit).zip(after))?;
        let mut view = View::new(visitor, &self.storage);
        for account in &filter.accounts {
            if !view.sees_account(account).await? {
                return Err(Refusal::no_account(account.clone()));
            }
        }
        let found = self.storage.list_inbound(&filter, after, limit).await?;

        let mut next = found.next;
        let mut bytes = 0;
        let mut last = None;
        let mut mails = Vec::with_capacity(found.mails.len());
        for mail in &found.mails {
            if !view.sees_mail_of(&mail.account, mail.id).await? {
                continue;
            }
            let told = from_mail(mail);
            bytes += told.encoded_len();
            if last.is_some() && bytes > PAGE_BYTES_MAX {
                next = last;
                break;
            }
            last = Some(mail.id);
            mails.push(told);
        }
        let next_page_token = next.map(|last| tokens.after(&last)).unwrap_or_default();
        Ok(v1::ListInboundResponse { mails, next_page_token })
    }
}
