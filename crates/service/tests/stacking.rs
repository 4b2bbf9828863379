//! What a stack promises: the order of layers, and factories of both kinds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{cell::RefCell, convert::Infallible, num::ParseIntError, rc::Rc, sync::Arc};

use tidegate_service::{
    AsyncMakeService, AsyncMakeServiceWrapper, FactoryStack, MakeNow, MakeService,
    ReadyMakeService, Service, Shared, layer_fn, service_fn,
};

#[derive(Debug)]
struct Sum(u32);

impl Service<u32> for Sum {
    type Response = u32;
    type Error = ParseIntError;

    async fn call(&self, req: u32) -> Result<u32, ParseIntError> {
        Ok(self.0 + req)
    }
}

#[derive(Debug)]
struct SumFactory(u32);

impl MakeService for SumFactory {
    type Service = Sum;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Sum>) -> Result<Sum, Infallible> {
        Ok(Sum(self.0 + old.map_or(0, |old| old.0)))
    }
}

/// Waits once before it has made anything.
struct SlowFactory<F>(F);

impl<F: AsyncMakeService> AsyncMakeService for SlowFactory<F> {
    type Service = F::Service;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&F::Service>) -> Result<F::Service, F::Error> {
        tokio::task::yield_now().await;
        self.0.make_via_ref(old).await
    }
}

struct Named<S> {
    name: &'static str,
    seen: Rc<RefCell<Vec<&'static str>>>,
    inner: S,
}

impl<Req, S: Service<Req>> Service<Req> for Named<S> {
    type Response = S::Response;
    type Error = S::Error;

    async fn call(&self, req: Req) -> Result<S::Response, S::Error> {
        self.seen.borrow_mut().push(self.name);
        self.inner.call(req).await
    }
}

struct NamedFactory<F> {
    name: &'static str,
    seen: Rc<RefCell<Vec<&'static str>>>,
    inner: F,
}

impl<F: AsyncMakeService> AsyncMakeService for NamedFactory<F> {
    type Service = Named<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        Ok(Named {
            name: self.name,
            seen: Rc::clone(&self.seen),
            inner: self.inner.make_via_ref(old.map(|old| &old.inner)).await?,
        })
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_last_layer_pushed_sees_a_request_first() {
    let seen = Rc::default();
    let service = FactoryStack::new(Rc::clone(&seen))
        .replace(SumFactory(1))
        .push(layer_fn(|seen: &Rc<_>, inner| NamedFactory {
            name: "pushed first",
            seen: Rc::clone(seen),
            inner,
        }))
        .push(layer_fn(|seen: &Rc<_>, inner| NamedFactory {
            name: "pushed last",
            seen: Rc::clone(seen),
            inner,
        }))
        .check_make_svc::<u32>()
        .make_async()
        .await
        .unwrap();
    assert_eq!(service.call(2).await, Ok(3));
    assert_eq!(*seen.borrow(), ["pushed last", "pushed first"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_mapped_target_keeps_the_state_below_it() {
    let stack = FactoryStack::new(())
        .replace(SumFactory(1))
        .push_map_target(|text: &str| text.len() as u32)
        .check_make_svc::<&str>();
    let service = stack.make_via_ref(None).unwrap();
    assert_eq!(service.call("four").await, Ok(5));
    let service = stack.make_via_ref(Some(&service)).unwrap();
    assert_eq!(service.call("four").await, Ok(6));
}

#[tokio::test(flavor = "current_thread")]
async fn an_erased_stack_is_still_a_stack() {
    let stack = FactoryStack::new("the config")
        .replace(SumFactory(1))
        .push_boxed_service::<u32>()
        .push_boxed_factory()
        .push_map_target(|text: &str| text.len() as u32)
        .push_boxed_service::<&str>()
        .into_arc_factory();
    let other = stack.clone();
    assert_eq!(other.config(), &"the config");
    let service = stack.make().unwrap();
    let service = other.make_via_ref(Some(&service)).unwrap();
    assert_eq!(service.call("four").await, Ok(6));
    let (config, factory) = stack.into_parts();
    assert_eq!(config, "the config");
    assert!(MakeService::make(&factory).is_ok());
}

async fn made_twice<F>(factory: F) -> u32
where
    F: AsyncMakeService<Service = Sum, Error: std::fmt::Debug>,
{
    let first = factory.make().await.unwrap();
    factory.make_via_ref(Some(&first)).await.unwrap().0
}

#[tokio::test(flavor = "current_thread")]
async fn a_factory_of_either_kind_is_taken_where_an_async_one_is_asked_for() {
    assert_eq!(made_twice(SumFactory(1)).await, 2);
    assert_eq!(made_twice(&SumFactory(1)).await, 2);
    assert_eq!(made_twice(Arc::new(SumFactory(1))).await, 2);
    assert_eq!(made_twice(Box::new(SumFactory(1))).await, 2);
    let unsized_factory: Arc<dyn MakeService<Service = Sum, Error = Infallible>> =
        Arc::new(SumFactory(1));
    assert_eq!(made_twice(unsized_factory).await, 2);

    assert_eq!(made_twice(SlowFactory(SumFactory(1))).await, 2);
    assert_eq!(made_twice(Shared::new(SlowFactory(SumFactory(1)))).await, 2);
    assert_eq!(made_twice(AsyncMakeServiceWrapper(SumFactory(1))).await, 2);
    let in_an_arc = AsyncMakeServiceWrapper(Arc::new(SumFactory(1)));
    assert_eq!(made_twice(in_an_arc).await, 2);
    let slow = AsyncMakeServiceWrapper(Shared::new(SlowFactory(SumFactory(1))));
    assert_eq!(made_twice(slow).await, 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_slow_factory_is_awaited_through_every_erasure() {
    let stack = FactoryStack::new(())
        .replace(SlowFactory(SumFactory(1)))
        .push_boxed_async_factory()
        .push_boxed_service::<u32>()
        .into_arc_async_factory()
        .into_shared()
        .into_async();
    let service = stack.make_async().await.unwrap();
    let service = stack.make_async_via_ref(Some(&service)).await.unwrap();
    assert_eq!(service.call(1).await, Ok(3));
}

#[test]
#[should_panic(expected = "promises to be a ReadyMakeService, yet waited")]
fn a_broken_promise_never_to_wait_is_named() {
    struct Liar;

    impl AsyncMakeService for Liar {
        type Service = Sum;
        type Error = Infallible;

        async fn make_via_ref(&self, _old: Option<&Sum>) -> Result<Sum, Infallible> {
            std::future::pending().await
        }
    }

    impl ReadyMakeService for Liar {}

    let _ = MakeService::make(&MakeNow(Liar));
}

#[tokio::test(flavor = "current_thread")]
async fn a_service_behind_a_pointer_is_a_service() {
    async fn ask(service: impl Service<u32, Response = u32, Error = ParseIntError>) -> u32 {
        service.call(1).await.unwrap()
    }

    let function = service_fn(async |number: u32| Ok::<_, ParseIntError>(number));
    assert_eq!(ask(&Sum(1)).await, 2);
    assert_eq!(ask(Box::new(Sum(1))).await, 2);
    assert_eq!(ask(Rc::new(Sum(1))).await, 2);
    assert_eq!(ask(Arc::new(Sum(1))).await, 2);
    assert_eq!(ask(function).await, 1);
}
