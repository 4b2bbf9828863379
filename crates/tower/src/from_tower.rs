//! A service of tower's among Tidegate's.

use std::fmt;
use std::future::poll_fn;

use tidegate_service::Service;
use tokio::sync::Mutex;

/// A `tower::Service` as a [`Service`].
///
/// Calls overlap as far as the tower service is ready for them. They ask for readiness one
/// after the other, in the order in which they came: a tower service wakes only the last that
/// has asked. Whoever finds it ready calls it at once, so that nothing it has set aside for a
/// call (a permit, a connection) waits with nobody to use it.
///
/// # Cancellation
///
/// Dropping the future before its turn, or while the service is not ready, gives the turn to
/// the next and has no other effect; afterwards it drops the tower service's future.
///
/// # Errors
///
/// Those of the tower service. One of `poll_ready` is that of the call which asked; the next
/// call asks again.
///
/// # Limits
///
/// How many calls may wait is decided by whoever makes them. `tower::load_shed` as the outermost
/// layer refuses those that would have to.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use tidegate_service::Service;
/// use tidegate_tower::FromTower;
/// use tower::{ServiceBuilder, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let double = service_fn(|number: u32| async move { Ok::<_, Infallible>(number * 2) });
/// let limited = ServiceBuilder::new()
///     .rate_limit(100, Duration::from_secs(1))
///     .service(double);
/// assert_eq!(FromTower::new(limited).call(21).await, Ok(42));
/// # }
/// ```
pub struct FromTower<T> {
    /// Held by whoever asks for readiness. Its queue is fair.
    turn: Mutex<T>,
}

impl<T> FromTower<T> {
    /// `service`, as a service of Tidegate's.
    pub fn new(service: T) -> Self {
        Self {
            turn: Mutex::new(service),
        }
    }
}

impl<T> fmt::Debug for FromTower<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FromTower({})", std::any::type_name::<T>())
    }
}

impl<T, Req> Service<Req> for FromTower<T>
where
    T: tower_service::Service<Req>,
{
    type Response = T::Response;
    type Error = T::Error;

    async fn call(&self, request: Req) -> Result<T::Response, T::Error> {
        let answering = {
            let mut service = self.turn.lock().await;
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request)
        };
        answering.await
    }
}
