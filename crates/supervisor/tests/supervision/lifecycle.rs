//! One service by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_supervisor::{
    BoxError, Context, Failure, LifecycleError, Phase, Service, State, StopPolicy,
};
use tokio_util::sync::CancellationToken;

use crate::rig::{Diary, fail, failing, instant, millis, patient, paused, seconds};

fn messages(report: &tidegate_supervisor::ExitReport) -> Vec<String> {
    report.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn start_twice_already_started() {
    paused(async {
        let handle = patient("one", &Diary::default()).into_handle();
        handle.start().unwrap();
        assert_eq!(handle.start(), Err(LifecycleError::AlreadyStarted));
        handle.close("the test is over");
        handle.wait().await.unwrap();
    });
}

#[test]
fn start_after_finish_returned() {
    paused(async {
        let handle = instant("one").into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(handle.start(), Err(LifecycleError::Returned));
    });
}

#[test]
fn wait_unstarted_not_started() {
    paused(async {
        let handle = instant("one").into_handle();
        let waited = handle.wait().await;
        assert_eq!(waited.unwrap_err(), LifecycleError::NotStarted);
    });
}

#[test]
fn wait_many_callers_same_report() {
    paused(async {
        let handle = failing("one", "no").into_handle();
        handle.start().unwrap();
        let (first, second) = tokio::join!(handle.wait(), handle.wait());
        let third = handle.wait().await.unwrap();
        assert!(Arc::ptr_eq(&first.unwrap(), &third));
        assert!(Arc::ptr_eq(&second.unwrap(), &third));
    });
}

#[test]
fn close_before_start_noop() {
    paused(async {
        let diary = Diary::default();
        let handle = patient("one", &diary).into_handle();
        handle.close("too early");
        handle.start().unwrap();
        handle.ready().await.unwrap();
        assert!(handle.is_running());
        handle.close("now");
        handle.wait().await.unwrap();
        assert_eq!(diary.count("one runs"), 1);
    });
}

#[test]
fn close_idempotent() {
    paused(async {
        let diary = Diary::default();
        let handle = patient("one", &diary).into_handle();
        handle.start().unwrap();
        for _ in 0..3 {
            handle.close("again");
        }
        handle.wait().await.unwrap();
        handle.close("after the end");
        assert_eq!(diary.count("one shuts down"), 1);
        assert_eq!(diary.count("one cleans up"), 1);
    });
}

#[test]
fn token_cancel_equals_close() {
    paused(async {
        // The service's own scope is its drain token: whoever cancels it has it end.
        let diary = Diary::default();
        let seen = diary.clone();
        let service = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                context.shutdown().cancel();
                context.drain().cancelled().await;
                diary.note("ended");
            }
        });
        let handle = service.into_handle();
        handle.start().unwrap();
        assert!(handle.wait().await.unwrap().is_clean());
        assert_eq!(diary.count("ended"), 1);
    });
}

#[test]
fn start_dead_token_runs_all_phases() {
    paused(async {
        let diary = Diary::default();
        let handle = patient("one", &diary).into_handle();
        handle.start().unwrap();
        // Before it had its first turn.
        handle.close("at once");
        assert!(handle.wait().await.unwrap().is_clean());
        for phase in ["runs", "ends", "shuts down", "cleans up"] {
            assert_eq!(diary.count(&format!("one {phase}")), 1, "{phase}");
        }
    });
}

#[test]
fn shutdown_once_after_clean_run() {
    paused(async {
        let diary = Diary::default();
        let seen = diary.clone();
        let handle = instant("one")
            .on_shutdown(move |_| {
                let diary = seen.clone();
                async move { diary.note("shutdown") }
            })
            .into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(diary.count("shutdown"), 1);
    });
}

#[test]
fn shutdown_before_cleanup() {
    paused(async {
        let diary = Diary::default();
        let handle = patient("one", &diary).into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        handle.close("now");
        handle.wait().await.unwrap();
        assert!(diary.in_order("one shuts down", "one cleans up"));
    });
}

#[test]
fn cleanup_waits_run_and_shutdown() {
    paused(async {
        let diary = Diary::default();
        let (run, shutdown, cleanup) = (diary.clone(), diary.clone(), diary.clone());
        let handle = Service::new("one", move |context: Context| {
            let diary = run.clone();
            async move {
                context.drain().cancelled().await;
                tokio::time::sleep(seconds(3)).await;
                diary.note("run");
            }
        })
        .on_shutdown(move |_| {
            let diary = shutdown.clone();
            async move {
                tokio::time::sleep(seconds(5)).await;
                diary.note("shutdown");
            }
        })
        .on_cleanup(move |_| {
            let diary = cleanup.clone();
            async move { diary.note("cleanup") }
        })
        .into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        handle.close("now");
        assert!(handle.wait().await.unwrap().is_clean());
        assert_eq!(diary.entries(), ["run", "shutdown", "cleanup"]);
    });
}

#[test]
fn run_error_propagates() {
    paused(async {
        let handle = failing("one", "out of ink").into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(messages(&report), ["one: run (attempt 1): out of ink"]);
    });
}

#[test]
fn shutdown_error_propagates() {
    paused(async {
        let handle = instant("one")
            .on_shutdown(|_| async { Err::<(), BoxError>("stuck".into()) })
            .into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(messages(&report), ["one: shutdown (attempt 1): stuck"]);
    });
}

