//! How the tokens of an account are kept: sealed, all but their times.

use prost::Message;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{BadRow, as_base64};
use crate::{
    domain::{
        ids::AccountId,
        secret::Secret,
        time::Timestamp,
        tokens::{AccessToken, Tokens},
    },
    platform::sealing::Sealer,
};

/// [`Tokens`]. Times are in milliseconds since 1970.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct TokensRow {
    /// The tokens themselves, sealed for the account's id.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
    /// When the access token ends; nothing when there is none.
    #[prost(uint64, optional, tag = "2")]
    pub access_expires_at: Option<u64>,
    /// When tokens were got last.
    #[prost(uint64, optional, tag = "3")]
    pub refreshed_at: Option<u64>,
}

/// What is sealed.
#[derive(Clone, PartialEq, prost::Message)]
struct SecretsRow {
    #[prost(string, optional, tag = "1")]
    refresh_token: Option<String>,
    #[prost(string, optional, tag = "2")]
    access_token: Option<String>,
}

impl TokensRow {
    /// The row of an account's tokens.
    #[must_use]
    pub fn new(id: &AccountId, tokens: &Tokens, sealer: &Sealer) -> Self {
        let secrets = SecretsRow {
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose().clone()),
            access_token: tokens.access.as_ref().map(|access| access.token.expose().clone()),
        };
        let plain = Zeroizing::new(secrets.encode_to_vec());
        Self {
            sealed: sealer.seal(sealed_for(id).as_bytes(), &plain),
            access_expires_at: tokens.access.as_ref().map(|access| access.expires_at.as_millis()),
            refreshed_at: tokens.refreshed_at.map(Timestamp::as_millis),
        }
    }

    /// The tokens, opened.
    ///
    /// # Errors
    /// When they were sealed with another key or for another account, or mean nothing.
    pub fn into_tokens(self, id: &AccountId, sealer: &Sealer) -> Result<Tokens, BadRow> {
        let bad = |error: &dyn std::fmt::Display| BadRow::new("tokens", error);
        let opened = sealer.open(sealed_for(id).as_bytes(), &self.sealed).map_err(|error| bad(&error))?;
        let secrets = SecretsRow::decode(opened.as_slice()).map_err(|error| bad(&error))?;
        let access = secrets.access_token.zip(self.access_expires_at).map(|(token, expires_at)| AccessToken {
            token: Secret::new(token),
            expires_at: Timestamp::from_millis(expires_at),
        });
        Ok(Tokens {
            refresh_token: secrets.refresh_token.map(Secret::new),
            access,
            refreshed_at: self.refreshed_at.map(Timestamp::from_millis),
        })
    }
}

/// What the seal is bound to: no other secret of the account opens in its place.
fn sealed_for(id: &AccountId) -> String {
    format!("{id}#tokens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{platform::sealing::KEY_BYTES, storage::contract::samples};

    #[test]
    fn tokens_survive_their_row_and_are_not_shown() {
        let sealer = Sealer::from_key([7; KEY_BYTES]);
        let id = samples::account_id("sales");
        for tokens in [Tokens::default(), samples::tokens("hunter2")] {
            let row = TokensRow::new(&id, &tokens, &sealer);
            let text = serde_json::to_string(&row).expect("JSON");
            assert!(!text.contains("hunter2"), "{text}");
            let row: TokensRow = serde_json::from_str(&text).expect("JSON");
            let row = TokensRow::decode(row.encode_to_vec().as_slice()).expect("a row");
            assert_eq!(row.clone().into_tokens(&id, &sealer), Ok(tokens));
            assert!(
                row.into_tokens(&samples::account_id("orders"), &sealer).is_err(),
                "they are sealed for their account"
            );
        }
    }
}
