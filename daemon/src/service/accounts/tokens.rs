//! What becomes of a refresh token that a caller gives with the settings of an account.

use super::Accounts;
use crate::{
    domain::{ids::AccountId, secret::Secret},
    service::status::Refusal,
};

impl Accounts {
    /// Stores a token that was got elsewhere, if one was given.
    #[expect(clippy::unused_async, reason = "tokens are not stored yet")]
    pub(super) async fn keep_refresh_token(
        &self,
        _account: &AccountId,
        _token: Option<Secret<String>>,
    ) -> Result<(), Refusal> {
        Ok(())
    }
}
