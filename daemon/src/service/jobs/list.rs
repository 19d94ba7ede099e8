//! Lists of jobs, in pages that common clients can take.

use hikyaku_proto::v1;
use prost::Message as _;

use super::service::Jobs;
use crate::{
    domain::ids::JobId,
    service::{
        convert::{
            filter::to_filter,
            job::{Detail, from_job},
            violations::Violations,
        },
        paging::page_size,
        status::Refusal,
        visibility::{View, Visitor},
    },
    storage::Page,
};

/// Most bytes of one page, unless a single job has more. Clients take 4 MiB unless they are told otherwise.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

impl Jobs {
    /// One page of the jobs that match and that the caller sees.
    pub(super) async fn page(
        &self,
        request: v1::ListJobsRequest,
        visitor: &Visitor,
    ) -> Result<v1::ListJobsResponse, Refusal> {
        let wire_filter = request.filter.unwrap_or_default();
        let tokens = self.pages.tokens::<JobId>(&wire_filter);
        let mut violations = Violations::default();
        let filter = to_filter(wire_filter, "filter", &mut violations);
        let limit = page_size(request.page_size, &mut violations);
        let after = tokens.read::<JobId>(&request.page_token, &mut violations);
        let ((filter, limit), after) = violations.finish(filter.zip(limit).zip(after))?;
        let now = self.clock.now();
        let page = self.storage.list(&filter, Page { after, limit, now }).await?;

        let mut view = View::new(visitor, &self.storage);
        let mut next = page.next;
        let mut bytes = 0;
        let mut last = None;
        let mut jobs = Vec::with_capacity(page.jobs.len());
        for record in &page.jobs {
            if !view.sees_job(record).await? {
                continue;
            }
            let job = from_job(record, Detail::Summary, now);
            bytes += job.encoded_len();
            if last.is_some() && bytes > PAGE_BYTES_MAX {
                next = last;
                break;
            }
            last = Some(record.job.id);
            jobs.push(job);
        }
        let next_page_token = next.map(|last| tokens.after(&last)).unwrap_or_default();
        Ok(v1::ListJobsResponse { jobs, next_page_token })
    }
}
