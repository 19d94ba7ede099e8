//! How a merge job goes through one stream: its head, then its recipients in batches.

use std::{convert::Infallible, error, fmt, future};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::sync::oneshot;

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        ListRecipientsRequest, ListedRecipient, MergeHead, MergeRecipient, MergeRecipients, RecipientState,
        SubmitMergeRequest, SubmitMergeResponse, submit_merge_request::Part,
    },
};

/// Recipients that are sent in one request.
const BATCH_RECIPIENTS: usize = 500;
/// Recipients asked for at once while a list is read.
const PAGE_RECIPIENTS: u32 = 1_000;

type Cause = Box<dyn error::Error + Send + Sync>;

impl Client {
    /// Stores a merge job: one content, and a message of its own for each recipient. The content's subject, text and HTML
    /// are templates in the language of Jinja: `{{ name }}` stands for a variable. When this returns, all of it is on stable
    /// storage; when it fails, nothing of it is.
    ///
    /// The recipients are read as fast as the daemon takes them, and `progress` is told how many have been sent. An error
    /// among them breaks the call off.
    ///
    /// ```no_run
    /// # async fn example(client: hikyaku_client::Client) -> Result<(), hikyaku_client::Error> {
    /// use futures_util::stream;
    /// use hikyaku_client::{Draft, merge_recipient};
    ///
    /// let draft = Draft::new("shop").subject("For {{ name }}").text("Dear {{ name }}, your code is {{ code }}.");
    /// let taro = merge_recipient("taro@example.jp", "Taro", [("code", "7")]);
    /// let stored = client.submit_merge(draft, stream::iter([Ok::<_, std::io::Error>(taro)]), |_sent| ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] when something is wrong; the violations name a recipient by its place, such as
    /// `recipients[777777].variables.code`. [`Error::Recipients`] with an error of `recipients`.
    pub async fn submit_merge<S, E>(
        &self,
        head: impl Into<MergeHead>,
        recipients: S,
        progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<SubmitMergeResponse, Error>
    where
        S: Stream<Item = Result<MergeRecipient, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let (fails, failed) = oneshot::channel();
        let recipients = recipients.map(|recipient| recipient.map_err(Into::into)).boxed();
        let batches = Batches { recipients, sent: 0, progress: Box::new(progress), fails: Some(fails) };
        let head = SubmitMergeRequest { part: Some(Part::Head(head.into())) };
        let requests = stream::once(future::ready(head)).chain(stream::unfold(batches, Batches::next));
        let mut jobs = self.jobs.clone();
        tokio::select! {
            biased;
            Ok(cause) = failed => Err(Error::Recipients(cause)),
            answer = jobs.submit_merge(requests) => Ok(answer?.into_inner()),
        }
    }

    /// The recipients of a job in the order in which they were submitted, those in one of `states` or all; pages are
    /// fetched as the stream is read.
    pub fn list_recipients(
        &self,
        job_id: &str,
        states: &[RecipientState],
    ) -> impl Stream<Item = Result<ListedRecipient, Error>> + use<> {
        let jobs = self.jobs.clone();
        let job_id = job_id.to_owned();
        let states: Vec<i32> = states.iter().map(|state| (*state).into()).collect();
        all_pages(move |page_token| {
            let (job_id, states) = (job_id.clone(), states.clone());
            let request = ListRecipientsRequest { job_id, states, page_size: PAGE_RECIPIENTS, page_token };
            let mut jobs = jobs.clone();
            async move {
                let page = jobs.list_recipients(request).await?.into_inner();
                Ok((page.recipients, page.next_page_token))
            }
        })
    }
}

/// A recipient of a merge job with what the variables mean for it; an empty `name` is none.
pub fn merge_recipient<K: Into<String>, V: Into<String>>(
    address: impl Into<String>,
    name: impl Into<String>,
    variables: impl IntoIterator<Item = (K, V)>,
) -> MergeRecipient {
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    MergeRecipient { address: address.into(), name: name.into(), variables }
}

/// Recipients on their way into requests.
struct Batches {
    recipients: BoxStream<'static, Result<MergeRecipient, Cause>>,
    sent: u64,
    progress: Box<dyn FnMut(u64) + Send>,
    fails: Option<oneshot::Sender<Cause>>,
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl Batches {
    async fn next(mut self) -> Option<(SubmitMergeRequest, Self)> {
        let mut recipients = Vec::with_capacity(BATCH_RECIPIENTS);
        while recipients.len() < BATCH_RECIPIENTS {
            match self.recipients.next().await {
                Some(Ok(recipient)) => recipients.push(recipient),
                Some(Err(cause)) => match self.break_off(cause).await {},
                None => break,
            }
        }
        if recipients.is_empty() {
            return None;
        }
        self.sent += recipients.len() as u64;
        (self.progress)(self.sent);
        let part = Some(Part::Recipients(MergeRecipients { recipients }));
        Some((SubmitMergeRequest { part }, self))
    }

    /// A stream that ended here would be taken for whole, so it is left open until the call is dropped.
    async fn break_off(mut self, cause: Cause) -> Infallible {
        if let Some(fails) = self.fails.take() {
            // Whoever waits for it is the call itself; when that has gone, so has this.
            let _ = fails.send(cause);
        }
        future::pending().await
    }
}
