//! Many operations, and the end of the last of them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};

use crate::context::Context;
use crate::error::{BoxError, Failure, PanicReport};
use crate::service::{Ending, Exit, Service};

/// One operation of [`wait_all`]. See [`operation`].
pub type Operation =
    Box<dyn FnOnce(Context) -> LocalBoxFuture<'static, Result<Exit, BoxError>> + Send>;

/// Something to be done once.
pub fn operation<F, Fut>(run: F) -> Operation
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output: Ending> + 'static,
{
    Box::new(move |context| run(context).map(Ending::into_result).boxed_local())
}

/// Does all `operations` at once; ends with the last of them. Each error and each panic is
/// recorded before the service ends, and none keeps the others from going on.
pub fn wait_all(
    name: impl Into<Arc<str>>,
    operations: impl IntoIterator<Item = Operation>,
) -> Service {
    let operations: Vec<Operation> = operations.into_iter().collect();
    Service::once(name, move |context: Context| async move {
        let all = operations.into_iter().map(|operation| {
            let context = context.clone();
            let work = AssertUnwindSafe({
                let context = context.clone();
                async move { operation(context).await }
            });
            async move {
                match work.catch_unwind().await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => context.fail(Failure::Error(error.into())),
                    Err(payload) => {
                        context.fail(Failure::Panic(PanicReport::from_payload(&*payload)));
                    }
                }
            }
        });
        join_all(all).await;
    })
}
