//! Calls about what is known of mail providers.

use crate::{
    connection::Client,
    error::Error,
    proto::{DiscoverSettingsRequest, DiscoverSettingsResponse, ListPresetsRequest, Preset},
};

impl Client {
    /// All presets, in the order of their ids.
    ///
    /// # Errors
    /// When the daemon refuses or is gone.
    pub async fn list_presets(&self) -> Result<Vec<Preset>, Error> {
        Ok(self.providers.clone().list_presets(ListPresetsRequest {}).await?.into_inner().presets)
    }

    /// Proposes server settings from a mail address alone; nothing is stored.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is no address.
    pub async fn discover_settings(&self, address: &str) -> Result<DiscoverSettingsResponse, Error> {
        let request = DiscoverSettingsRequest { address: address.to_owned() };
        Ok(self.providers.clone().discover_settings(request).await?.into_inner())
    }
}
