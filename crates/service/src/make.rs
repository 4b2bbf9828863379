//! Factories: [`MakeService`], its async twin, and the bridges between them.
//!
//! Implemented once per kind of service; called by a stack, a layer or a
//! worker. Invariants: a factory is written for exactly one of the two traits,
//! every [`MakeService`] is an [`AsyncMakeService`] by one blanket `impl`, and
//! making never changes the factory or the predecessor.

mod bridge;
mod cloned;

pub use bridge::{AsyncMakeServiceWrapper, MakeNow, Shared};
pub use cloned::{MakeClone, make_clone};

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Makes services, handing the state of a predecessor to its successor.
///
/// A factory that wraps another one passes it the inner part of `old`, so that
/// every layer finds its own predecessor. Implement [`AsyncMakeService`]
/// instead when making has to wait, or when the wrapped factory may have to.
///
/// Both traits have the same method names. In generic code the bound chooses;
/// on a concrete type with both traits imported, write
/// `MakeService::make(&factory)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a factory: the bound `{Self}: MakeService` is missing",
    label = "does not implement `MakeService`",
    note = "the innermost factory of a stack must be pushed or set with `FactoryStack::replace`; \
            a factory that is only an `AsyncMakeService` becomes a `MakeService` through \
            `FactoryStack::into_sync` if it never waits",
    note = "`&F`, `Box<F>` and `Arc<F>` are factories of either kind only if `F: MakeService`: \
            share a factory that is only async as `Shared<F>`"
)]
pub trait MakeService {
    /// The service this factory makes.
    type Service;
    /// Why it may fail to.
    type Error;

    /// Makes a service, taking over what it can from `old`.
    ///
    /// `old` goes on serving while this runs and, if the update is aborted,
    /// after it: share or copy its state, do not drain it.
    ///
    /// # Errors
    ///
    /// Whatever the implementation documents; `old` is then untouched.
    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error>;

    /// Makes a service without a predecessor.
    ///
    /// # Errors
    ///
    /// As [`make_via_ref`](Self::make_via_ref).
    fn make(&self) -> Result<Self::Service, Self::Error> {
        self.make_via_ref(None)
    }
}

macro_rules! factory_behind_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<F: MakeService + ?Sized> MakeService for $pointer {
            type Service = F::Service;
            type Error = F::Error;

            fn make_via_ref(
                &self,
                old: Option<&Self::Service>,
            ) -> Result<Self::Service, Self::Error> {
                (**self).make_via_ref(old)
            }
        }
    )*};
}

factory_behind_a_pointer!(&F, Box<F>, Arc<F>);

/// [`MakeService`] for factories that may wait while making.
///
/// Every [`MakeService`] is one, so a layer whose factory asks for
/// `T: AsyncMakeService`, and implements only this trait, accepts both kinds.
///
/// Dropping a future cancels the making; neither factory nor predecessor is
/// changed by that. Futures need not be `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a factory: the bound `{Self}: AsyncMakeService` is missing",
    label = "implements neither `AsyncMakeService` nor `MakeService`",
    note = "the innermost factory of a stack must be pushed or set with `FactoryStack::replace`"
)]
pub trait AsyncMakeService {
    /// The service this factory makes.
    type Service;
    /// Why it may fail to.
    type Error;

    /// Makes a service, taking over what it can from `old`; see
    /// [`MakeService::make_via_ref`].
    ///
    /// # Errors
    ///
    /// Whatever the implementation documents; `old` is then untouched.
    fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>>;

    /// Makes a service without a predecessor.
    ///
    /// # Errors
    ///
    /// As [`make_via_ref`](Self::make_via_ref).
    fn make(&self) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.make_via_ref(None)
    }
}

impl<F: MakeService + ?Sized> AsyncMakeService for F {
    type Service = <F as MakeService>::Service;
    type Error = <F as MakeService>::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        MakeService::make_via_ref(self, old)
    }
}

/// The promise of an [`AsyncMakeService`] that it never waits: its futures are
/// ready when first polled.
///
/// Every [`MakeService`] keeps it. A wrapping factory that implements only
/// `AsyncMakeService` passes the promise of the wrapped one on in one line:
/// `impl<T: ReadyMakeService> ReadyMakeService for MyFactory<T> {}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may wait while making a service: the bound `{Self}: ReadyMakeService` is \
               missing",
    label = "neither a `MakeService` nor known to be ready at once",
    note = "make it with `make_async`, erase it as an async factory, or implement \
            `ReadyMakeService` if it never waits"
)]
pub trait ReadyMakeService: AsyncMakeService {
    /// Makes a service at once, taking over what it can from `old`.
    ///
    /// # Errors
    ///
    /// As [`AsyncMakeService::make_via_ref`].
    ///
    /// # Panics
    ///
    /// If an implementation breaks its promise and waits.
    fn make_ready(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        let making = pin!(AsyncMakeService::make_via_ref(self, old));
        match making.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(made) => made,
            Poll::Pending => panic!(
                "{} promises to be a ReadyMakeService, yet waited",
                std::any::type_name::<Self>()
            ),
        }
    }
}

impl<F: MakeService + ?Sized> ReadyMakeService for F {
    fn make_ready(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        MakeService::make_via_ref(self, old)
    }
}
