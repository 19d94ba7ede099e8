//! How are figures told?

use std::{
    fmt::Display,
    io::{Write as _, stdout},
    time::Duration,
};

/// Prints `name: value`; when nobody reads it, the exit status still tells.
pub(crate) fn say(name: &str, value: impl Display) {
    let mut out = stdout().lock();
    drop(writeln!(out, "{name}: {value}").and_then(|()| out.flush()));
}

/// Prints how many there were, how long they took, and the rate.
pub(crate) fn say_rate(count: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    say("count", count);
    say("seconds", format!("{seconds:.3}"));
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = count as f64 / seconds.max(f64::MIN_POSITIVE);
    say("rate", format!("{rate:.0}"));
}

/// The value below which `share` of all values are, by the nearest rank; not a number when there are none. Sorts them.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are small and not negative"
    )]
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(percentile(&mut values, 0.5).to_bits(), 2.0f64.to_bits());
        assert_eq!(percentile(&mut values, 0.99).to_bits(), 4.0f64.to_bits());
        assert!(percentile(&mut [], 0.5).is_nan());
    }
}
