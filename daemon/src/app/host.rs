//! What this host is called.

use std::fs;

use crate::domain::account::EhloName;

/// Where Linux tells its name; the second is for a sandbox that hides the first.
const NAME_FILES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

/// This host's name, for EHLO; `localhost` when it has none that can be said there.
pub(super) fn name() -> EhloName {
    let told = NAME_FILES.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    told.unwrap_or_else(|| "localhost".parse().expect("localhost is a host name"))
}
