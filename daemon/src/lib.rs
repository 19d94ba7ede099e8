//! Hikyaku, a persistent mail delivery daemon. `ARCHITECTURE.md` has the map; imports go down only:
//! app → service → delivery → accounts → storage, wire → platform → policy, compose → domain.

pub mod accounts;
pub mod app;
pub mod compose;
pub mod delivery;
pub mod domain;
pub mod inbound;
pub mod platform;
pub mod policy;
pub mod service;
pub mod storage;
pub mod wire;
