//! SuppressionService: who must not be sent to.
//!
//! Entries of an account are for those who see the account. Entries of labels and of all accounts are read by every known caller and
//! changed by admins; but whoever submits jobs may say that an address has unsubscribed from a label.

mod import;
mod listing;

use std::sync::Arc;

use futures_util::{StreamExt, stream::BoxStream};
use hikyaku_proto::v1::{self, suppression_service_server::SuppressionService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    convert::{
        names::to_labels,
        suppression::{Origin, from_suppression, to_scope, to_suppressed, to_suppression},
        values::parse,
        violations::Violations,
    },
    guard::visitor_of,
    paging::PageSeal,
    parts::Parts,
    places::place,
    status::{Refusal, Returned},
    unread::unless_unread,
    visibility::{View, Visitor},
};
use crate::{
    domain::{
        ids::AccountId,
        suppression::{Suppression, SuppressionKey, SuppressionReason, SuppressionScope, SuppressionSource},
        time::Clock,
    },
    storage::SharedStorage,
};

/// Most streams of imports at once, over all callers.
const IMPORTS_MAX: usize = 16;

/// The service.
#[derive(Debug)]
pub(super) struct SuppressionLists {
    lists: Lists,
    shutdown: CancellationToken,
    imports: Arc<Semaphore>,
}

/// The lists, as calls and streams reach them.
#[derive(Clone, Debug)]
struct Lists {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    pages: PageSeal,
}

/// What a caller may do with an entry that it wants to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// It may replace the one that is there.
    Replace,
    /// It may add one where none holds.
    AddOnly,
}

/// What became of an entry that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// There was none.
    Added,
    /// It stands instead of another one.
    Replaced,
    /// This one stays.
    Kept(Suppression),
}

impl SuppressionLists {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            lists: Lists {
                storage: Arc::clone(&parts.storage),
                clock: Arc::clone(&parts.clock),
                pages: parts.pages.clone(),
            },
            shutdown: parts.shutdown.clone(),
            imports: Arc::new(Semaphore::new(IMPORTS_MAX)),
        }
    }
}

impl Lists {
    async fn add(
        &self,
        wire: Option<v1::Suppression>,
        visitor: &Visitor,
    ) -> Result<v1::AddSuppressionResponse, Refusal> {
        let origin = self.origin(visitor, SuppressionSource::Call);
        let mut violations = Violations::default();
        let suppression = to_suppression(wire, &origin, &mut violations);
        let suppression = violations.finish(suppression)?;
        let leave = leave_to_add(&suppression, visitor, &mut View::new(visitor, &self.storage)).await?;
        let told = from_suppression(&suppression);
        let outcome = self.store(leave, vec![suppression]).await?.pop();
        if let Some(Outcome::Kept(known)) = outcome {
            let suppression = Some(from_suppression(&known));
            return Ok(v1::AddSuppressionResponse { suppression, replaced: false, kept: true });
        }
        let replaced = outcome == Some(Outcome::Replaced);
        tracing::info!(caller = %visitor.caller(), replaced, "address suppressed");
        Ok(v1::AddSuppressionResponse { suppression: Some(told), replaced, kept: false })
    }

    /// Stores entries, and says what became of each. What the caller may not replace stays: what an admin, a reader or a server said.
    async fn store(&self, leave: Leave, suppressions: Vec<Suppression>) -> Result<Vec<Outcome>, Refusal> {
        if suppressions.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match leave {
            Leave::Replace => {
                let outcome = |replaced| if replaced { Outcome::Replaced } else { Outcome::Added };
                self.storage.suppress(suppressions).await?.into_iter().map(outcome).collect()
            }
            Leave::AddOnly => {
                let kept = self.storage.suppress_new(suppressions, self.clock.now()).await?;
                kept.into_iter().map(|kept| kept.map_or(Outcome::Added, Outcome::Kept)).collect()
            }
        })
    }

    async fn check(
        &self,
        request: v1::CheckSuppressionRequest,
        visitor: &Visitor,
    ) -> Result<v1::CheckSuppressionResponse, Refusal> {
        let mut violations = Violations::default();
        let account = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let labels = to_labels(&request.labels, "labels", &mut violations);
        let address = to_suppressed(&request.address, "address", &mut violations);
        let ((account, labels), address) = violations.finish(account.zip(labels).zip(address))?;
        find_account(&account, &mut View::new(visitor, &self.storage)).await?;
        let now = self.clock.now();
        let of_labels = labels.into_iter().map(SuppressionScope::Label);
        let mut suppressions = Vec::new();
        for scope in [SuppressionScope::Global, SuppressionScope::Account(account)].into_iter().chain(of_labels) {
            let found = self.storage.suppression(&SuppressionKey::new(scope, &address)).await?;
            suppressions.extend(found.filter(|found| found.holds(now)).as_ref().map(from_suppression));
        }
        Ok(v1::CheckSuppressionResponse { suppressions })
    }

    async fn remove(
        &self,
        request: v1::RemoveSuppressionRequest,
        visitor: &Visitor,
    ) -> Result<v1::RemoveSuppressionResponse, Refusal> {
        let mut violations = Violations::default();
        let scope = to_scope(request.scope, "scope", &mut violations);
        let address = to_suppressed(&request.address, "address", &mut violations);
        let (scope, address) = violations.finish(scope.zip(address))?;
        match &scope {
            SuppressionScope::Account(account) => {
                check_account(account, &mut View::new(visitor, &self.storage)).await?;
            }
            SuppressionScope::Global | SuppressionScope::Label(_) if visitor.is_admin() => {}
            SuppressionScope::Global | SuppressionScope::Label(_) => return Err(Refusal::NotAllowed(ONLY_ADMINS)),
        }
        let key = SuppressionKey::new(scope, &address);
        let lifted = self.storage.lift(&key, request.requeue, self.clock.now()).await?;
        let lifted = lifted.ok_or(Returned::NoSuppression(key))?;
        tracing::info!(caller = %visitor.caller(), requeued = lifted.requeued, "suppression removed");
        Ok(v1::RemoveSuppressionResponse {
            suppression: lifted.suppression.as_ref().map(from_suppression),
            requeued_recipients: lifted.requeued,
        })
    }

    fn origin(&self, visitor: &Visitor, source: SuppressionSource) -> Origin {
        Origin { source, caller: visitor.caller().clone(), now: self.clock.now() }
    }
}

