//! What mail is submitted?

use hikyaku_client::Draft;

/// The field by which a message is known again where it arrives.
pub(crate) const MARK: &str = "X-Bench-Mark";

/// Length of a line of text, its line feed included.
const LINE_BYTES: usize = 72;
const SENDER: &str = "sender@example.jp";
const RECIPIENT: &str = "recipient@example.net";

/// Text of exactly so many bytes, in lines that every mail server takes.
pub(crate) fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + LINE_BYTES);
    while text.len() < bytes {
        text.push_str("The quick courier of the lake road carries the letters over the pass.\r\n");
    }
    text.truncate(bytes);
    text
}

/// A submission of one mail to one recipient.
pub(crate) fn draft(account: &str, text: &str) -> Draft {
    Draft::new(account).to(RECIPIENT).subject("A letter").text(text)
}

/// The same as a message on the wire, without the final dot; for programs that speak SMTP.
pub(crate) fn message(text: &str, mark: Option<u64>) -> String {
    let mark = mark.map_or_else(String::new, |mark| format!("{MARK}: {mark}\r\n"));
    format!("From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: A letter\r\n{mark}\r\n{text}\r\n")
}

/// MAIL, RCPT and DATA for it, as one write.
pub(crate) fn envelope() -> String {
    format!("MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n")
}

/// The mark of a message, if it has one.
pub(crate) fn mark_of(message: &[u8]) -> Option<u64> {
    let field = format!("{MARK}: ");
    let value = message.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(field.as_bytes()))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_long_as_asked_for() {
        for bytes in [0, 1, 1_024, 102_400] {
            assert_eq!(text(bytes).len(), bytes);
        }
    }

    #[test]
    fn a_mark_is_found_again() {
        assert_eq!(mark_of(message("hello", Some(17)).as_bytes()), Some(17));
        assert_eq!(mark_of(message("hello", None).as_bytes()), None);
    }
}
