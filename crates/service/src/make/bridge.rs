//! Newtypes that move a factory between the sync, async and shared worlds.

use std::{ops::Deref, sync::Arc};

use crate::{AsyncMakeService, LayeredMakeService, MakeService, ReadyMakeService};

/// Any factory as one that is only async.
///
/// Marks at a call site that the factory is awaited there. The wrapped factory
/// may be of either kind, an `Arc` of a [`MakeService`] included; an `Arc` of
/// a factory that is only async is a [`Shared`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncMakeServiceWrapper<T>(pub T);

impl<T: AsyncMakeService> AsyncMakeService for AsyncMakeServiceWrapper<T> {
    type Service = T::Service;
    type Error = T::Error;

    fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_via_ref(old)
    }
}

impl<T: ReadyMakeService> ReadyMakeService for AsyncMakeServiceWrapper<T> {}

impl<T: LayeredMakeService> LayeredMakeService for AsyncMakeServiceWrapper<T> {
    type InnerService = T::InnerService;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        T::inner_service(service)
    }

    fn make_around(
        &self,
        inner: &Self::InnerService,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_around(inner)
    }
}

/// A factory that never waits as a [`MakeService`], for layers that are
/// written for sync factories only.
#[derive(Clone, Copy, Debug, Default)]
pub struct MakeNow<T>(pub T);

impl<T: ReadyMakeService> MakeService for MakeNow<T> {
    type Service = T::Service;
    type Error = T::Error;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        self.0.make_ready(old)
    }
}

impl<T: ReadyMakeService + LayeredMakeService> LayeredMakeService for MakeNow<T> {
    type InnerService = T::InnerService;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        T::inner_service(service)
    }

    fn make_around(
        &self,
        inner: &Self::InnerService,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_around(inner)
    }
}

/// One factory of either kind, shared by clones.
///
/// `Arc<F>` is a factory only for `F: MakeService`; this is its counterpart
/// for factories that are only async. It is `Send` when `F` is `Send + Sync`,
/// whatever the services it makes are.
#[derive(Debug, Default)]
pub struct Shared<F: ?Sized>(Arc<F>);

impl<F> Shared<F> {
    /// Shares `factory`.
    pub fn new(factory: F) -> Self {
        Self(Arc::new(factory))
    }
}

impl<F: ?Sized> From<Arc<F>> for Shared<F> {
    fn from(factory: Arc<F>) -> Self {
        Self(factory)
    }
}

impl<F: ?Sized> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ?Sized> Deref for Shared<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F: AsyncMakeService + ?Sized> AsyncMakeService for Shared<F> {
    type Service = F::Service;
    type Error = F::Error;

    fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_via_ref(old)
    }
}

impl<F: ReadyMakeService + ?Sized> ReadyMakeService for Shared<F> {}

impl<F: LayeredMakeService + ?Sized> LayeredMakeService for Shared<F> {
    type InnerService = F::InnerService;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        F::inner_service(service)
    }

    fn make_around(
        &self,
        inner: &Self::InnerService,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_around(inner)
    }
}
