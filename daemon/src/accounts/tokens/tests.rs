//! Whether the keeper renews in time, once, and loses nothing.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::*;
use crate::{
    domain::{
        account::{IssuerKind, OauthIssuer, OauthMechanism},
        parking::{ParkingCause, Standing},
    },
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    storage::{AccountStore, StoreCare, contract::samples, memory::MemoryStore},
    wire::oauth::fake::FakeIssuer,
};

const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A store with one account, an issuer, and a keeper between them.
struct Scene {
    storage: Arc<MemoryStore>,
    issuer: Arc<FakeIssuer>,
    clock: Arc<VirtualClock>,
    keeper: TokenKeeper,
    account: Arc<Account>,
}

impl Scene {
    async fn new(grant: OauthGrant) -> Self {
        let (storage, issuer) = (MemoryStore::new(), Arc::new(FakeIssuer::default()));
        let clock = Arc::new(VirtualClock::starting_at(BEGIN));
        let mut account = samples::sample_account("sales");
        account.settings.sign_in = SignIn::OAuth2(Box::new(oauth(grant)));
        storage.create_account(account.clone()).await.expect("it is new");
        let keeper =
            TokenKeeper::new(Arc::clone(&storage) as SharedStorage, Arc::clone(&issuer) as _, Arc::clone(&clock) as _);
        Self { storage, issuer, clock, keeper, account: Arc::new(account) }
    }

    /// With a refresh token that was pasted.
    async fn consented() -> Self {
        let scene = Self::new(OauthGrant::Consent).await;
        scene.keeper.adopt_refresh_token(&scene.account.id, Secret::new("rt-0".into())).await.expect("stored");
        scene
    }

    /// What a process finds that begins after this one was killed.
    fn after_a_crash(self) -> Self {
        let (storage, issuer) = (Arc::clone(&self.storage) as SharedStorage, Arc::clone(&self.issuer) as _);
        let keeper = TokenKeeper::new(storage, issuer, Arc::clone(&self.clock) as _);
        Self { keeper, ..self }
    }

    async fn token(&self) -> Result<String, String> {
        let token = self.keeper.token(&self.account).await;
        token.map(|access| access.token.expose().clone()).map_err(|error| error.to_string())
    }

    async fn stored(&self) -> Tokens {
        self.storage.tokens(&self.account.id).await.expect("an answer").expect("tokens")
    }

    fn asked(&self) -> Vec<String> {
        self.issuer.book().asked.clone()
    }

    async fn standing(&self) -> Standing {
        self.storage.account(&self.account.id).await.expect("an answer").expect("it is there").standing
    }
}

