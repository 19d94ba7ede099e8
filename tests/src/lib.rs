//! Only the integration tests matter here.
