//! Work through a stream.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt};

use crate::context::Context;
use crate::error::{Failure, PanicReport};
use crate::service::{Ending, Service};

/// Calls `handle` for each item, with at most `parallel` under way.
///
/// The service ends with the stream. An item that fails is recorded and the others go on.
/// When it is to drain, no more items are taken, and those under way are finished.
pub fn process_stream<S, H, Handling>(
    name: impl Into<Arc<str>>,
    parallel: usize,
    stream: impl Fn() -> S + Send + 'static,
    handle: H,
) -> Service
where
    S: Stream + 'static,
    H: Fn(S::Item) -> Handling + Clone + Send + 'static,
    Handling: Future<Output: Ending> + 'static,
{
    Service::new(name, move |context: Context| {
        let items = stream();
        let handle = handle.clone();
        async move {
            let drain = context.drain().clone();
            items
                .take_until(drain.cancelled_owned())
                .for_each_concurrent(parallel.max(1), |item| {
                    // In an async block, so that a panic of the call is caught as well.
                    let handling = AssertUnwindSafe(async { handle(item).await.into_result() });
                    let context = &context;
                    async move {
                        match handling.catch_unwind().await {
                            Ok(Ok(_)) => {}
                            Ok(Err(error)) => context.fail(Failure::Error(error.into())),
                            Err(payload) => {
                                let report = PanicReport::from_payload(&*payload);
                                context.fail(Failure::Panic(report));
                            }
                        }
                    }
                })
                .await;
        }
    })
}
