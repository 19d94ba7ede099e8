//! Calls about statistics.

use crate::{
    connection::Client,
    error::Error,
    proto::{GetStatisticsRequest, GetStatisticsResponse},
};

impl Client {
    /// What was sent and what came of it, by time and by group.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations.
    pub async fn get_statistics(&self, request: GetStatisticsRequest) -> Result<GetStatisticsResponse, Error> {
        Ok(self.statistics.clone().get_statistics(request).await?.into_inner())
    }
}
