//! How a number of things is named.

/// The number with the word for one or for several: `1 job`, `2 jobs`.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "entry", "entries")), ["0 entries", "1 entry", "2 entries"]);
    }
}
