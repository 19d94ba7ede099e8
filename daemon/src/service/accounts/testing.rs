//! Trying an account's servers, step by step.

use hikyaku_proto::v1;
use tonic::Status;

use super::Accounts;
use crate::domain::ids::Caller;

impl Accounts {
    /// Tries a server of an account.
    pub(super) async fn test(
        &self,
        _request: v1::TestAccountRequest,
        _caller: &Caller,
    ) -> Result<v1::TestAccountResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
