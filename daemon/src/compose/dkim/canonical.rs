//! What of a message counts when it is signed: its "relaxed" form (RFC 6376 3.4.2 and 3.4.4).

/// Writes a header field in its relaxed form, without a line end: its name in lower case, unfolded, each run of white
/// space as one space, none at the ends of the value.
pub(super) fn relaxed_field(lines: &[u8], out: &mut Vec<u8>) {
    let colon = lines.iter().position(|b| *b == b':').unwrap_or(lines.len());
    let (name, value) = lines.split_at(colon);
    out.extend(name.trim_ascii().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let begin = out.len();
    for byte in value.iter().skip(1) {
        match byte {
            b'\r' | b'\n' => {}
            b' ' | b'\t' if out.len() == begin || out.ends_with(b" ") => {}
            b' ' | b'\t' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    if out.len() > begin && out.ends_with(b" ") {
        out.pop();
    }
}

/// Gives a body in its relaxed form to `take`, piece by piece: each run of white space as one space, none at the ends
/// of lines, no empty lines at the end. Of a body with nothing else nothing is left.
pub(super) fn relaxed_body(body: &[u8], mut take: impl FnMut(&[u8])) {
    let mut empty_lines = 0_usize;
    let mut line = Vec::with_capacity(1_024);
    for raw in body.split_inclusive(|b| *b == b'\n') {
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        line.clear();
        for byte in raw {
            match byte {
                b' ' | b'\t' if line.ends_with(b" ") => {}
                b' ' | b'\t' => line.push(b' '),
                byte => line.push(*byte),
            }
        }
        if line.ends_with(b" ") {
            line.pop();
        }
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        (0..std::mem::take(&mut empty_lines)).for_each(|_| take(b"\r\n"));
        line.extend_from_slice(b"\r\n");
        take(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_field(lines: &str, expected: &str) {
        let mut out = Vec::new();
        relaxed_field(lines.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{lines:?}");
    }

    #[test]
    fn fields_are_unfolded_and_their_white_space_is_reduced() {
        // The examples of RFC 6376 3.4.5.
        check_field("A: X\r\n", "a:X");
        check_field("B : Y\t\r\n\tZ  \r\n", "b:Y Z");
        check_field("Subject:\r\n", "subject:");
        check_field("Subject:   \r\n", "subject:");
        check_field("SUBJect: a\r\n b\r\n\t c\r\n", "subject:a b c");
        check_field("Subject: \r\n a \r\n", "subject:a");
        check_field("From:taro@example.jp", "from:taro@example.jp");
        check_field("X-Time: 10:20 : 30\r\n", "x-time:10:20 : 30");
        check_field("Subject: caf\u{e9}\r\n", "subject:caf\u{e9}");
    }

    #[track_caller]
    fn check_body(body: &str, expected: &str) {
        let mut out = Vec::new();
        relaxed_body(body.as_bytes(), |part| out.extend_from_slice(part));
        assert_eq!(String::from_utf8_lossy(&out), expected, "{body:?}");
    }

    #[test]
    fn bodies_lose_white_space_and_empty_lines_at_the_end() {
        // The example of RFC 6376 3.4.5.
        check_body(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
        check_body("", "");
        check_body("\r\n", "");
        check_body("\r\n\r\n\r\n", "");
        check_body(" \r\n\t\r\n", "");
        check_body("\r\n\r\na\r\n\r\nb\r\n \r\n", "\r\n\r\na\r\n\r\nb\r\n");
        check_body("no end", "no end\r\n");
        check_body("a  b\t\tc\r\n", "a b c\r\n");
        check_body("\ta\r\n", " a\r\n");
        check_body(".\r\n..\r\n", ".\r\n..\r\n");
    }
}
