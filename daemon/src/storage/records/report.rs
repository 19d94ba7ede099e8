//! How it is kept what came back of a message.

use serde::{Deserialize, Serialize};

use super::{BadRow, as_base64, codes::Code};
use crate::domain::{inbound::InboundId, reason::Reason, report::Report, time::Timestamp};

/// A [`Report`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportRow {
    /// In milliseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub at: u64,
    /// What it means.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// Why, by its name.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// The status; empty for none.
    #[prost(string, tag = "4")]
    pub status: String,
    /// What the server said.
    #[prost(string, tag = "5")]
    pub diagnostic: String,
    /// Who wrote it.
    #[prost(string, optional, tag = "6")]
    pub reporting_server: Option<String>,
    /// The mail, 16 bytes.
    #[prost(bytes = "vec", tag = "7")]
    #[serde(with = "as_base64")]
    pub inbound: Vec<u8>,
}

impl From<&Report> for ReportRow {
    fn from(report: &Report) -> Self {
        Self {
            at: report.at.as_millis(),
            kind: report.kind.code(),
            reason: report.reason.as_str().to_owned(),
            status: report.status.map(|status| status.to_string()).unwrap_or_default(),
            diagnostic: report.diagnostic.to_string(),
            reporting_server: report.reporting_server.as_deref().map(str::to_owned),
            inbound: report.inbound.to_bytes().to_vec(),
        }
    }
}

impl TryFrom<ReportRow> for Report {
    type Error = BadRow;

    fn try_from(row: ReportRow) -> Result<Self, BadRow> {
        Ok(Self {
            at: Timestamp::from_millis(row.at),
            kind: Code::from_code(row.kind)?,
            reason: reason(&row.reason),
            status: row.status.parse().ok(),
            diagnostic: row.diagnostic.into(),
            reporting_server: row.reporting_server.map(Into::into),
            inbound: inbound_id(&row.inbound)?,
        })
    }
}

/// A reason by its name. One that a newer version knew says nothing here.
pub(super) fn reason(name: &str) -> Reason {
    Reason::named(name).unwrap_or(Reason::Undetermined)
}

/// The id of a mail that is kept as 16 bytes.
pub(super) fn inbound_id(bytes: &[u8]) -> Result<InboundId, BadRow> {
    let bytes = bytes.try_into().map_err(|_| BadRow::new("inbound id", "does not have 16 bytes"))?;
    Ok(InboundId::from_bytes(bytes))
}
