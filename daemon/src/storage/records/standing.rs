//! How an account's standing is kept.

use serde::{Deserialize, Serialize};

use super::{BadRow, codes::Code};
use crate::domain::{
    parking::{Parking, Standing},
    reply::Reply,
    time::Timestamp,
};

/// A [`Standing`]; an account without a row is active.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct StandingRow {
    /// Why it waits; nothing when it is active.
    #[prost(message, optional, tag = "1")]
    pub parking: Option<ParkingRow>,
}

/// A [`Parking`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the parking; times are in milliseconds since 1970")]
pub struct ParkingRow {
    #[prost(uint32, tag = "1")]
    pub cause: u32,
    #[prost(string, tag = "2")]
    pub reason: String,
    #[prost(string, optional, tag = "3")]
    pub reply: Option<String>,
    #[prost(uint64, tag = "4")]
    pub since: u64,
    #[prost(uint64, optional, tag = "5")]
    pub until: Option<u64>,
    #[prost(uint32, tag = "6")]
    pub strikes: u32,
}

impl From<&Standing> for StandingRow {
    fn from(standing: &Standing) -> Self {
        match standing {
            Standing::Active => Self { parking: None },
            Standing::Parked(parking) => Self { parking: Some(parking.into()) },
        }
    }
}

impl TryFrom<StandingRow> for Standing {
    type Error = BadRow;

    fn try_from(row: StandingRow) -> Result<Self, BadRow> {
        row.parking.map_or(Ok(Self::Active), |parking| parking.try_into().map(Self::Parked))
    }
}

impl From<&Parking> for ParkingRow {
    fn from(parking: &Parking) -> Self {
        Self {
            cause: parking.cause.code(),
            reason: parking.reason.clone(),
            reply: parking.reply.as_ref().map(|reply| reply.text().to_owned()),
            since: parking.since.as_millis(),
            until: parking.until.map(Timestamp::as_millis),
            strikes: parking.strikes,
        }
    }
}

impl TryFrom<ParkingRow> for Parking {
    type Error = BadRow;

    fn try_from(row: ParkingRow) -> Result<Self, BadRow> {
        let reply = |text: String| Reply::from_lines(&text).ok_or_else(|| BadRow::new("parking", "its reply is none"));
        Ok(Self {
            cause: Code::from_code(row.cause)?,
            reason: row.reason,
            reply: row.reply.map(reply).transpose()?,
            since: Timestamp::from_millis(row.since),
            until: row.until.map(Timestamp::from_millis),
            strikes: row.strikes,
        })
    }
}
