//! How do the grants of accounts that hardly send stay good? They are used once a week.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{TokenError, TokenKeeper};
use crate::{
    domain::{
        account::{OauthGrant, SignIn},
        parking::Standing,
    },
    platform::entropy::Entropy,
    policy::{oauth::is_idle, parking},
    storage::{AccountRecord, StorageError},
};

/// How often all accounts are looked at; each round comes up to a quarter of it later, at random.
const ROUND: Duration = Duration::from_secs(3_600);
/// How many accounts are read at once.
const PAGE_ACCOUNTS: usize = 200;
/// Between two questions, so that issuers are not stormed.
const PAUSE: Duration = Duration::from_millis(500);

/// Uses grants that would lapse, until `stop`. An account whose grant is refused is parked for its people, unless it has
/// jobs: then its worker meets the same, and parks it.
pub async fn run(keeper: TokenKeeper, entropy: Arc<dyn Entropy>, stop: CancellationToken) {
    let rounds = async {
        loop {
            sleep(ROUND.mul_f64(1.0 + entropy.chance() / 4.0)).await;
            if let Err(error) = round(&keeper, &*entropy).await {
                tracing::warn!(%error, "the accounts that do not send could not be looked at");
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}

/// Looks at all accounts once.
///
/// # Errors
/// When the store fails.
pub(super) async fn round(keeper: &TokenKeeper, entropy: &dyn Entropy) -> Result<(), StorageError> {
    let mut after = None;
    loop {
        let records = keeper.0.storage.accounts(after.as_ref(), PAGE_ACCOUNTS).await?;
        let Some(last) = records.last() else { return Ok(()) };
        after = Some(last.account.id.clone());
        for record in records.into_iter().filter(may_lapse) {
            let tokens = keeper.0.storage.tokens(&record.account.id).await?;
            if tokens.is_some_and(|tokens| is_idle(&tokens, keeper.now(), entropy.chance())) {
                refresh(keeper, record).await?;
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the account lives by a consent, and nobody has to renew it first.
fn may_lapse(record: &AccountRecord) -> bool {
    let needs_a_person = matches!(&record.standing, Standing::Parked(parking) if parking.cause.needs_a_person());
    let by_consent =
        matches!(&record.account.settings.sign_in, SignIn::OAuth2(oauth) if oauth.grant == OauthGrant::Consent);
    by_consent && !needs_a_person
}

async fn refresh(keeper: &TokenKeeper, record: AccountRecord) -> Result<(), StorageError> {
    let (standing, has_jobs) = (record.standing, record.open_jobs > 0);
    let account = Arc::new(record.account);
    match keeper.use_grant(&account).await {
        Ok(()) => tracing::debug!(account = %account.id, "an idle grant was used"),
        Err(TokenError::Storage(error)) => return Err(error),
        Err(TokenError::Issuer(error)) if !error.needs_a_person() => {
            tracing::info!(account = %account.id, %error, "an idle grant could not be used: it is tried again");
        }
        Err(TokenError::Issuer(error)) => {
            if has_jobs || standing != Standing::Active {
                return Ok(());
            }
            let now = keeper.now();
            let parking = parking::without_consent(&error.to_string(), now);
            tracing::warn!(account = %account.id, reason = parking.reason, "the account is parked");
            keeper.0.storage.set_standing(&account.id, Standing::Parked(parking), now).await?;
        }
    }
    Ok(())
}
