//! Services that end and come back.

use std::io;

use tidegate_supervisor::services::daemon;
use tidegate_supervisor::{
    Backoff, BoxError, Context, Exhausted, Exit, Intensity, Liveness, Orchestrator, Restart,
    Service, State, Strategy, check,
};
use tokio::time::Instant;

use crate::rig::{Diary, failing, millis, patient, paused, seconds};

/// A service that notes each start and its time, and then does as told.
fn noting(
    diary: &Diary,
    then: impl Fn(u32) -> Result<Exit, BoxError> + Clone + Send + 'static,
) -> Service {
    let diary = diary.clone();
    let begun = std::sync::OnceLock::new();
    Service::new("one", move |context: Context| {
        let begun = *begun.get_or_init(Instant::now);
        diary.note(format!("{}", begun.elapsed().as_millis()));
        let then = then.clone();
        async move { then(context.attempt()) }
    })
}

#[test]
fn daemon_restarts_on_ok_and_err() {
    paused(async {
        let diary = Diary::default();
        let service = noting(&diary, |attempt| match attempt {
            1 => Ok(Exit::Done),
            2 => Err("no".into()),
            _ => Ok(Exit::Cancelled),
        });
        let handle = daemon(service, seconds(1)).into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(report.attempts, 3);
        assert_eq!(report.errors.len(), 1);
    });
}

#[test]
fn daemon_min_interval_first_restart() {
    paused(async {
        let diary = Diary::default();
        let service = noting(&diary, |attempt| match attempt {
            3 => Ok(Exit::Cancelled),
            _ => Ok(Exit::Done),
        });
        let handle = daemon(service, seconds(10)).into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(diary.entries(), ["0", "10000", "20000"]);
    });
}

#[test]
fn daemon_restarts_after_panic() {
    paused(async {
        let diary = Diary::default();
        let service = noting(&diary, |attempt| {
            assert!(attempt > 1, "the first always fails");
            Ok(Exit::Cancelled)
        });
        let handle = daemon(service, seconds(1)).into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(report.attempts, 2);
        assert!(report.errors[0].to_string().contains("the first always"));
    });
}

#[test]
fn daemon_foreign_timeout_restarts() {
    paused(async {
        let diary = Diary::default();
        let service = noting(&diary, |attempt| match attempt {
            // Somebody else's time-out, not ours.
            1 => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            _ => Ok(Exit::Cancelled),
        });
        let handle = daemon(service, seconds(1)).into_handle();
        handle.start().unwrap();
        assert_eq!(handle.wait().await.unwrap().attempts, 2);
    });
}

#[test]
fn daemon_cancelled_return_stops() {
    paused(async {
        let diary = Diary::default();
        let handle = daemon(noting(&diary, |_| Ok(Exit::Cancelled)), seconds(1)).into_handle();
        handle.start().unwrap();
        assert_eq!(handle.wait().await.unwrap().attempts, 1);
    });
}

#[test]
fn daemon_hooks_once_at_end() {
    paused(async {
        let diary = Diary::default();
        let (shutdown, cleanup) = (diary.clone(), diary.clone());
        let service = noting(&diary, |attempt| match attempt {
            5 => Ok(Exit::Cancelled),
            _ => Ok(Exit::Done),
        })
        .on_shutdown(move |_| {
            let diary = shutdown.clone();
            async move { diary.note("shutdown") }
        })
        .on_cleanup(move |_| {
            let diary = cleanup.clone();
            async move { diary.note("cleanup") }
        });
        let handle = daemon(service, seconds(1)).into_handle();
        handle.start().unwrap();
        handle.wait().await.unwrap();
        assert_eq!(diary.entries()[5..], ["shutdown", "cleanup"]);
    });
}

#[test]
fn daemon_error_memory_bounded() {
    paused(async {
        let all = Orchestrator::builder("all").retain_errors(8).build();
        let handle = all
            .add(daemon(failing("one", "no"), millis(1)))
            .unwrap()
            .unwrap();
        all.start().unwrap();
        while handle.attempts() < 1000 {
            tokio::time::sleep(millis(10)).await;
        }
        all.close("now");
        let report = all.wait().await.unwrap();
        assert_eq!(report.errors.len(), 8);
        assert!(report.suppressed >= 990, "{}", report.suppressed);
    });
}

fn often(exhausted: Exhausted) -> Restart {
    Restart::OnFailure(Backoff {
        intensity: Some(Intensity {
            restarts: 3,
            within: seconds(60),
        }),
        exhausted,
        ..Backoff::every(millis(1))
    })
}

