//! What goes through both adapters comes out as it went in, and back-pressure holds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Ready, ready};
use futures_util::stream::FuturesOrdered;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidegate_runtime::local::block_on;
use tidegate_service::{Service, service_fn};
use tidegate_tower::{AsTower, FromTower};
use tokio::task::yield_now;
use tokio::time::timeout;
use tower::ServiceBuilder;

/// A lost wake-up shows as a test that would never end.
const STUCK: Duration = Duration::from_secs(20);

/// Runs futures side by side, each with a waker of its own: one that is not woken is not polled.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures.collect::<FuturesOrdered<F>>().collect().await
}

async fn turns(count: u8) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Waits for a while, then doubles what is even and refuses what is odd.
async fn double((number, waits): (i32, u8)) -> Result<i64, String> {
    turns(waits).await;
    match number % 2 {
        0 => Ok(i64::from(number) * 2),
        _ => Err(format!("{number} is odd")),
    }
}

/// A tower service that is ready only after having been asked a few times, and insists on
/// having been ready before a call.
struct Strict {
    waits: u8,
    asked: u8,
    is_ready: bool,
}

impl tower::Service<u32> for Strict {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.asked < self.waits {
            self.asked += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(self.is_ready, "called without having been ready");
        self.is_ready = false;
        self.asked = 0;
        ready(Ok(request))
    }
}

proptest! {
    #[test]
    fn there_and_back_changes_nothing(requests in vec((any::<i32>(), 0_u8..5), 0..32)) {
        let (direct, through) = block_on(async {
            let direct = service_fn(double);
            let inner = FromTower::new(AsTower::new(service_fn(double)));
            let through = FromTower::new(AsTower::new(inner));
            (
                all(requests.iter().map(|it| direct.call(*it))).await,
                timeout(STUCK, all(requests.iter().map(|it| through.call(*it)))).await.unwrap(),
            )
        });
        prop_assert_eq!(direct, through);
    }

    #[test]
    fn nobody_is_called_who_is_not_ready(waits in 0_u8..4, calls in vec(option::of(0_u8..6), 1..24)) {
        let outcomes = block_on(async {
            let service = FromTower::new(Strict { waits, asked: 0, is_ready: false });
            let one = async |(number, gives_up): (usize, Option<u8>)| {
                let number = u32::try_from(number).unwrap();
                match gives_up {
                    None => assert_eq!(service.call(number).await, Ok(number)),
                    Some(after) => tokio::select! {
                        answer = service.call(number) => assert_eq!(answer, Ok(number)),
                        () = turns(after) => {}
                    },
                }
            };
            timeout(STUCK, all(calls.iter().copied().enumerate().map(one))).await
        });
        prop_assert!(outcomes.is_ok(), "somebody was not woken");
    }

    #[test]
    fn a_limit_holds_and_lets_everybody_through_whoever_gives_up(
        limit in 1_usize..4,
        calls in vec((0_u8..6, option::of(0_u8..8)), 1..24),
    ) {
        let (within, most) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
        let (counted, highest) = (within.clone(), most.clone());
        let ended = block_on(async move {
            let busy = service_fn(async move |waits: u8| {
                let place = Place::take(&counted);
                highest.set(highest.get().max(counted.get()));
                turns(waits).await;
                drop(place);
                Ok::<_, Infallible>(())
            });
            let limited = ServiceBuilder::new().concurrency_limit(limit).service(AsTower::new(busy));
            let service = FromTower::new(limited);
            let one = async |(waits, gives_up): (u8, Option<u8>)| match gives_up {
                None => service.call(waits).await.unwrap(),
                Some(after) => tokio::select! {
                    answer = service.call(waits) => answer.unwrap(),
                    () = turns(after) => {}
                },
            };
            timeout(STUCK, all(calls.iter().copied().map(one))).await
        });
        prop_assert!(ended.is_ok(), "somebody was not woken");
        prop_assert!(most.get() <= limit);
        prop_assert_eq!(within.get(), 0);
    }
}

/// A place among those within, given back when dropped.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(within: &Rc<Cell<usize>>) -> Self {
        within.set(within.get() + 1);
        Self(within.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Fails to become ready, once.
struct FailsOnce(bool);

impl tower::Service<()> for FailsOnce {
    type Response = ();
    type Error = &'static str;
    type Future = Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(if std::mem::replace(&mut self.0, true) {
            Ok(())
        } else {
            Err("not yet")
        })
    }

    fn call(&mut self, _: ()) -> Self::Future {
        ready(Ok(()))
    }
}

#[test]
fn a_failure_to_become_ready_is_that_of_one_call() {
    block_on(async {
        let service = FromTower::new(FailsOnce(false));
        assert_eq!(service.call(()).await, Err("not yet"));
        assert_eq!(service.call(()).await, Ok(()));
    });
}

#[test]
fn load_shedding_refuses_instead_of_queueing() {
    block_on(async {
        let never =
            service_fn(async |_: ()| std::future::pending::<Result<(), Infallible>>().await);
        let shedding = ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(1)
            .service(AsTower::new(never));
        let service = FromTower::new(shedding);
        tokio::select! {
            biased;
            _ = service.call(()) => panic!("it never answers"),
            refused = service.call(()) => {
                let error = refused.unwrap_err();
                assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
            }
        }
    });
}
