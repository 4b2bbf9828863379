#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::rc::Rc;

use tokio::time::{Instant, advance};

use super::*;

/// An endpoint whose answers are set by the test; notes when it was asked.
#[derive(Clone, Default)]
struct Scripted {
    answers: Rc<Cell<Script>>,
    asked_at: Rc<RefCell<Vec<Instant>>>,
}

#[derive(Clone, Copy, Default)]
enum Script {
    #[default]
    Good,
    Refused,
    Silent,
}

impl Probe for Scripted {
    async fn probe(&self, _: &EndpointAddress) -> io::Result<()> {
        self.asked_at.borrow_mut().push(Instant::now());
        match self.answers.get() {
            Script::Good => Ok(()),
            Script::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            Script::Silent => pending().await,
        }
    }
}

const CHECK: HealthCheck = HealthCheck {
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(2),
    thresholds: Thresholds {
        healthy: 2,
        unhealthy: 3,
    },
};

fn address() -> EndpointAddress {
    EndpointAddress::Tcp("192.0.2.1:80".parse().unwrap())
}

/// Lets `seconds` of simulated time pass, and everything due in it happen.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
}

/// Runs `test` beside a checker.
fn with_checker<F: Future>(test: impl FnOnce(HealthHandle, Scripted) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (handle, checker) = checker();
        let endpoint = Scripted::default();
        tokio::select! {
            _ = test(handle, endpoint.clone()) => {}
            () = checker.run(endpoint, pending()) => unreachable!(),
        }
    });
}

#[test]
fn refusals_and_silence_count_the_same_and_recovery_is_noticed() {
    for fault in [Script::Refused, Script::Silent] {
        with_checker(|handle, endpoint| async move {
            let health = handle.watch(&address(), CHECK);
            pass(6).await;
            assert!(health.is_healthy());
            assert_eq!(endpoint.asked_at.borrow().len(), 2);
            endpoint.answers.set(fault);
            // Two bad answers are not enough; with time-outs three take 21 s.
            pass(9).await;
            assert!(health.is_healthy());
            pass(15).await;
            assert!(!health.is_healthy());
            assert_eq!(handle.all(), [("192.0.2.1:80".into(), false)]);
            endpoint.answers.set(Script::Good);
            pass(14).await;
            assert!(health.is_healthy());
        });
    }
}

#[test]
fn the_successor_of_a_chain_finds_what_is_known_even_under_other_limits() {
    with_checker(|handle, endpoint| async move {
        endpoint.answers.set(Script::Refused);
        let health = handle.watch(&address(), CHECK);
        pass(12).await;
        assert!(!health.is_healthy());
        let same = handle.watch(&address(), CHECK);
        let slower = HealthCheck {
            interval: Duration::from_secs(60),
            ..CHECK
        };
        let other = handle.watch(&address(), slower);
        drop(health);
        assert!(!same.is_healthy() && !other.is_healthy());
    });
}

#[test]
fn an_endpoint_is_asked_once_for_all_who_watch_and_not_when_nobody_does() {
    with_checker(|handle, endpoint| async move {
        let watchers: Vec<_> = (0..8).map(|_| handle.watch(&address(), CHECK)).collect();
        pass(11).await;
        assert_eq!(endpoint.asked_at.borrow().len(), 3);
        drop(watchers);
        pass(60).await;
        assert_eq!(endpoint.asked_at.borrow().len(), 3);
        assert_eq!(handle.all(), []);
        // Watched anew, it is asked at once.
        let _health = handle.watch(&address(), CHECK);
        pass(1).await;
        assert_eq!(endpoint.asked_at.borrow().len(), 4);
    });
}