#[test]
fn intensity_escalates_or_parks() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        all.add(patient("well", &diary)).unwrap();
        let ill = all
            .add(failing("ill", "no").restart(often(Exhausted::Park)))
            .unwrap()
            .unwrap();
        all.start().unwrap();
        tokio::time::sleep(seconds(5)).await;
        assert_eq!((ill.state(), ill.attempts()), (State::Parked, 4));
        all.handle().restart("ill").unwrap();
        tokio::time::sleep(seconds(5)).await;
        assert_eq!((ill.state(), ill.attempts()), (State::Parked, 8));
        all.add(failing("worse", "no").restart(often(Exhausted::Escalate)))
            .unwrap();
        let report = all.wait().await.unwrap();
        assert_eq!(report.cause.to_string(), "worse failed too often");
        assert_eq!(diary.count("well cleans up"), 1);
    });
}

/// Who runs how often after the middle one of three failed once.
async fn starts(strategy: Strategy) -> [u32; 3] {
    let all = Orchestrator::builder("all").strategy(strategy).build();
    let diary = Diary::default();
    let first = all.add(patient("first", &diary)).unwrap().unwrap();
    let middle = Service::new("middle", |context: Context| async move {
        if context.attempt() == 1 {
            tokio::time::sleep(seconds(1)).await;
            return Err::<(), BoxError>("once".into());
        }
        context.drain().cancelled().await;
        Ok(())
    })
    .restart(Restart::OnFailure(Backoff::every(millis(10))));
    let middle = all.add(middle).unwrap().unwrap();
    let last = all.add(patient("last", &diary)).unwrap().unwrap();
    all.start().unwrap();
    tokio::time::sleep(seconds(10)).await;
    let attempts = [first.attempts(), middle.attempts(), last.attempts()];
    assert!(first.is_running() && middle.is_running() && last.is_running());
    all.close("now");
    let report = all.wait().await.unwrap();
    assert_eq!(report.errors.len(), 1, "{report}");
    // Hooks are for the end, not for each start.
    assert_eq!(diary.count("first cleans up"), 1);
    attempts
}

#[test]
fn one_for_all_rest_for_one() {
    paused(async {
        assert_eq!(starts(Strategy::OneForOne).await, [1, 2, 1]);
        assert_eq!(starts(Strategy::OneForAll).await, [2, 2, 2]);
        assert_eq!(starts(Strategy::RestForOne).await, [1, 2, 2]);
    });
}

#[test]
fn per_core_panic_restarts_one_core() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let worker = |core: usize| {
            Service::new(
                format!("worker-{core}"),
                move |context: Context| async move {
                    if core == 1 && context.attempt() == 1 {
                        tokio::time::sleep(seconds(1)).await;
                        panic!("injected");
                    }
                    context.drain().cancelled().await;
                },
            )
            .restart(Restart::Always(Backoff::every(millis(10))))
        };
        let workers: Vec<_> = (0..4)
            .map(|core| all.add(worker(core)).unwrap().unwrap())
            .collect();
        all.start().unwrap();
        tokio::time::sleep(seconds(5)).await;
        let attempts: Vec<u32> = workers.iter().map(|it| it.attempts()).collect();
        assert_eq!(attempts, [1, 2, 1, 1]);
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn heartbeat_loss_restarts() {
    paused(async {
        let silent = Service::new("one", |context: Context| async move {
            let beats = if context.attempt() == 1 { 3 } else { u32::MAX };
            for _ in 0..beats {
                context.heartbeat();
                tokio::select! {
                    () = tokio::time::sleep(seconds(1)) => {}
                    () = context.drain().cancelled() => return,
                }
            }
            std::future::pending::<()>().await;
        })
        .liveness(Liveness::Heartbeat { within: seconds(2) })
        .restart(Restart::OnFailure(Backoff::every(millis(10))));
        let handle = silent.into_handle();
        handle.start().unwrap();
        tokio::time::sleep(seconds(30)).await;
        assert_eq!(handle.attempts(), 2);
        assert!(handle.is_running());
        handle.close("now");
        let report = handle.wait().await.unwrap();
        assert!(report.errors[0].to_string().contains("heartbeat stopped"));
    });
}

#[test]
fn a_probe_that_fails_restarts() {
    paused(async {
        let service = Service::new("one", |context: Context| async move {
            context.drain().cancelled().await;
        })
        .liveness(Liveness::Probe {
            within: seconds(3),
            every: seconds(1),
            check: check(|context: Context| async move { context.attempt() > 1 }),
        })
        .restart(Restart::OnFailure(Backoff::every(millis(10))));
        let handle = service.into_handle();
        handle.start().unwrap();
        tokio::time::sleep(seconds(30)).await;
        assert_eq!(handle.attempts(), 2);
        handle.close("now");
        handle.wait().await.unwrap();
    });
}
