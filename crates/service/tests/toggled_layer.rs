//! Switching a layer on, off, or to another one keeps the state inside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{cell::Cell, convert::Infallible, rc::Rc};

use tidegate_service::{
    ArcAsyncMakeService, AsyncMakeService, BoxedService, Either, FactoryLayer, FactoryStack,
    LayeredMakeService, MakeService, ReadyMakeService, Service, layer_fn,
};

/// The innermost service: the state that must survive.
struct Pool {
    calls: Rc<Cell<u32>>,
}

impl Service<()> for Pool {
    type Response = String;
    type Error = Infallible;

    async fn call(&self, _req: ()) -> Result<String, Infallible> {
        self.calls.set(self.calls.get() + 1);
        Ok(format!("pool {}", self.calls.get()))
    }
}

struct PoolFactory;

impl MakeService for PoolFactory {
    type Service = Pool;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Pool>) -> Result<Pool, Infallible> {
        Ok(Pool {
            calls: old.map_or_else(Rc::default, |old| Rc::clone(&old.calls)),
        })
    }
}

/// A layer with state of its own. `NAME` makes layers of different types.
struct Counted<const NAME: char, S> {
    calls: Rc<Cell<u32>>,
    inner: S,
}

impl<const NAME: char, S> Service<()> for Counted<NAME, S>
where
    S: Service<(), Response = String>,
{
    type Response = String;
    type Error = S::Error;

    async fn call(&self, _req: ()) -> Result<String, S::Error> {
        self.calls.set(self.calls.get() + 1);
        let inner = self.inner.call(()).await?;
        Ok(format!("{NAME} {} > {inner}", self.calls.get()))
    }
}

struct CountedFactory<const NAME: char, F>(F);

impl<const NAME: char, F> CountedFactory<NAME, F> {
    fn layer<C>() -> impl FactoryLayer<C, F, Factory = Self> {
        layer_fn(|_: &C, inner| Self(inner))
    }
}

impl<const NAME: char, F: AsyncMakeService> AsyncMakeService for CountedFactory<NAME, F> {
    type Service = Counted<NAME, F::Service>;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        Ok(Counted {
            calls: old.map_or_else(Rc::default, |old| Rc::clone(&old.calls)),
            inner: self.0.make_via_ref(old.map(|old| &old.inner)).await?,
        })
    }
}

impl<const NAME: char, F: ReadyMakeService> ReadyMakeService for CountedFactory<NAME, F> {}

impl<const NAME: char, F: AsyncMakeService> LayeredMakeService for CountedFactory<NAME, F> {
    type InnerService = F::Service;

    fn inner_service(service: &Self::Service) -> &F::Service {
        &service.inner
    }

    async fn make_around(&self, inner: &F::Service) -> Result<Self::Service, F::Error> {
        Ok(Counted {
            calls: Rc::default(),
            inner: self.0.make_via_ref(Some(inner)).await?,
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Layer {
    On,
    Off,
}

type Chain = BoxedService<(), String, Infallible>;

/// pool < optional x < optional y < z, as `config` says.
fn chain(x: Layer, y: Layer) -> ArcAsyncMakeService<Chain, Infallible> {
    FactoryStack::new(())
        .replace(PoolFactory)
        .push((x == Layer::On).then(CountedFactory::<'x', _>::layer))
        .push((y == Layer::On).then(CountedFactory::<'y', _>::layer))
        .push(CountedFactory::<'z', _>::layer())
        .check_make_svc::<()>()
        .push_boxed_service::<()>()
        .into_arc_async_factory()
        .into_inner()
}

async fn update(old: &Chain, x: Layer, y: Layer) -> Chain {
    chain(x, y).make_via_ref(Some(old)).await.unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_layer_switched_on_wraps_the_state_that_was_there() {
    let service = chain(Layer::Off, Layer::Off).make().await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "z 1 > pool 1");

    let service = update(&service, Layer::On, Layer::Off).await;
    assert_eq!(service.call(()).await.unwrap(), "z 2 > x 1 > pool 2");

    let service = update(&service, Layer::On, Layer::On).await;
    assert_eq!(service.call(()).await.unwrap(), "z 3 > y 1 > x 2 > pool 3");
}

#[tokio::test(flavor = "current_thread")]
async fn a_layer_switched_off_leaves_the_state_it_wrapped() {
    let service = chain(Layer::On, Layer::On).make().await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "z 1 > y 1 > x 1 > pool 1");

    let service = update(&service, Layer::On, Layer::Off).await;
    assert_eq!(service.call(()).await.unwrap(), "z 2 > x 2 > pool 2");

    let service = update(&service, Layer::Off, Layer::Off).await;
    assert_eq!(service.call(()).await.unwrap(), "z 3 > pool 3");
}

#[tokio::test(flavor = "current_thread")]
async fn two_layers_switched_in_one_update_keep_what_both_wrap() {
    let service = chain(Layer::On, Layer::Off).make().await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "z 1 > x 1 > pool 1");

    let service = update(&service, Layer::Off, Layer::On).await;
    assert_eq!(service.call(()).await.unwrap(), "z 2 > y 1 > pool 2");
}

#[tokio::test(flavor = "current_thread")]
async fn a_layer_that_stays_keeps_its_own_state() {
    let service = chain(Layer::On, Layer::Off).make().await.unwrap();
    service.call(()).await.unwrap();
    let service = update(&service, Layer::On, Layer::Off).await;
    assert_eq!(service.call(()).await.unwrap(), "z 2 > x 2 > pool 2");
}

#[tokio::test(flavor = "current_thread")]
async fn replacing_one_layer_by_another_keeps_what_both_wrap() {
    let stack = |layer| FactoryStack::new(()).replace(PoolFactory).push(layer);
    let old = stack(Either::Left(CountedFactory::<'x', _>::layer()));
    let service = old.make_async().await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "x 1 > pool 1");

    let new = stack(Either::Right(CountedFactory::<'y', _>::layer()));
    let service = new.make_async_via_ref(Some(&service)).await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "y 1 > pool 2");

    let service = new.make_async_via_ref(Some(&service)).await.unwrap();
    assert_eq!(service.call(()).await.unwrap(), "y 2 > pool 3");
}

/// A layer as S2's example writes it: for factories that never wait.
struct SyncOuter<S>(S);

struct SyncOuterFactory<F>(F);

impl<F: MakeService> MakeService for SyncOuterFactory<F> {
    type Service = SyncOuter<F::Service>;
    type Error = F::Error;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        self.0.make_via_ref(old.map(|old| &old.0)).map(SyncOuter)
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_sync_layer_fits_around_an_optional_one() {
    let stack = |layer| {
        FactoryStack::new(())
            .replace(PoolFactory)
            .push(layer)
            .into_sync()
            .push(layer_fn(|_: &(), inner| SyncOuterFactory(inner)))
    };
    let service = stack(None).make().unwrap();
    assert_eq!(service.0.call(()).await.unwrap(), "pool 1");

    let layer = CountedFactory::<'x', _>::layer();
    let service = stack(Some(layer)).make_via_ref(Some(&service)).unwrap();
    assert_eq!(service.0.call(()).await.unwrap(), "x 1 > pool 2");
}
