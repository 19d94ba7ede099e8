//! How the daemon reaches providers: TCP between simulated hosts.

use std::{io, num::NonZeroU16, time::Duration};

use async_trait::async_trait;
use hikyaku_daemon::{
    domain::account::Host,
    wire::dial::{Dial, DialCause, DialError, DialPhase, Stream},
};
use tokio::time::timeout;
use turmoil::net::TcpStream;

/// Dials simulated hosts by their names.
#[derive(Debug)]
pub(crate) struct SimulatedDial;

#[async_trait]
impl Dial for SimulatedDial {
    async fn dial(&self, host: &Host, port: NonZeroU16, limit: Duration) -> Result<Box<dyn Stream>, DialError> {
        let failed = |cause| DialError { phase: DialPhase::Connect, cause };
        let connected = timeout(limit, TcpStream::connect((host.as_str(), port.get()))).await;
        let connected: Result<io::Result<TcpStream>, _> = connected;
        let stream = connected.map_err(|_| failed(DialCause::TimedOut(limit)))?;
        Ok(Box::new(stream.map_err(|error| failed(error.into()))?))
    }
}
