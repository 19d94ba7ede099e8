//! How does a service account claim who it is (RFC 7523 with RFC 7515 and RFC 7518 3.3)?

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::OauthError;
use crate::domain::{secret::Secret, time::Timestamp};

/// How long a claim is good: Google's bound.
const CLAIM_LIFE: Duration = Duration::from_secs(3_600);

/// A key file, as Google writes it.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
}

/// A claim, signed with the key in `key_file` (JSON, as Google writes it): that its owner acts for `user`, for `scope`,
/// towards the issuer at `audience`.
///
/// # Errors
/// When the key file cannot be used.
pub fn assertion(
    key_file: &str,
    audience: &str,
    scope: &str,
    user: &str,
    now: Timestamp,
) -> Result<Secret<String>, OauthError> {
    let unusable =
        |why: &str| OauthError::Unusable(format!("the key file of the service account cannot be used: {why}"));
    let file: KeyFile =
        serde_json::from_str(key_file).map_err(|_| unusable("it is no JSON with client_email and private_key"))?;
    let pem = Zeroizing::new(file.private_key);
    let pem = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes());
    let pem = pem.map_err(|_| unusable("its private_key is no PKCS #8 key in PEM"))?;
    let key = RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).map_err(|why| unusable(&why.to_string()))?;
    let issued = now.as_millis() / 1_000;
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": file.private_key_id });
    let claims = serde_json::json!({
        "iss": file.client_email,
        "sub": user,
        "scope": scope,
        "aud": audience,
        "iat": issued,
        "exp": issued + CLAIM_LIFE.as_secs(),
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let sign = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
    sign.map_err(|_| unusable("it does not sign"))?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature))))
}

#[cfg(test)]
mod tests {
    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// Made for this test and used for nothing else.
    const KEY_PEM: &str = include_str!("testdata/service_account_key.pem");

    #[test]
    fn a_claim_is_signed_by_the_key_of_the_file() {
        let file = serde_json::json!({
            "type": "service_account", "client_email": "robot@x.test", "private_key_id": "k1", "private_key": KEY_PEM,
        });
        let now = Timestamp::from_millis(1_700_000_000_999);
        let claim = assertion(&file.to_string(), "https://i.test/token", "mail", "taro@x.jp", now).expect("a claim");
        let (signed, signature) = claim.expose().rsplit_once('.').expect("three parts");
        let (header, claims) = signed.split_once('.').expect("three parts");
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        assert_eq!(read(header), serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        let expected = serde_json::json!({
            "iss": "robot@x.test", "sub": "taro@x.jp", "scope": "mail", "aud": "https://i.test/token",
            "iat": 1_700_000_000, "exp": 1_700_003_600,
        });
        assert_eq!(read(claims), expected);
        let pem = PrivatePkcs8KeyDer::from_pem_slice(KEY_PEM.as_bytes()).expect("a key");
        let key = RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).expect("a key");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        public.verify(signed.as_bytes(), &signature).expect("signed by the key");
    }

    #[test]
    fn a_bad_key_file_is_named_and_not_shown() {
        for file in ["", "{}", r#"{"client_email":"a","private_key":"hunter2"}"#] {
            let error = assertion(file, "a", "s", "u", Timestamp::EPOCH).expect_err(file);
            assert!(error.needs_a_person() && !error.to_string().contains("hunter2"), "{error}");
        }
    }
}
