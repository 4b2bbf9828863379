//! A stream to whichever endpoint takes the connection, for protocols whose connections
//! are not shared by requests.

use std::rc::Rc;

use thiserror::Error;
use tidegate_runtime::io::Io;

use super::Upstream;
use super::availability::Use;
use super::connect::{ConnectError, Connecting, connect_stream};
use super::exchange::Tries;
use crate::balance::InFlight;

/// A stream to an endpoint.
#[derive(Debug)]
pub struct Dialed {
    /// The stream.
    pub io: Io,
    /// The endpoint's address, for the log.
    pub endpoint: Rc<str>,
    /// Counts the connection as under way for as long as it is kept.
    pub in_flight: InFlight,
}

/// Why there is no stream to an upstream.
#[derive(Debug, Error)]
pub enum DialError {
    /// No endpoint is available.
    #[error("no endpoint of the upstream is available")]
    NoEndpoint,
    /// None that was tried took the connection; this is of the last.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Upstream {
    /// Connects to the endpoint whose turn it is and, as nothing of the client's has been
    /// sent yet, to another if that fails: as often as the upstream's retries allow.
    ///
    /// # Errors
    ///
    /// The failure of the last endpoint tried, or that there is none.
    ///
    /// # Cancellation
    ///
    /// Can be dropped at any time; the connection under way is closed.
    pub async fn dial(&self, connecting: Connecting<'_>) -> Result<Dialed, DialError> {
        let mut tries = Tries::of(self.spec.retries);
        let mut failure = DialError::NoEndpoint;
        while let Some(index) = self.pick(&tries) {
            let endpoint = self.endpoint(index);
            let in_flight = self.balancer.start(index);
            match connect_stream(&endpoint.spec, connecting).await {
                Ok(io) => {
                    self.cells.count_connected();
                    self.note(index, Use::Good);
                    return Ok(Dialed {
                        io,
                        endpoint: Rc::clone(&endpoint.name),
                        in_flight,
                    });
                }
                Err(error) => {
                    self.cells.count_failed();
                    self.note(index, Use::Bad);
                    tracing::debug!(upstream = &*self.name, %error, "an endpoint failed");
                    failure = error.into();
                }
            }
            if !tries.spend(index) {
                break;
            }
        }
        Err(failure)
    }
}
