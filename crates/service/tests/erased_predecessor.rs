//! A remade erased service finds its predecessor by type, or starts afresh.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{cell::Cell, convert::Infallible, rc::Rc, thread};

use tidegate_service::{
    ArcAsyncMakeService, ArcMakeService, AsyncMakeService, BoxServiceFactory, BoxedMakeService,
    BoxedService, MakeNow, MakeService, Service, service_fn,
};

/// Counts its calls. `KIND` makes services of different types.
struct Counter<const KIND: char> {
    // An `Rc` so that the compiler knows the service is not `Send`.
    calls: Rc<Cell<u32>>,
}

impl<const KIND: char> Service<()> for Counter<KIND> {
    type Response = (char, u32);
    type Error = Infallible;

    async fn call(&self, _req: ()) -> Result<(char, u32), Infallible> {
        self.calls.set(self.calls.get() + 1);
        Ok((KIND, self.calls.get()))
    }
}

#[derive(Clone, Copy)]
struct CounterFactory<const KIND: char>;

impl<const KIND: char> MakeService for CounterFactory<KIND> {
    type Service = Counter<KIND>;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Counter<KIND>>) -> Result<Counter<KIND>, Infallible> {
        Ok(Counter {
            calls: old.map_or_else(Rc::default, |old| Rc::clone(&old.calls)),
        })
    }
}

type BoxedCounter = BoxedService<(), (char, u32), Infallible>;

#[tokio::test(flavor = "current_thread")]
async fn a_predecessor_of_the_same_type_is_found_through_the_box() {
    let factory = BoxedMakeService::erase(CounterFactory::<'a'>);
    let old = MakeService::make(&factory).unwrap();
    assert_eq!(old.call(()).await, Ok(('a', 1)));

    // Not the same factory value: an update makes a new one.
    let factory = BoxedMakeService::erase(CounterFactory::<'a'>);
    let new = MakeService::make_via_ref(&factory, Some(&old)).unwrap();
    assert_eq!(new.call(()).await, Ok(('a', 2)));
    assert_eq!(old.call(()).await, Ok(('a', 3)), "the old one still serves");
}

#[tokio::test(flavor = "current_thread")]
async fn a_predecessor_of_another_type_counts_as_none() {
    let old: BoxedCounter =
        MakeService::make(&BoxedMakeService::erase(CounterFactory::<'a'>)).unwrap();
    assert_eq!(old.call(()).await, Ok(('a', 1)));

    let factory = BoxedMakeService::erase(CounterFactory::<'b'>);
    let new = MakeService::make_via_ref(&factory, Some(&old)).unwrap();
    assert_eq!(new.call(()).await, Ok(('b', 1)));
    assert!(new.downcast_ref::<Counter<'a'>>().is_none());
    assert!(new.downcast_ref::<Counter<'b'>>().is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn sync_and_async_erasure_find_each_others_predecessors() {
    let sync = ArcMakeService::erase(CounterFactory::<'a'>);
    let waiting = ArcAsyncMakeService::erase(CounterFactory::<'a'>);
    let first = MakeService::make(&sync).unwrap();
    let second = waiting.make_via_ref(Some(&first)).await.unwrap();
    first.call(()).await.unwrap();
    assert_eq!(second.call(()).await, Ok(('a', 2)));
    let third = MakeService::make_via_ref(&sync, Some(&second)).unwrap();
    assert_eq!(third.call(()).await, Ok(('a', 3)));
}

#[tokio::test(flavor = "current_thread")]
async fn boxing_twice_still_finds_the_predecessor() {
    let factory = MakeNow(BoxServiceFactory::<_, ()>::new(
        BoxServiceFactory::<_, ()>::new(CounterFactory::<'a'>),
    ));
    let old = MakeService::make(&factory).unwrap();
    old.call(()).await.unwrap();
    let new = MakeService::make_via_ref(&factory, Some(&old)).unwrap();
    assert_eq!(new.call(()).await, Ok(('a', 2)));
}

#[test]
fn one_factory_makes_a_local_service_on_every_thread() {
    fn is_send_sync_clone<T: Send + Sync + Clone>(_: &T) {}

    let factory: ArcAsyncMakeService<BoxedCounter, Infallible> =
        ArcAsyncMakeService::erase(CounterFactory::<'a'>);
    is_send_sync_clone(&factory);
    is_send_sync_clone(&ArcMakeService::erase(CounterFactory::<'a'>));

    let workers: Vec<_> = (0..3)
        .map(|id| {
            let factory = factory.clone();
            let worker = thread::Builder::new().name(format!("worker-{id}"));
            worker
                .spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    runtime.block_on(async move {
                        let old = factory.make().await.unwrap();
                        old.call(()).await.unwrap();
                        let new = factory.make_via_ref(Some(&old)).await.unwrap();
                        new.call(()).await.unwrap()
                    })
                })
                .unwrap()
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.join().unwrap(), ('a', 2), "no state is shared");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn dropping_a_boxed_call_drops_the_call_inside() {
    let held = Rc::new(());
    let in_service = Rc::clone(&held);
    let service = BoxedService::new(service_fn(async move |_: ()| {
        let _held_during_the_call = Rc::clone(&in_service);
        std::future::pending::<Result<(), Infallible>>().await
    }));
    {
        let mut call = std::pin::pin!(service.call(()));
        tokio::select! {
            biased;
            _ = &mut call => panic!("the call never ends by itself"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(Rc::strong_count(&held), 3);
    }
    assert_eq!(Rc::strong_count(&held), 2, "a dropped call is cancelled");
}
