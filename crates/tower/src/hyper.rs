//! hyper's own trait for services, which differs from tower's: shared, and always ready.

use std::rc::Rc;

use tidegate_service::Service;

use crate::LocalFuture;

/// A `hyper::service::Service` as a [`Service`]. Dropping a call's future drops hyper's.
#[derive(Clone, Copy, Debug)]
pub struct FromHyper<T>(pub T);

impl<T, Req> Service<Req> for FromHyper<T>
where
    T: hyper::service::Service<Req>,
{
    type Response = T::Response;
    type Error = T::Error;

    fn call(&self, request: Req) -> impl Future<Output = Result<T::Response, T::Error>> {
        self.0.call(request)
    }
}

/// A [`Service`] as a `hyper::service::Service`, for connections of hyper's that are served on
/// one thread. Clones share it. Each call allocates its future; dropping that cancels it.
#[derive(Debug)]
pub struct AsHyper<S>(Rc<S>);

impl<S> AsHyper<S> {
    /// `service`, as a service of hyper's.
    pub fn new(service: S) -> Self {
        Self(Rc::new(service))
    }
}

impl<S> Clone for AsHyper<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S, Req> hyper::service::Service<Req> for AsHyper<S>
where
    S: Service<Req> + 'static,
    Req: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LocalFuture<Result<S::Response, S::Error>>;

    fn call(&self, request: Req) -> Self::Future {
        let service = Rc::clone(&self.0);
        Box::pin(async move { service.call(request).await })
    }
}
