//! Erased factories: [`BoxedMakeService`] and its async and shared siblings.

use std::{fmt, pin::Pin, sync::Arc};

use super::{BoxServiceFactory, BoxedService};
use crate::{AsyncMakeService, MakeNow, MakeService, ReadyMakeService, Service};

type BoxedMaking<'a, S, E> = Pin<Box<dyn Future<Output = Result<S, E>> + 'a>>;

/// [`AsyncMakeService`] in a form that can be a trait object.
trait ErasedAsyncMakeService<S, E> {
    fn make_boxed<'a>(&'a self, old: Option<&'a S>) -> BoxedMaking<'a, S, E>;
}

impl<F: AsyncMakeService> ErasedAsyncMakeService<F::Service, F::Error> for F {
    fn make_boxed<'a>(
        &'a self,
        old: Option<&'a F::Service>,
    ) -> BoxedMaking<'a, F::Service, F::Error> {
        Box::pin(self.make_via_ref(old))
    }
}

type SyncFactory<S, E> = dyn MakeService<Service = S, Error = E> + Send + Sync;
type AsyncFactory<S, E> = dyn ErasedAsyncMakeService<S, E> + Send + Sync;

/// A factory without its concrete type that makes services at once.
///
/// The factory is `Send + Sync`; the services it makes need not be.
pub struct BoxedMakeService<S, E>(Box<SyncFactory<S, E>>);

/// [`BoxedMakeService`], shared by its clones.
pub struct ArcMakeService<S, E>(Arc<SyncFactory<S, E>>);

/// A factory without its concrete type that may wait while making.
///
/// The factory is `Send + Sync`; the services it makes, and the futures that
/// make them, need not be. Each making allocates its future.
pub struct BoxedAsyncMakeService<S, E>(Box<AsyncFactory<S, E>>);

/// [`BoxedAsyncMakeService`], shared by its clones: what is sent to every
/// worker thread, where each makes a service of its own.
pub struct ArcAsyncMakeService<S, E>(Arc<AsyncFactory<S, E>>);

macro_rules! erased_factory {
    ($name:ident, $kind:ident, $pointer:ident :: new($factory:ident => $stored:expr)) => {
        impl<S, E> $name<S, E> {
            /// Erases the type of `factory` and keeps that of its services.
            pub fn new<F>(factory: F) -> Self
            where
                F: $kind + AsyncMakeService<Service = S, Error = E> + Send + Sync + 'static,
            {
                let $factory = factory;
                Self($pointer::new($stored))
            }
        }

        impl<Req: 'static, Resp: 'static, Err: 'static, E> $name<BoxedService<Req, Resp, Err>, E> {
            /// Erases both the type of `factory` and that of its services.
            ///
            /// A predecessor made by a factory of the same type is found again;
            /// one of another type counts as none.
            pub fn erase<F>(factory: F) -> Self
            where
                F: $kind + AsyncMakeService<Error = E> + Send + Sync + 'static,
                F::Service: Service<Req, Response = Resp, Error = Err> + 'static,
            {
                Self::new(BoxServiceFactory::new(factory))
            }
        }

        impl<S, E> fmt::Debug for $name<S, E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

erased_factory!(BoxedMakeService, ReadyMakeService, Box::new(factory => MakeNow(factory)));
erased_factory!(ArcMakeService, ReadyMakeService, Arc::new(factory => MakeNow(factory)));
erased_factory!(BoxedAsyncMakeService, AsyncMakeService, Box::new(factory => factory));
erased_factory!(ArcAsyncMakeService, AsyncMakeService, Arc::new(factory => factory));

macro_rules! sync_factory {
    ($name:ident) => {
        impl<S, E> MakeService for $name<S, E> {
            type Service = S;
            type Error = E;

            fn make_via_ref(&self, old: Option<&S>) -> Result<S, E> {
                MakeService::make_via_ref(&*self.0, old)
            }
        }
    };
}

macro_rules! async_factory {
    ($name:ident) => {
        impl<S, E> AsyncMakeService for $name<S, E> {
            type Service = S;
            type Error = E;

            async fn make_via_ref(&self, old: Option<&S>) -> Result<S, E> {
                self.0.make_boxed(old).await
            }
        }
    };
}

sync_factory!(BoxedMakeService);
sync_factory!(ArcMakeService);
async_factory!(BoxedAsyncMakeService);
async_factory!(ArcAsyncMakeService);

impl<S, E> Clone for ArcMakeService<S, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, E> Clone for ArcAsyncMakeService<S, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, E> From<BoxedMakeService<S, E>> for ArcMakeService<S, E> {
    fn from(boxed: BoxedMakeService<S, E>) -> Self {
        Self(Arc::from(boxed.0))
    }
}

impl<S, E> From<BoxedAsyncMakeService<S, E>> for ArcAsyncMakeService<S, E> {
    fn from(boxed: BoxedAsyncMakeService<S, E>) -> Self {
        Self(Arc::from(boxed.0))
    }
}
