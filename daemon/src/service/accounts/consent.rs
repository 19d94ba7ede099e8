//! Asking a person for permission to send with OAuth 2.

use hikyaku_proto::v1;
use tonic::Status;

use super::Accounts;
use crate::domain::ids::Caller;

impl Accounts {
    /// Begins to ask.
    pub(super) async fn begin_asking(
        &self,
        _request: v1::BeginConsentRequest,
        _caller: &Caller,
    ) -> Result<v1::BeginConsentResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }

    /// Takes the answer.
    pub(super) async fn finish_asking(
        &self,
        _request: v1::FinishConsentRequest,
        _caller: &Caller,
    ) -> Result<v1::FinishConsentResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
