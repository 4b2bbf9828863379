//! A service that always comes back.

use std::time::Duration;

use crate::policy::{Backoff, Restart};
use crate::service::Service;

/// `service`, started again whenever it ends by itself, failed or not, with at least
/// `min_interval` from one start to the next.
///
/// It ends when it is told to, or answers [`Exit::Cancelled`](crate::Exit::Cancelled). An error
/// that speaks of somebody else's cancellation or time-out is an error like any other.
pub fn daemon(service: Service, min_interval: Duration) -> Service {
    service.restart(Restart::Always(Backoff::every(min_interval)))
}
