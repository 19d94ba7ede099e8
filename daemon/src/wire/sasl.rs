//! What is said in the SASL mechanisms that SMTP, POP3 and IMAP share, before it is encoded as each of them wants.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use zeroize::Zeroizing;

/// The answer to a challenge of CRAM-MD5 (RFC 2195 2).
#[must_use]
pub fn cram_md5(user: &str, password: &str, challenge: &[u8]) -> Zeroizing<String> {
    let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("a key of any length will do (RFC 2104)");
    mac.update(challenge);
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{user} {digest}").into()
}

/// The response of XOAUTH2, as Google and Microsoft describe it.
#[must_use]
pub fn xoauth2(user: &str, token: &str) -> Zeroizing<String> {
    format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}").into()
}

/// The response of OAUTHBEARER (RFC 7628 3.1), after the header of RFC 5801 4.
#[must_use]
pub fn oauthbearer(user: &str, token: &str, host: &str, port: u16) -> Zeroizing<String> {
    let name = user.replace('=', "=3D").replace(',', "=2C");
    format!("n,a={name},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}").into()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn responses_are_those_of_the_specifications() {
        // RFC 2195 2.
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(cram_md5("tim", "tanstaaftanstaaf", challenge).as_str(), "tim b913a602c7eda7a495b4e6e7334d3890");
        // RFC 7628 4.1.
        let response =
            oauthbearer("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 143);
        assert_eq!(
            STANDARD.encode(response.as_bytes()),
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRj\
             Mk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        );
        assert_eq!(
            oauthbearer("a=b,c", "t", "h", 1).as_str(),
            "n,a=a=3Db=2Cc,\u{1}host=h\u{1}port=1\u{1}auth=Bearer t\u{1}\u{1}"
        );
        // Google's description of XOAUTH2.
        assert_eq!(
            STANDARD
                .encode(xoauth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg").as_bytes()),
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZ\
             Mjl0Q2cBAQ=="
        );
    }
}
