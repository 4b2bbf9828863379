//! [`MapTargetService`]: converts each request before the inner service sees it.
//!
//! Pushed with [`FactoryStack::push_map_target`](crate::FactoryStack::push_map_target)
//! between two layers that speak different request types.

use std::fmt;

use crate::{AsyncMakeService, FactoryLayer, LayeredMakeService, ReadyMakeService, Service};

/// A conversion of requests. Implemented for every `Fn(Request) -> Target`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not convert `{Request}`: the bound `{Self}: Fn({Request}) -> _` is \
               missing"
)]
pub trait MapTarget<Request> {
    /// What the request becomes.
    type Target;

    /// Converts one request.
    fn map_target(&self, req: Request) -> Self::Target;
}

impl<Request, Target, M: Fn(Request) -> Target> MapTarget<Request> for M {
    type Target = Target;

    fn map_target(&self, req: Request) -> Target {
        self(req)
    }
}

/// A service that converts its requests and passes them on.
#[derive(Clone)]
pub struct MapTargetService<M, S> {
    map: M,
    inner: S,
}

impl<M, S> MapTargetService<M, S> {
    /// Passes what `map` makes of each request to `inner`.
    pub fn new(map: M, inner: S) -> Self {
        Self { map, inner }
    }
}

impl<M, S: fmt::Debug> fmt::Debug for MapTargetService<M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapTargetService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<Request, M, S> Service<Request> for MapTargetService<M, S>
where
    M: MapTarget<Request>,
    S: Service<M::Target>,
{
    type Response = S::Response;
    type Error = S::Error;

    fn call(&self, req: Request) -> impl Future<Output = Result<Self::Response, Self::Error>> {
        self.inner.call(self.map.map_target(req))
    }
}

/// The factory of [`MapTargetService`].
#[derive(Clone)]
pub struct MapTargetFactory<M, F> {
    map: M,
    inner: F,
}

impl<M, F: fmt::Debug> fmt::Debug for MapTargetFactory<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapTargetFactory")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The layer of [`MapTargetFactory`].
#[derive(Clone, Copy)]
pub struct MapTargetLayer<M> {
    map: M,
}

impl<M> MapTargetLayer<M> {
    /// A layer that converts requests with `map`.
    pub fn new(map: M) -> Self {
        Self { map }
    }
}

impl<M> fmt::Debug for MapTargetLayer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapTargetLayer").finish_non_exhaustive()
    }
}

impl<C, F, M: Clone> FactoryLayer<C, F> for MapTargetLayer<M> {
    type Factory = MapTargetFactory<M, F>;

    fn layer(&self, _config: &C, inner: F) -> Self::Factory {
        MapTargetFactory {
            map: self.map.clone(),
            inner,
        }
    }
}

impl<M: Clone, F: AsyncMakeService> AsyncMakeService for MapTargetFactory<M, F> {
    type Service = MapTargetService<M, F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner)).await?;
        Ok(MapTargetService::new(self.map.clone(), inner))
    }
}

impl<M: Clone, F: ReadyMakeService> ReadyMakeService for MapTargetFactory<M, F> {}

impl<M: Clone, F: AsyncMakeService> LayeredMakeService for MapTargetFactory<M, F> {
    type InnerService = F::Service;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        &service.inner
    }

    async fn make_around(&self, inner: &Self::InnerService) -> Result<Self::Service, Self::Error> {
        let inner = self.inner.make_via_ref(Some(inner)).await?;
        Ok(MapTargetService::new(self.map.clone(), inner))
    }
}
