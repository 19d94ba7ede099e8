//! What shows, in half a minute and without any other server, that mail is neither lost nor doubled?

pub mod capture;
