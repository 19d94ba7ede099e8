//! What accounts may send, each setting by its key and its default.

use std::time::Duration;

use hikyaku_client::proto::{BatchPause, Limits, OverQuota, Pace};

use super::fields::{Choices, Fields};
use crate::cli::{
    duration_text::show_duration,
    quota_text::{parse_batch, parse_pace, parse_quota, parse_reserve, show_quota, show_reserve},
};

const OVER_QUOTA: Choices = &[("queue", OverQuota::Queue as i32), ("reject", OverQuota::Reject as i32)];
const CONNECTIONS: u32 = 2;
const MESSAGES_PER_CONNECTION: u32 = 100;
const RECIPIENTS_PER_JOB: u32 = 100;
const MESSAGE_BYTES: u64 = 25 << 20;
/// Parts a pace from its burst, as in `30/min burst 5`.
const BURST: &str = " burst ";

/// All limits.
pub(crate) fn limits<F: Fields>(f: &mut F, limits: &mut Limits) {
    f.list("quotas", &mut limits.quotas, parse_quota, show_quota);
    f.length("interval", &mut limits.interval, Duration::ZERO);
    f.parsed("pace", &mut limits.pace, parse_pace_and_burst, show_pace);
    f.parsed("batch", &mut limits.batch, read_batch, show_batch);
    f.number("connections_max", &mut limits.connections_max, CONNECTIONS);
    f.number("messages_per_connection_max", &mut limits.messages_per_connection_max, MESSAGES_PER_CONNECTION);
    f.number("recipients_per_job_max", &mut limits.recipients_per_job_max, RECIPIENTS_PER_JOB);
    f.bytes("message_bytes_max", &mut limits.message_bytes_max, MESSAGE_BYTES);
    f.number("reserve_for_humans", &mut limits.reserve_for_humans, 0);
    limits.reserves.sort_by_key(|reserve| reserve.priority);
    f.list("reserves", &mut limits.reserves, parse_reserve, show_reserve);
    f.choice("over_quota", &mut limits.over_quota, OVER_QUOTA);
}

fn parse_pace_and_burst(text: &str) -> Result<Pace, String> {
    let (pace, burst) = match text.split_once(BURST) {
        None => (text, 0),
        Some((pace, burst)) => (pace, burst.trim().parse().map_err(|_| format!("\"{burst}\" is not a burst"))?),
    };
    Ok(Pace { messages_per_minute: parse_pace(pace.trim())?, burst })
}

fn show_pace(pace: &Pace) -> String {
    match pace.burst {
        0 | 1 => format!("{}/min", pace.messages_per_minute),
        burst => format!("{}/min{BURST}{burst}", pace.messages_per_minute),
    }
}

fn read_batch(text: &str) -> Result<BatchPause, String> {
    let (messages, pause) = parse_batch(text)?;
    let pause = prost_types::Duration::try_from(pause).map_err(|_| "the pause is too long".to_owned())?;
    Ok(BatchPause { messages, pause: Some(pause) })
}

fn show_batch(batch: &BatchPause) -> String {
    let pause = Duration::try_from(batch.pause.unwrap_or_default()).unwrap_or_default();
    format!("{}/{}", batch.messages, show_duration(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_may_have_a_burst() {
        for (text, expected) in [
            ("30/min", Some("30/min")),
            ("2/s burst 5", Some("120/min burst 5")),
            ("30/min burst 1", Some("30/min")),
            ("30/min burst", None),
            ("30/min burst x", None),
        ] {
            assert_eq!(parse_pace_and_burst(text).ok().as_ref().map(show_pace).as_deref(), expected, "{text}");
        }
    }
}