fn oauth(grant: OauthGrant) -> OAuth2SignIn {
    OAuth2SignIn {
        user: "taro@x.jp".into(),
        mechanism: OauthMechanism::Auto,
        issuer: OauthIssuer {
            kind: IssuerKind::Google,
            client_id: "app".into(),
            client_secret: None,
            scopes: Vec::new(),
        },
        grant,
        allow_plaintext: false,
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

fn gone() -> OauthError {
    OauthError::Unreachable("HTTP status 503".into())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_ten_minutes_before_its_end() {
    let scene = Scene::consented().await;
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"));
    pass(2_999).await;
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"));
    pass(2).await;
    assert_eq!(scene.token().await.as_deref(), Ok("at-2"));
    assert_eq!(scene.asked(), ["refresh rt-0", "refresh rt-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_renewal_leaves_the_old_token_in_use_as_long_as_it_lives() {
    let scene = Scene::consented().await;
    scene.token().await.expect("a token");
    pass(3_100).await;
    scene.issuer.book().refusal = Some(gone());
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"));
    pass(500).await;
    assert_eq!(scene.token().await, Err(gone().to_string()));
    scene.issuer.book().refusal = None;
    assert_eq!(scene.token().await.as_deref(), Ok("at-4"));
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_renewal_and_its_failure() {
    for refusal in [None, Some(gone())] {
        let scene = Scene::consented().await;
        scene.issuer.book().takes = Duration::from_secs(1);
        scene.issuer.book().refusal = refusal.clone();
        let mut waiting = JoinSet::new();
        for _ in 0..20 {
            let (keeper, account) = (scene.keeper.clone(), Arc::clone(&scene.account));
            waiting.spawn(async move { keeper.token(&account).await.is_ok() });
        }
        assert_eq!(waiting.join_all().await, [refusal.is_none(); 20]);
        assert_eq!(scene.asked().len(), 1);
        assert!(scene.keeper.0.turns.lock().expect("no panic").values().all(|turn| turn.strong_count() == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_survives_a_crash_between_store_and_use() {
    let scene = Scene::consented().await;
    scene.token().await.expect("a token");
    assert_eq!(scene.stored().await.refresh_token.expect("kept").expose(), "rt-1", "before the token was handed out");
    let scene = scene.after_a_crash();
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"), "it was stored, too");
    pass(3_600).await;
    assert_eq!(scene.token().await.as_deref(), Ok("at-2"));
}

#[tokio::test(start_paused = true)]
async fn no_token_is_handed_out_that_is_not_stored() {
    let scene = Scene::consented().await;
    scene.issuer.book().takes = Duration::from_secs(1);
    let (token, _) = tokio::join!(scene.token(), async {
        pass(0).await;
        scene.storage.close().await.expect("closed");
    });
    assert!(token.expect_err("not stored").contains("closed"));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_caller_has_left_still_ends() {
    let scene = Scene::consented().await;
    scene.issuer.book().takes = Duration::from_secs(5);
    assert!(tokio::time::timeout(Duration::from_secs(1), scene.token()).await.is_err());
    scene.keeper.finish().await;
    assert_eq!(scene.stored().await.refresh_token.expect("kept").expose(), "rt-1");
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_server_refuses_is_renewed_once_for_all() {
    let scene = Scene::consented().await;
    let refused = scene.keeper.token(&scene.account).await.expect("a token");
    for _ in 0..3 {
        let other = scene.keeper.instead_of(&refused, &scene.account).await.expect("a token");
        assert_eq!(other.token.expose(), "at-2");
    }
    scene.issuer.book().refusal = Some(OauthError::of_code("invalid_grant", "revoked"));
    let other = scene.keeper.token(&scene.account).await.expect("a token");
    scene.keeper.instead_of(&other, &scene.account).await.expect_err("what was refused is of no use");
}

#[tokio::test(start_paused = true)]
async fn each_grant_asks_on_its_own_ground() {
    let scene = Scene::new(OauthGrant::ClientCredentials).await;
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"));
    let unsaved = scene.keeper.unsaved(&oauth(OauthGrant::ClientCredentials)).await.expect("a token");
    assert_eq!(unsaved.token.expose(), "at-2");
    assert_eq!(scene.token().await.as_deref(), Ok("at-1"), "it is not kept");
    assert_eq!(scene.keeper.unsaved(&oauth(OauthGrant::Consent)).await, Err(OauthError::NotConsented));
    let scene = Scene::new(OauthGrant::ServiceAccount(Secret::new("{}".into()))).await;
    assert!(scene.token().await.expect_err("no key").starts_with("the key file of the service account"));
    let scene = Scene::new(OauthGrant::Consent).await;
    assert_eq!(scene.token().await, Err(OauthError::NotConsented.to_string()));
    assert_eq!(scene.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn new_settings_and_new_consent_replace_what_was_held() {
    let scene = Scene::consented().await;
    scene.token().await.expect("a token");
    scene.keeper.forget_access(&scene.account.id).await.expect("forgotten");
    assert_eq!(scene.token().await.as_deref(), Ok("at-2"));
    let issued = scene.keeper.issue(&oauth(OauthGrant::Consent), &Ground::DeviceCode(Secret::new("d".into()))).await;
    scene.keeper.adopt(&scene.account.id, issued.expect("tokens")).await.expect("stored");
    assert_eq!(scene.token().await.as_deref(), Ok("at-3"));
    assert_eq!(scene.stored().await.refresh_token.expect("kept").expose(), "rt-3");
}

#[tokio::test(start_paused = true)]
async fn an_idle_grant_is_used_once_a_week_and_parked_once_when_it_is_refused() {
    let scene = Scene::consented().await;
    scene.token().await.expect("a token");
    let entropy = SeededEntropy::new(1);
    for (days, asked) in [(5, 1), (3, 2), (5, 2)] {
        pass(days * 86_400).await;
        idle::round(&scene.keeper, &entropy).await.expect("an answer");
        assert_eq!(scene.asked().len(), asked);
    }
    scene.issuer.book().refusal = Some(gone());
    pass(8 * 86_400).await;
    idle::round(&scene.keeper, &entropy).await.expect("an answer");
    assert_eq!(scene.standing().await, Standing::Active, "it passes by itself");
    scene.issuer.book().refusal = Some(OauthError::of_code("invalid_grant", "Token has been revoked."));
    for _ in 0..3 {
        pass(8 * 86_400).await;
        idle::round(&scene.keeper, &entropy).await.expect("an answer");
    }
    assert_eq!(scene.asked().len(), 4, "a parked account is left alone");
    let Standing::Parked(parking) = scene.standing().await else { panic!("it is parked") };
    assert_eq!(parking.cause, ParkingCause::NeedsReauth);
    assert!(parking.reason.ends_with("(invalid_grant): Token has been revoked."), "{}", parking.reason);
}