fn panicking(message: &'static str) -> impl Fn(Context) -> std::future::Ready<()> + Send {
    move |_| panic!("{message}")
}

/// The phase and message of the only error, which is a panic with its place.
async fn only_panic(service: Service) -> (Phase, String) {
    let handle = service.into_handle();
    handle.start().unwrap();
    let report = handle.wait().await.unwrap();
    assert_eq!(report.errors.len(), 1, "{report}");
    let error = &report.errors[0];
    let Failure::Panic(panic) = &error.failure else {
        panic!("{error}");
    };
    let location = panic.location.as_ref().unwrap();
    assert!(location.contains("supervision/"), "{location}");
    (error.phase, panic.message.clone())
}

#[test]
fn panic_in_run_captured() {
    paused(async {
        let at_once = Service::new("one", panicking("at once"));
        assert_eq!(only_panic(at_once).await, (Phase::Run, "at once".into()));
        let later = Service::new("one", |_| async {
            tokio::task::yield_now().await;
            fail("later");
        });
        assert_eq!(only_panic(later).await, (Phase::Run, "later".into()));
    });
}

#[test]
fn panic_in_shutdown_captured() {
    paused(async {
        let service = instant("one").on_shutdown(panicking("no"));
        assert_eq!(only_panic(service).await, (Phase::Shutdown, "no".into()));
    });
}

#[test]
fn panic_in_cleanup_captured() {
    paused(async {
        let service = instant("one").on_cleanup(panicking("no"));
        assert_eq!(only_panic(service).await, (Phase::Cleanup, "no".into()));
    });
}

#[test]
fn error_handler_equals_wait() {
    paused(async {
        let seen = Arc::new(std::sync::Mutex::new(None));
        let slot = Arc::clone(&seen);
        let handle = failing("one", "no")
            .on_error(move |report| *slot.lock().unwrap() = Some(Arc::clone(report)))
            .into_handle();
        handle.start().unwrap();
        let waited = handle.wait().await.unwrap();
        let handled = seen.lock().unwrap().clone().unwrap();
        assert!(Arc::ptr_eq(&waited, &handled));
    });
}

#[test]
fn error_handler_set_while_running() {
    paused(async {
        let calls = Arc::new(AtomicUsize::new(0));
        let handle = Service::new("one", |context: Context| async move {
            context.drain().cancelled().await;
            Err::<(), BoxError>("late".into())
        })
        .into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        let counted = Arc::clone(&calls);
        handle.set_error_handler(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        handle.close("now");
        handle.wait().await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn handler_silent_on_success() {
    paused(async {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let handle = instant("one")
            .on_error(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            })
            .into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn run_until_timeout_service_continues() {
    paused(async {
        let handle = patient("one", &Diary::default()).into_handle();
        let token = CancellationToken::new();
        token.cancel();
        let waited = handle.run_until(&token).await;
        assert_eq!(waited.unwrap_err(), LifecycleError::Elapsed);
        let waited = handle.wait_timeout(seconds(5)).await;
        assert_eq!(waited.unwrap_err(), LifecycleError::Elapsed);
        assert!(handle.is_running());
        handle.close("now");
        handle.wait().await.unwrap();
    });
}

#[test]
fn running_false_after_instant_run() {
    paused(async {
        let handle = instant("one").into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert!(!handle.is_running());
        assert_eq!(handle.state(), State::Exited);
    });
}

#[test]
fn running_false_after_close() {
    paused(async {
        let handle = patient("one", &Diary::default()).into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        assert!(handle.is_running());
        handle.close("now");
        assert!(!handle.is_running());
        handle.wait().await.unwrap();
    });
}

#[test]
fn wait_returns_after_handler() {
    paused(async {
        let diary = Diary::default();
        let seen = diary.clone();
        let handle = failing("one", "no")
            .on_error(move |_| seen.note("handled"))
            .into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(diary.entries(), ["handled"]);
    });
}

#[test]
fn wait_outlasts_cancellation() {
    paused(async {
        let diary = Diary::default();
        let seen = diary.clone();
        let handle = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                context.drain().cancelled().await;
                tokio::time::sleep(seconds(10)).await;
                diary.note("finished");
            }
        })
        .into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        handle.close("now");
        assert!(handle.wait().await.unwrap().is_clean());
        assert_eq!(diary.entries(), ["finished"]);
    });
}

#[test]
fn handler_panic_isolated() {
    paused(async {
        let handle = failing("one", "no")
            .on_error(|_| panic!("in the handler"))
            .into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(messages(&report), ["one: run (attempt 1): no"]);
    });
}

#[test]
fn wedged_work_is_dropped_at_its_limit() {
    paused(async {
        let begun = tokio::time::Instant::now();
        let handle = crate::rig::stubborn("one")
            .stop(StopPolicy {
                drain: seconds(2),
                abort: millis(500),
                ..StopPolicy::default()
            })
            .into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        handle.close("now");
        let report = handle.wait().await.unwrap();
        assert_eq!(report.unstopped[0].phase, Phase::Run);
        assert_eq!(begun.elapsed().as_millis() / 100, 25);
    });
}