const ONLY_ADMINS: &str = "only admins may change what is suppressed for a label or for all accounts; others may add addresses \
                           that have unsubscribed from a label";

/// Whether a caller may add an entry, and instead of another one.
async fn leave_to_add(suppression: &Suppression, visitor: &Visitor, view: &mut View<'_>) -> Result<Leave, Refusal> {
    match &suppression.key.scope {
        SuppressionScope::Account(account) => {
            find_account(account, view).await.map_err(|refusal| in_request(refusal, "suppression.scope.account_id"))?;
            Ok(Leave::Replace)
        }
        SuppressionScope::Global | SuppressionScope::Label(_) if visitor.is_admin() => Ok(Leave::Replace),
        SuppressionScope::Label(_) if suppression.reason == SuppressionReason::Unsubscribed => Ok(Leave::AddOnly),
        SuppressionScope::Global | SuppressionScope::Label(_) => Err(Refusal::NotAllowed(ONLY_ADMINS)),
    }
}

/// Refuses an account that does not exist, or that the caller does not see.
async fn find_account(account: &AccountId, view: &mut View<'_>) -> Result<(), Refusal> {
    let is_there = view.finds_account(account).await?;
    if is_there { Ok(()) } else { Err(Refusal::no_account(account.clone())) }
}

/// Refuses an account of which the caller does not see what is left.
async fn check_account(account: &AccountId, view: &mut View<'_>) -> Result<(), Refusal> {
    let sees = view.sees_account(account).await?;
    if sees { Ok(()) } else { Err(Refusal::no_account(account.clone())) }
}

/// The refusal of an account, by the field that names it.
fn in_request(refusal: Refusal, field: &'static str) -> Refusal {
    match refusal {
        Refusal::NoAccount { id, .. } => Refusal::NoAccount { id, field },
        other => other,
    }
}

#[tonic::async_trait]
impl SuppressionService for SuppressionLists {
    type ImportSuppressionsStream = BoxStream<'static, Result<v1::ImportSuppressionsResponse, Status>>;

    async fn add_suppression(
        &self,
        request: Request<v1::AddSuppressionRequest>,
    ) -> Result<Response<v1::AddSuppressionResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.lists.add(request.into_inner().suppression, &visitor).await?))
    }

    async fn import_suppressions(
        &self,
        request: Request<Streaming<v1::ImportSuppressionsRequest>>,
    ) -> Result<Response<Self::ImportSuppressionsStream>, Status> {
        let visitor = visitor_of(&request)?;
        if self.shutdown.is_cancelled() {
            return Err(Refusal::ShuttingDown.into());
        }
        let place = place(&self.imports, "imports of suppressions")?;
        let answers = import::answers(self.lists.clone(), visitor, request.into_inner(), self.shutdown.clone());
        // The place is free again when the stream is dropped.
        let answers = answers.map(move |answer| {
            let _held = &place;
            answer
        });
        Ok(Response::new(unless_unread(answers).boxed()))
    }

    async fn check_suppression(
        &self,
        request: Request<v1::CheckSuppressionRequest>,
    ) -> Result<Response<v1::CheckSuppressionResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.lists.check(request.into_inner(), &visitor).await?))
    }

    async fn list_suppressions(
        &self,
        request: Request<v1::ListSuppressionsRequest>,
    ) -> Result<Response<v1::ListSuppressionsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.lists.page(request.into_inner(), &visitor).await?))
    }

    async fn remove_suppression(
        &self,
        request: Request<v1::RemoveSuppressionRequest>,
    ) -> Result<Response<v1::RemoveSuppressionResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.lists.remove(request.into_inner(), &visitor).await?))
    }
}
