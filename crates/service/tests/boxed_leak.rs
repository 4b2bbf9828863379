//! Erased services and factories free everything they allocated.
//!
//! A counting allocator is the judge; an allocator cannot be written without
//! unsafe code, the code judged has none. Counts are per thread, so the test
//! harness does not disturb them. Runs under Miri as well, which adds its own
//! leak check.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tidegate_service::{
    ArcAsyncMakeService, ArcMakeService, AsyncMakeService, AsyncMakeServiceWrapper,
    BoxedAsyncMakeService, BoxedMakeService, BoxedService, FactoryStack, MakeService, Service,
};

thread_local! {
    static LIVE_BLOCKS: Cell<isize> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static EVER_BLOCKS: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(blocks: isize, bytes: usize) {
    LIVE_BLOCKS.set(LIVE_BLOCKS.get() + blocks);
    LIVE_BYTES.set(LIVE_BYTES.get() + blocks * isize::try_from(bytes).unwrap_or(isize::MAX));
    EVER_BLOCKS.set(EVER_BLOCKS.get() + blocks.max(0));
}

// SAFETY: every call goes to `System` unchanged; counting touches only
// thread-locals that need neither allocation nor destruction. `realloc` and
// `alloc_zeroed` keep their default form, which is built from these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-1, layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`, and
        // every block came from `System` through `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Holds a heap block, so that a service whose drop is skipped shows as well.
struct Echo {
    prefix: String,
    calls: Cell<u32>,
}

impl Service<String> for Echo {
    type Response = String;
    type Error = Infallible;

    async fn call(&self, req: String) -> Result<String, Infallible> {
        self.calls.set(self.calls.get() + 1);
        Ok(format!("{}{req}", self.prefix))
    }
}

#[derive(Clone)]
struct EchoFactory {
    prefix: String,
}

impl MakeService for EchoFactory {
    type Service = Echo;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Echo>) -> Result<Echo, Infallible> {
        Ok(Echo {
            prefix: self.prefix.clone(),
            calls: Cell::new(old.map_or(0, |old| old.calls.get())),
        })
    }
}

fn factory() -> EchoFactory {
    EchoFactory {
        prefix: "a prefix on the heap: ".into(),
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

type BoxedEcho = BoxedService<String, String, Infallible>;

fn make_call_and_remake(factory: &impl AsyncMakeService<Service = BoxedEcho, Error = Infallible>) {
    let Ok(first) = at_once(factory.make());
    let Ok(reply) = at_once(first.call("hello".into()));
    assert_eq!(reply, "a prefix on the heap: hello");
    // A call that is dropped before its first poll frees its future too.
    drop(first.call("never polled".into()));
    let Ok(second) = at_once(factory.make_via_ref(Some(&first)));
    assert_eq!(second.downcast_ref::<Echo>().unwrap().calls.get(), 1);
}

/// Runs `scenario` and returns how many blocks and bytes it left behind.
fn left_behind(scenario: impl Fn()) -> (isize, isize) {
    // The first run may set up what lives as long as the thread.
    scenario();
    let (blocks, bytes) = (LIVE_BLOCKS.get(), LIVE_BYTES.get());
    let ever = EVER_BLOCKS.get();
    for _ in 0..10 {
        scenario();
    }
    assert!(EVER_BLOCKS.get() > ever, "the allocator is not counting");
    (LIVE_BLOCKS.get() - blocks, LIVE_BYTES.get() - bytes)
}

#[test]
fn the_counter_sees_a_leak() {
    assert_eq!(left_behind(|| drop(Box::new([0_u8; 16]))), (0, 0));
    if !cfg!(miri) {
        assert_eq!(
            left_behind(|| {
                Box::leak(Box::new([0_u8; 16]));
            }),
            (10, 160)
        );
    }
}

#[test]
fn a_boxed_service_is_freed() {
    let scenario = || {
        let service = BoxedService::new(MakeService::make(&factory()).unwrap());
        at_once(service.call("hello".into())).unwrap();
    };
    assert_eq!(left_behind(scenario), (0, 0));
}

#[test]
fn a_boxed_service_of_zero_size_is_freed() {
    struct Nothing;

    impl Service<()> for Nothing {
        type Response = ();
        type Error = Infallible;

        async fn call(&self, _req: ()) -> Result<(), Infallible> {
            std::future::pending().await
        }
    }

    let scenario = || {
        let service = BoxedService::new(Nothing);
        let mut call = Box::pin(service.call(()));
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    };
    assert_eq!(left_behind(scenario), (0, 0));
}

#[test]
fn erased_factories_and_what_they_make_are_freed() {
    let waiting = || AsyncMakeServiceWrapper(factory());
    let scenarios: [fn(); 4] = [
        || make_call_and_remake(&BoxedMakeService::erase(factory())),
        || make_call_and_remake(&ArcMakeService::erase(factory()).clone()),
        || {
            make_call_and_remake(&BoxedAsyncMakeService::erase(AsyncMakeServiceWrapper(
                factory(),
            )))
        },
        || make_call_and_remake(&ArcAsyncMakeService::erase(factory()).clone()),
    ];
    for scenario in scenarios {
        assert_eq!(left_behind(scenario), (0, 0));
    }
    let from_a_box = || {
        let boxed = BoxedAsyncMakeService::erase(waiting());
        make_call_and_remake(&ArcAsyncMakeService::from(boxed));
    };
    assert_eq!(left_behind(from_a_box), (0, 0));
}

#[test]
fn a_chain_of_updates_keeps_memory_flat() {
    let stack = FactoryStack::new(())
        .replace(factory())
        .push_boxed_service::<String>()
        .into_arc_async_factory();
    let mut current = at_once(stack.make_async()).unwrap();
    at_once(current.call("one".into())).unwrap();
    let (blocks, bytes) = (LIVE_BLOCKS.get(), LIVE_BYTES.get());
    for _ in 0..100 {
        current = at_once(stack.make_async_via_ref(Some(&current))).unwrap();
    }
    assert_eq!((LIVE_BLOCKS.get(), LIVE_BYTES.get()), (blocks, bytes));
    assert_eq!(current.downcast_ref::<Echo>().unwrap().calls.get(), 1);
}
