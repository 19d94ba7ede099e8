//! Readers with mailboxes that a script plays, on a paused clock.
