//! Layers of tower's in a stack of factories.

use std::rc::Rc;

use tidegate_service::{
    AsyncMakeService, FactoryLayer, LayeredMakeService, ReadyMakeService, Service,
};
use tower_layer::Layer;

use crate::{AsTower, FromTower};

/// Puts a layer of tower's around what a [`FactoryStack`](tidegate_service::FactoryStack) makes.
///
/// What is inside keeps its state across an update. The layer makes a new service of its own
/// each time; state that is to survive, or that workers are to share, belongs into the layer
/// (`tower::limit::GlobalConcurrencyLimitLayer` holds its permits so).
///
/// Many layers of tower's answer with a boxed error: convert it outside of them, with
/// `ServiceBuilder::map_err`.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use tidegate_service::{FactoryStack, MakeService, Service};
/// use tidegate_tower::{BoxError, tower_layer};
/// use tower::ServiceBuilder;
///
/// struct Never;
///
/// impl Service<()> for Never {
///     type Response = ();
///     type Error = Infallible;
///
///     async fn call(&self, _: ()) -> Result<(), Infallible> {
///         std::future::pending().await
///     }
/// }
///
/// struct NeverFactory;
///
/// impl MakeService for NeverFactory {
///     type Service = Never;
///     type Error = Infallible;
///
///     fn make_via_ref(&self, _old: Option<&Never>) -> Result<Never, Infallible> {
///         Ok(Never)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layers = ServiceBuilder::new()
///     .map_err(|error: BoxError| error.to_string())
///     .timeout(Duration::from_millis(10));
/// let stack = FactoryStack::new(()).replace(NeverFactory).push(tower_layer(layers));
/// let service = stack.make().unwrap();
/// assert_eq!(service.call(()).await, Err("request timed out".to_owned()));
/// # }
/// ```
pub fn tower_layer<L>(layer: L) -> TowerLayer<L> {
    TowerLayer { layer }
}

/// A layer of tower's as a [`FactoryLayer`]; see [`tower_layer()`].
#[derive(Clone, Copy, Debug)]
pub struct TowerLayer<L> {
    layer: L,
}

impl<L: Clone, C, F> FactoryLayer<C, F> for TowerLayer<L> {
    type Factory = TowerLayerFactory<L, F>;

    fn layer(&self, _: &C, inner: F) -> Self::Factory {
        TowerLayerFactory {
            layer: self.layer.clone(),
            inner,
        }
    }
}

/// Makes [`Layered`] services.
#[derive(Clone, Debug)]
pub struct TowerLayerFactory<L, F> {
    layer: L,
    inner: F,
}

/// A service within a layer of tower's.
#[derive(Debug)]
pub struct Layered<S, T> {
    inner: Rc<S>,
    outer: FromTower<T>,
}

impl<S, T, Req> Service<Req> for Layered<S, T>
where
    T: tower_service::Service<Req>,
{
    type Response = T::Response;
    type Error = T::Error;

    fn call(&self, request: Req) -> impl Future<Output = Result<T::Response, T::Error>> {
        self.outer.call(request)
    }
}

impl<L, F> TowerLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<AsTower<F::Service>>,
{
    fn around(&self, inner: F::Service) -> Layered<F::Service, L::Service> {
        let inner = Rc::new(inner);
        let within = AsTower::from(Rc::clone(&inner));
        Layered {
            inner,
            outer: FromTower::new(self.layer.layer(within)),
        }
    }
}

impl<L, F> AsyncMakeService for TowerLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<AsTower<F::Service>>,
{
    type Service = Layered<F::Service, L::Service>;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        let inner = self.inner.make_via_ref(old.map(|old| &*old.inner)).await?;
        Ok(self.around(inner))
    }
}

impl<L, F> ReadyMakeService for TowerLayerFactory<L, F>
where
    F: ReadyMakeService,
    L: Layer<AsTower<F::Service>>,
{
}

impl<L, F> LayeredMakeService for TowerLayerFactory<L, F>
where
    F: AsyncMakeService,
    L: Layer<AsTower<F::Service>>,
{
    type InnerService = F::Service;

    fn inner_service(service: &Self::Service) -> &F::Service {
        &service.inner
    }

    async fn make_around(&self, inner: &F::Service) -> Result<Self::Service, F::Error> {
        Ok(self.around(self.inner.make_via_ref(Some(inner)).await?))
    }
}
