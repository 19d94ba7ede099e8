//! When recipients are suppressed by what their servers and readers say.

use std::time::Duration;

/// When recipients are suppressed, for their account, by what their servers and readers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuppressionRules {
    /// Nobody is suppressed by itself.
    pub off: bool,
    /// How many messages in a row come back for reasons that may pass before the address is suppressed.
    pub soft_bounces_max: u32,
    /// How long such a run may pause before it begins anew.
    pub soft_bounces_within: Duration,
    /// How long a suppression after hard bounces or refusals holds; for ever when there is nothing here.
    pub hard_bounce_expiry: Option<Duration>,
    /// How long a suppression after soft bounces holds.
    pub soft_bounces_expiry: Duration,
    /// Whether replies to attempts are left alone.
    pub ignore_replies: bool,
}

impl Default for SuppressionRules {
    fn default() -> Self {
        Self {
            off: false,
            soft_bounces_max: 5,
            soft_bounces_within: Duration::from_secs(30 * 86_400),
            hard_bounce_expiry: None,
            soft_bounces_expiry: Duration::from_secs(90 * 86_400),
            ignore_replies: false,
        }
    }
}
