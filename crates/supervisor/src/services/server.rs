//! A server: bound before it is ready, drained before it is aborted.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::error::BoxError;
use crate::service::{Ending, Readiness, Service};

/// How long binding may take.
const BIND_MAX: Duration = Duration::from_secs(10);

/// A service around any accept loop.
///
/// `bind` gives the listener; its error is the service's, which then was never ready. `serve`
/// accepts until [`Context::drain`] is cancelled, lets go of the listener, and returns when
/// what is under way has been answered or [`Context::abort`] is cancelled.
pub fn server_service<L, B, BoundBy, S, Served>(
    name: impl Into<Arc<str>>,
    bind: B,
    serve: S,
) -> Service
where
    B: Fn() -> BoundBy + Send + 'static,
    BoundBy: Future<Output = Result<L, BoxError>> + 'static,
    S: Fn(L, Context) -> Served + Clone + Send + 'static,
    Served: Future<Output: Ending> + 'static,
    L: 'static,
{
    Service::new(name, move |context: Context| {
        let binding = bind();
        let serve = serve.clone();
        async move {
            let listener = binding.await?;
            context.notify_ready();
            serve(listener, context).await.into_result()
        }
    })
    .readiness(Readiness::Explicit { within: BIND_MAX })
}
