//! What does an issuer's answer say? Statuses and bodies in, tokens or errors out.

use std::time::Duration;

use serde::Deserialize;

use super::{DeviceCodes, Issued, OauthError, words};
use crate::domain::secret::Secret;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16_384;
/// Longest user code and URL, in bytes.
const SHOWN_BYTES_MAX: usize = 2_048;
/// RFC 8628 3.2: how long to wait between two questions when the issuer does not say.
const INTERVAL_SECONDS: u64 = 5;
/// The longest life that is believed, in seconds: a year.
const LIFE_SECONDS_MAX: u64 = 31_536_000;
/// The longest pause between two questions that is believed, in seconds.
const INTERVAL_SECONDS_MAX: u64 = 300;

/// A refusal (RFC 6749 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Tokens (RFC 6749 5.1).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Codes (RFC 8628 3.2). Google says `verification_url`.
#[derive(Deserialize)]
struct CodesAnswer {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
    #[serde(default)]
    interval: Option<Seconds>,
}

/// Seconds, which some issuers write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Fraction(f64),
    Text(String),
}

impl Seconds {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, as is meant")]
            Self::Fraction(seconds) => Some(*seconds as u64),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// The tokens of an answer.
pub(super) fn issued(status: u16, body: &[u8]) -> Result<Issued, OauthError> {
    let answer: TokenAnswer = accepted(status, body)?;
    let token = |what, text: String| {
        let is_token = !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        let unreadable = || OauthError::Unreadable(format!("the {what} is none (RFC 6749 A)"));
        is_token.then_some(Secret::new(text)).ok_or_else(unreadable)
    };
    let seconds = answer.expires_in.and_then(|seconds| seconds.value());
    Ok(Issued {
        access_token: token("access token", answer.access_token)?,
        expires_in: seconds.map(|seconds| Duration::from_secs(seconds.min(LIFE_SECONDS_MAX))),
        refresh_token: answer
            .refresh_token
            .filter(|text| !text.is_empty())
            .map(|text| token("refresh token", text))
            .transpose()?,
    })
}

/// The codes of an answer.
pub(super) fn device_codes(status: u16, body: &[u8]) -> Result<DeviceCodes, OauthError> {
    let answer: CodesAnswer = accepted(status, body)?;
    let shown = [&answer.user_code, &answer.verification_uri];
    if shown.iter().any(|text| text.is_empty() || text.len() > SHOWN_BYTES_MAX || text.chars().any(char::is_control)) {
        return Err(OauthError::Unreadable("the code or its page cannot be shown".to_owned()));
    }
    if !["https://", "http://"].iter().any(|scheme| answer.verification_uri.starts_with(scheme)) {
        return Err(OauthError::Unreadable("the code's page is no web page".to_owned()));
    }
    let seconds = |seconds: Option<Seconds>| seconds.and_then(|seconds| seconds.value());
    let interval = seconds(answer.interval).unwrap_or(INTERVAL_SECONDS).clamp(1, INTERVAL_SECONDS_MAX);
    Ok(DeviceCodes {
        device_code: Secret::new(answer.device_code),
        user_code: answer.user_code,
        verification_uri: answer.verification_uri,
        expires_in: Duration::from_secs(seconds(answer.expires_in).unwrap_or(0).min(LIFE_SECONDS_MAX)),
        interval: Duration::from_secs(interval),
    })
}

fn accepted<T: for<'de> Deserialize<'de>>(status: u16, body: &[u8]) -> Result<T, OauthError> {
    match status {
        200..300 => serde_json::from_slice(body).map_err(|error| {
            // Some issuers refuse with status 200.
            refusal(body).unwrap_or_else(|| OauthError::Unreadable(words(&error.to_string())))
        }),
        // RFC 9110 15.6, RFC 6585 4: whatever it says, it says it of itself, and of now.
        429 | 500.. => {
            let said = match refusal(body) {
                Some(OauthError::Refused { error, description }) => format!("{error}: {description}"),
                _ => words(&String::from_utf8_lossy(body)),
            };
            Err(OauthError::Unreachable(format!("HTTP status {status} {said}").trim_end().to_owned()))
        }
        _ => Err(refusal(body).unwrap_or_else(|| OauthError::Unreadable(format!("HTTP status {status}")))),
    }
}

fn refusal(body: &[u8]) -> Option<OauthError> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(OauthError::of_code(&refusal.error, &refusal.error_description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: Result<(Option<u64>, Option<&str>), &str>) {
        let met = issued(status, body.as_bytes());
        let met = met.as_ref().map(|issued| {
            let refresh = issued.refresh_token.as_ref().map(|token| token.expose().as_str());
            (issued.expires_in.map(|life| life.as_secs()), refresh)
        });
        assert_eq!(met.map_err(ToString::to_string), expected.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn tokens_are_read_as_issuers_write_them() {
        check(200, r#"{"access_token":"a","expires_in":3599,"refresh_token":"r"}"#, Ok((Some(3_599), Some("r"))));
        check(200, r#"{"access_token":"a","expires_in":"60","refresh_token":""}"#, Ok((Some(60), None)));
        check(200, r#"{"access_token":"a","expires_in":5.5}"#, Ok((Some(5), None)));
        check(201, r#"{"access_token":"a","token_type":"Bearer","extra":[1]}"#, Ok((None, None)));
        check(
            200,
            r#"{"access_token":"a\u0001b"}"#,
            Err("the issuer's answer cannot be read: the access token is none (RFC 6749 A)"),
        );
    }

    #[test]
    fn refusals_keep_the_words_of_the_issuer() {
        let revoked = "the issuer refuses the grant (invalid_grant): Token has been expired or revoked.";
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            Err(revoked),
        );
        check(200, r#"{"error":"invalid_grant"}"#, Err("the issuer refuses the grant (invalid_grant): invalid_grant"));
        check(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000222:\r\nold"}"#,
            Err("the issuer refuses (invalid_client): AADSTS7000222:  old"),
        );
        check(403, "<html>", Err("the issuer's answer cannot be read: HTTP status 403"));
        check(302, "", Err("the issuer's answer cannot be read: HTTP status 302"));
        check(
            503,
            r#"{"error":"temporarily_unavailable"}"#,
            Err("the issuer cannot be reached: HTTP status 503 temporarily_unavailable: temporarily_unavailable"),
        );
        check(500, "", Err("the issuer cannot be reached: HTTP status 500"));
        assert!(issued(200, b"hello").is_err_and(|error| !error.needs_a_person()));
    }

    #[test]
    fn codes_are_read_as_issuers_write_them() {
        let google =
            r#"{"device_code":"d","user_code":"U","verification_url":"https://x.test","expires_in":1800,"interval":7}"#;
        let codes = device_codes(200, google.as_bytes()).expect("codes");
        assert_eq!((codes.user_code.as_str(), codes.interval.as_secs(), codes.expires_in.as_secs()), ("U", 7, 1_800));
        let bare = r#"{"device_code":"d","user_code":"U","verification_uri":"https://x.test"}"#;
        assert_eq!(device_codes(200, bare.as_bytes()).expect("codes").interval.as_secs(), INTERVAL_SECONDS);
        let odd = r#"{"device_code":"d","user_code":"U","verification_uri":"javascript:x"}"#;
        assert!(device_codes(200, odd.as_bytes()).is_err());
    }
}
