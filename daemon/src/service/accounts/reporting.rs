//! What others sent from an account, counted in its quotas.

use hikyaku_proto::v1;
use tonic::Status;

use super::Accounts;
use crate::domain::ids::Caller;

impl Accounts {
    /// Counts what others sent.
    pub(super) async fn report(
        &self,
        _request: v1::ReportUsageRequest,
        _caller: &Caller,
    ) -> Result<v1::ReportUsageResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
