//! [`LayeredMakeService`]: how state survives a layer being switched on or off.
//!
//! Asked for by the factories of `Option<L>` and [`Either`](crate::Either)
//! layers. When an update changes which side is in use, the predecessor has
//! the wrong type for the new side, but what it wraps has the right one.
//! Invariant: no inner state is ever lost because an outer layer came or went.

use crate::{AsyncMakeService, ReadyMakeService};

/// A factory that wraps another and can tell its own part of a service from
/// the wrapped part.
///
/// Needed to use a layer as `Option<L>` or as a side of an
/// [`Either`](crate::Either). With `T` the wrapped factory, a typical
/// implementation for a service with a field `inner: T::Service` is
///
/// ```
/// # use tidegate_service::{AsyncMakeService, LayeredMakeService};
/// # struct Timed<S> { calls: u32, inner: S }
/// # struct TimedFactory<T>(T);
/// # impl<T: AsyncMakeService> AsyncMakeService for TimedFactory<T> {
/// #     type Service = Timed<T::Service>;
/// #     type Error = T::Error;
/// #     async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, T::Error> {
/// #         let inner = self.0.make_via_ref(old.map(|old| &old.inner)).await?;
/// #         Ok(Timed { calls: old.map_or(0, |old| old.calls), inner })
/// #     }
/// # }
/// impl<T: AsyncMakeService> LayeredMakeService for TimedFactory<T> {
///     type InnerService = T::Service;
///
///     fn inner_service(service: &Self::Service) -> &T::Service {
///         &service.inner
///     }
///
///     async fn make_around(&self, inner: &T::Service) -> Result<Self::Service, T::Error> {
///         let inner = self.0.make_via_ref(Some(inner)).await?;
///         Ok(Timed { calls: 0, inner })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be switched on and off: the bound `{Self}: LayeredMakeService` is \
               missing",
    label = "used as an optional layer, yet does not give access to the service it wraps",
    note = "without it, switching the layer on or off in an update would drop the state of \
            everything inside it"
)]
pub trait LayeredMakeService: AsyncMakeService {
    /// The service that the wrapped factory makes.
    type InnerService;

    /// The wrapped part of a service this factory made.
    fn inner_service(service: &Self::Service) -> &Self::InnerService;

    /// Makes a service that has no predecessor of its own but whose wrapped
    /// part has: `inner` is what served in its place until now.
    ///
    /// # Errors
    ///
    /// As [`AsyncMakeService::make_via_ref`].
    fn make_around(
        &self,
        inner: &Self::InnerService,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>>;
}

/// The factory of a layer that is switched off: the wrapped factory itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlayered<F>(pub F);

impl<F: AsyncMakeService> AsyncMakeService for Unlayered<F> {
    type Service = F::Service;
    type Error = F::Error;

    fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_via_ref(old)
    }
}

impl<F: ReadyMakeService> ReadyMakeService for Unlayered<F> {}

impl<F: AsyncMakeService> LayeredMakeService for Unlayered<F> {
    type InnerService = F::Service;

    fn inner_service(service: &Self::Service) -> &Self::InnerService {
        service
    }

    fn make_around(
        &self,
        inner: &Self::InnerService,
    ) -> impl Future<Output = Result<Self::Service, Self::Error>> {
        self.0.make_via_ref(Some(inner))
    }
}
