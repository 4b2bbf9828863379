//! [`BoxedService`] and the factory that makes them.

use std::{any::Any, fmt, marker::PhantomData, pin::Pin};

use crate::{AsyncMakeService, ReadyMakeService, Service};

type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// [`Service`] in a form that can be a trait object.
trait ErasedService<Req, Resp, Err>: Any {
    fn call_boxed(&self, req: Req) -> BoxedFuture<'_, Result<Resp, Err>>;

    fn type_name(&self) -> &'static str;
}

impl<Req: 'static, S: Service<Req> + 'static> ErasedService<Req, S::Response, S::Error> for S {
    fn call_boxed(&self, req: Req) -> BoxedFuture<'_, Result<S::Response, S::Error>> {
        // The memory first: what follows it is then written where it stays.
        let future = Box::write(Box::new_uninit(), self.call(req));
        Box::into_pin(future)
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

/// A [`Service`] without its concrete type. Each call allocates its future.
///
/// The service need not be `Send`, and what holds it is not either.
pub struct BoxedService<Req, Resp, Err>(Box<dyn ErasedService<Req, Resp, Err>>);

impl<Req: 'static, Resp: 'static, Err: 'static> BoxedService<Req, Resp, Err> {
    /// Erases `service`.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Req, Response = Resp, Error = Err> + 'static,
    {
        Self(Box::new(service))
    }

    /// The erased service, if it is an `S`.
    pub fn downcast_ref<S: 'static>(&self) -> Option<&S> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }
}

impl<Req: 'static, Resp: 'static, Err: 'static> fmt::Debug for BoxedService<Req, Resp, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoxedService({})", self.0.type_name())
    }
}

impl<Req: 'static, Resp: 'static, Err: 'static> Service<Req> for BoxedService<Req, Resp, Err> {
    type Response = Resp;
    type Error = Err;

    fn call(&self, req: Req) -> impl Future<Output = Result<Resp, Err>> {
        self.0.call_boxed(req)
    }
}

/// Makes [`BoxedService`]s out of the services of another factory.
///
/// A predecessor is looked for by type: the inner factory gets the service
/// inside the old box if it is one of its own, and otherwise starts afresh.
pub struct BoxServiceFactory<F, Req> {
    inner: F,
    request: PhantomData<fn(Req)>,
}

impl<F, Req> BoxServiceFactory<F, Req> {
    /// Erases the services of `inner`, as services of `Req`.
    pub fn new(inner: F) -> Self {
        Self {
            inner,
            request: PhantomData,
        }
    }
}

impl<F: Clone, Req> Clone for BoxServiceFactory<F, Req> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<F: fmt::Debug, Req> fmt::Debug for BoxServiceFactory<F, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxServiceFactory")
            .field(&self.inner)
            .finish()
    }
}

impl<F, S, Req> AsyncMakeService for BoxServiceFactory<F, Req>
where
    F: AsyncMakeService<Service = S>,
    S: Service<Req, Response: 'static, Error: 'static> + 'static,
    Req: 'static,
{
    type Service = BoxedService<Req, S::Response, S::Error>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let old = old.and_then(BoxedService::downcast_ref);
        self.inner.make_via_ref(old).await.map(BoxedService::new)
    }
}

impl<F, S, Req> ReadyMakeService for BoxServiceFactory<F, Req>
where
    F: ReadyMakeService + AsyncMakeService<Service = S>,
    S: Service<Req, Response: 'static, Error: 'static> + 'static,
    Req: 'static,
{
}
