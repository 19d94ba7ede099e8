//! How a number of bytes is written: `500kB`, `25MiB`, `1000`.

/// Reads a whole number with or without a unit.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not a number of bytes; write 25MiB, 500kB or 1000");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// A text that [`parse_bytes`] reads back to the same number.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("MB", 1_000_000), ("kB", 1_000)];
    let whole = units.into_iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    whole.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_have_a_unit() {
        for (text, bytes, shown) in [
            ("1000", Some(1_000), "1kB"),
            ("25MiB", Some(26_214_400), "25MiB"),
            ("25 MB", Some(25_000_000), "25MB"),
            ("1023", Some(1_023), "1023"),
            ("0", Some(0), "0"),
            ("1.5MB", None, ""),
            ("MB", None, ""),
            ("5 TB", None, ""),
            ("99999999999GiB", None, ""),
        ] {
            assert_eq!(parse_bytes(text).ok(), bytes, "{text}");
            if let Some(bytes) = bytes {
                assert_eq!((show_bytes(bytes).as_str(), parse_bytes(&show_bytes(bytes))), (shown, Ok(bytes)));
            }
        }
    }
}
