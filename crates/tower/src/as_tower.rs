//! A service of Tidegate's among tower's.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tidegate_service::Service;

/// What [`AsTower`] answers with: a future that stays on its thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A [`Service`] as a `tower::Service`. Clones share it.
///
/// It is always ready: a call that has to wait waits in its future. Each call allocates that
/// future, which tower's trait does not let borrow the service. Dropping it cancels the call.
///
/// ```
/// use std::convert::Infallible;
/// use tidegate_service::service_fn;
/// use tidegate_tower::AsTower;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let length = service_fn(async |text: String| Ok::<_, Infallible>(text.len()));
/// let padded = ServiceBuilder::new()
///     .map_request(|text: &str| format!("{text}!"))
///     .concurrency_limit(8)
///     .service(AsTower::new(length));
/// assert_eq!(padded.oneshot("hello").await, Ok(6));
/// # }
/// ```
#[derive(Debug)]
pub struct AsTower<S>(Rc<S>);

impl<S> AsTower<S> {
    /// `service`, as a tower service.
    pub fn new(service: S) -> Self {
        Self(Rc::new(service))
    }
}

impl<S> From<Rc<S>> for AsTower<S> {
    fn from(service: Rc<S>) -> Self {
        Self(service)
    }
}

impl<S> Clone for AsTower<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S, Req> tower_service::Service<Req> for AsTower<S>
where
    S: Service<Req> + 'static,
    Req: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LocalFuture<Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let service = Rc::clone(&self.0);
        Box::pin(async move { service.call(request).await })
    }
}
