//! What does a line of an SMTP client say?

/// A command, as far as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ehlo,
    Helo,
    Mail { sender: String, bytes: Option<u64>, smtputf8: bool },
    Rcpt { recipient: String },
    Data,
    Rset,
    Noop,
    Quit,
    AuthPlain { response: Option<String> },
    AuthLogin { response: Option<String> },
}

impl Command {
    /// Reads a line without its CRLF; the error is the reply to give.
    pub(super) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        let line = std::str::from_utf8(line).map_err(|_| "500 5.5.2 the line is not UTF-8")?;
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match (verb.to_ascii_uppercase().as_str(), rest) {
            ("EHLO" | "HELO", "") => Err("501 5.5.4 give your name"),
            ("EHLO", _) => Ok(Self::Ehlo),
            ("HELO", _) => Ok(Self::Helo),
            ("MAIL", _) => mail(rest),
            ("RCPT", _) => rcpt(rest),
            ("DATA", "") => Ok(Self::Data),
            ("RSET", "") => Ok(Self::Rset),
            ("NOOP", _) => Ok(Self::Noop),
            ("QUIT", "") => Ok(Self::Quit),
            ("AUTH", _) => auth(rest),
            ("DATA" | "RSET" | "QUIT", _) => Err("501 5.5.4 no parameter is allowed"),
            _ => Err("500 5.5.1 unknown command"),
        }
    }
}

fn mail(rest: &str) -> Result<Command, &'static str> {
    let (sender, parameters) = path(rest, "FROM:")?;
    let (mut bytes, mut smtputf8) = (None, false);
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => bytes = Some(value.parse().map_err(|_| "501 5.5.4 SIZE is no number")?),
            "SMTPUTF8" => smtputf8 = true,
            "BODY" if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {}
            _ => return Err("555 5.5.4 unknown parameter of MAIL"),
        }
    }
    if !sender.is_ascii() && !smtputf8 {
        return Err("553 5.6.7 this address needs SMTPUTF8");
    }
    Ok(Command::Mail { sender, bytes, smtputf8 })
}

fn rcpt(rest: &str) -> Result<Command, &'static str> {
    let (recipient, parameters) = path(rest, "TO:")?;
    if !parameters.is_empty() {
        return Err("555 5.5.4 unknown parameter of RCPT");
    }
    if recipient.is_empty() {
        return Err("501 5.1.3 name a recipient");
    }
    Ok(Command::Rcpt { recipient })
}

/// The address between angle brackets after `keyword`, and what follows.
fn path<'l>(rest: &'l str, keyword: &str) -> Result<(String, &'l str), &'static str> {
    const WRONG: &str = "501 5.5.4 the address is not understood";
    let (head, tail) = rest.split_at_checked(keyword.len()).ok_or(WRONG)?;
    if !head.eq_ignore_ascii_case(keyword) {
        return Err(WRONG);
    }
    let inner = tail.trim_start().strip_prefix('<').ok_or(WRONG)?;
    let end = inner.find("> ").or_else(|| inner.strip_suffix('>').map(str::len)).ok_or(WRONG)?;
    Ok((inner[..end].to_owned(), inner[end + 1..].trim()))
}

fn auth(rest: &str) -> Result<Command, &'static str> {
    let (mechanism, response) = rest.split_once(' ').unwrap_or((rest, ""));
    // RFC 4954 4: "=" is an empty initial response.
    let response = match response.trim() {
        "" => None,
        "=" => Some(String::new()),
        text => Some(text.to_owned()),
    };
    match mechanism.to_ascii_uppercase().as_str() {
        "PLAIN" => Ok(Command::AuthPlain { response }),
        "LOGIN" => Ok(Command::AuthLogin { response }),
        _ => Err("504 5.5.4 unknown mechanism"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Command, &str>) {
        match (Command::parse(line.as_bytes()), expected) {
            (Err(reply), Err(code)) => assert!(reply.starts_with(code), "{line}: {reply}"),
            (found, expected) => assert_eq!(found, expected.map_err(|_| ""), "{line}"),
        }
    }

    #[test]
    fn commands_are_read_as_rfc_5321_writes_them() {
        let mail = |sender: &str, bytes, smtputf8| Ok(Command::Mail { sender: sender.to_owned(), bytes, smtputf8 });
        let rcpt = |recipient: &str| Ok(Command::Rcpt { recipient: recipient.to_owned() });
        check("ehlo client.test", Ok(Command::Ehlo));
        check("HELO", Err("501"));
        check("MAIL FROM:<a@b.jp>", mail("a@b.jp", None, false));
        check("mail from:<> size=12 BODY=8BITMIME", mail("", Some(12), false));
        check("MAIL FROM:<ä@b.jp> SMTPUTF8", mail("ä@b.jp", None, true));
        check("MAIL FROM:<ä@b.jp>", Err("553"));
        check("MAIL FROM:<a@b.jp> RET=FULL", Err("555"));
        check("MAIL FROM:<a@b.jp> SIZE=big", Err("501"));
        check("MAIL a@b.jp", Err("501"));
        check("RCPT TO:<a@b.jp>", rcpt("a@b.jp"));
        check("RCPT TO:<>", Err("501"));
        check("RCPT TO:<a@b.jp> NOTIFY=NEVER", Err("555"));
        check("DATA", Ok(Command::Data));
        check("DATA now", Err("501"));
        check("VRFY a", Err("500"));
        check("", Err("500"));
    }

    #[test]
    fn a_sign_in_may_bring_its_response() {
        let plain = |response: Option<&str>| Ok(Command::AuthPlain { response: response.map(str::to_owned) });
        check("AUTH PLAIN", plain(None));
        check("AUTH PLAIN =", plain(Some("")));
        check("AUTH PLAIN AGEAYg==", plain(Some("AGEAYg==")));
        check("AUTH LOGIN", Ok(Command::AuthLogin { response: None }));
        check("AUTH CRAM-MD5", Err("504"));
    }
}
