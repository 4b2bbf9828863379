//! [`Service`]: an asynchronous function from a request to a response.
//!
//! Implemented by every handler, proxy and protocol loop; called by whoever
//! holds the next request. A service is shared (`&self`), never polled for
//! readiness, and knows nothing of the executor that drives it.

use std::{fmt, rc::Rc, sync::Arc};

/// An asynchronous function from `Request` to a response or an error.
///
/// The future may borrow the service, so nothing needs to be cloned into it,
/// and calls may overlap: state that changes sits in a `Cell` or an atomic.
///
/// # Cancellation
///
/// Dropping the future cancels the call; there is no other way to cancel and
/// none is needed. An implementation may be dropped at any of its `.await`
/// points and must leave `self` fit for the next call: whatever it took
/// (permits, pooled connections, counters) it gives back in a `Drop`.
/// A future that was never polled has had no effect.
///
/// # Executor
///
/// Neither the future nor the service has to be `Send`, and this crate names
/// no runtime: any executor may drive the future, on the thread it was made on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not serve `{Request}`: the bound `{Self}: Service<{Request}>` is missing",
    label = "not a `Service<{Request}>`",
    note = "if it serves another request type, put a layer between the two that converts \
            (`FactoryStack::push_map_target`), and pin the types where they go wrong with \
            `FactoryStack::check_make_svc::<Request>()`"
)]
pub trait Service<Request> {
    /// What a successful call gives.
    type Response;
    /// What a failed call gives.
    type Error;

    /// Answers one request. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// Whatever the implementation documents.
    fn call(&self, req: Request) -> impl Future<Output = Result<Self::Response, Self::Error>>;
}

macro_rules! service_behind_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<Request, S: Service<Request> + ?Sized> Service<Request> for $pointer {
            type Response = S::Response;
            type Error = S::Error;

            fn call(
                &self,
                req: Request,
            ) -> impl Future<Output = Result<Self::Response, Self::Error>> {
                (**self).call(req)
            }
        }
    )*};
}

service_behind_a_pointer!(&S, Box<S>, Rc<S>, Arc<S>);

/// A [`Service`] made of an async function; see [`service_fn`].
#[derive(Clone, Copy)]
pub struct ServiceFn<F> {
    function: F,
}

impl<F> fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceFn({})", std::any::type_name::<F>())
    }
}

/// Turns an async function or closure into a [`Service`].
///
/// ```
/// use tidegate_service::{Service, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let double = service_fn(async |number: u32| Ok::<_, std::num::TryFromIntError>(number * 2));
/// assert_eq!(double.call(21).await, Ok(42));
/// # }
/// ```
pub fn service_fn<F>(function: F) -> ServiceFn<F> {
    ServiceFn { function }
}

impl<Request, Response, Error, F> Service<Request> for ServiceFn<F>
where
    F: AsyncFn(Request) -> Result<Response, Error>,
{
    type Response = Response;
    type Error = Error;

    fn call(&self, req: Request) -> impl Future<Output = Result<Response, Error>> {
        (self.function)(req)
    }
}
