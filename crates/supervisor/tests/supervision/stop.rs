//! Stops: their order in time, and their bounds.

use tidegate_supervisor::{
    Budget, Context, EventKind, Orchestrator, Phase, Service, State, StopPolicy,
};
use tokio::time::Instant;

use crate::rig::{Diary, millis, patient, paused, seconds, stubborn};

fn within(total: u64) -> Orchestrator {
    Orchestrator::builder("all")
        .budget(Budget {
            total: seconds(total),
            ..Budget::default()
        })
        .build()
}

#[test]
fn stop_budget_never_exceeded() {
    paused(async {
        let all = within(10);
        // Each alone would take longer than all may.
        let slow = StopPolicy {
            drain: seconds(60),
            abort: seconds(60),
            cleanup: seconds(60),
        };
        let wedged = |name: &'static str| {
            stubborn(name)
                .on_shutdown(|_| std::future::pending::<()>())
                .on_cleanup(|_| std::future::pending::<()>())
                .stop(slow)
        };
        all.add(wedged("a")).unwrap();
        all.add(wedged("b").requires(["a"])).unwrap();
        all.add(wedged("c").requires(["b"])).unwrap();
        all.start().unwrap();
        all.handle().service("c").unwrap().ready().await.unwrap();
        let begun = Instant::now();
        all.close("now");
        let report = all.wait().await.unwrap();
        assert!(
            begun.elapsed() <= seconds(10) + millis(10),
            "{:?}",
            begun.elapsed()
        );
        // Named each, in every part of its life that would not end.
        for name in ["all/a", "all/b", "all/c"] {
            let phases: Vec<Phase> = report
                .unstopped
                .iter()
                .filter(|unstopped| &*unstopped.path == name)
                .map(|unstopped| unstopped.phase)
                .collect();
            assert!(phases.contains(&Phase::Run), "{name}: {phases:?}");
        }
    });
}

#[test]
fn a_chain_shares_the_budget() {
    paused(async {
        let all = within(10);
        let diary = Diary::default();
        let long = StopPolicy {
            drain: seconds(60),
            abort: millis(1),
            ..StopPolicy::default()
        };
        all.add(patient("store", &diary)).unwrap();
        all.add(stubborn("web").requires(["store"]).stop(long))
            .unwrap();
        all.start().unwrap();
        all.handle().service("web").unwrap().ready().await.unwrap();
        let begun = Instant::now();
        all.close("now");
        let report = all.wait().await.unwrap();
        // Half the budget less its reserve for each of two levels; the other ended at once.
        assert_eq!(begun.elapsed().as_millis() / 100, 45);
        assert_eq!(report.unstopped.len(), 1);
        assert_eq!(diary.count("store cleans up"), 1);
    });
}

#[test]
fn fast_stop_never_sleeps() {
    paused(async {
        let all = within(60);
        let diary = Diary::default();
        for name in ["a", "b", "c"] {
            all.add(patient(name, &diary)).unwrap();
        }
        all.start().unwrap();
        all.handle().service("c").unwrap().ready().await.unwrap();
        let begun = Instant::now();
        all.close("now");
        all.wait().await.unwrap();
        assert_eq!(begun.elapsed(), seconds(0));
    });
}

#[test]
fn stuck_service_named_unstopped() {
    paused(async {
        let all = within(5);
        all.add(stubborn("wedged")).unwrap();
        all.start().unwrap();
        all.handle()
            .service("wedged")
            .unwrap()
            .ready()
            .await
            .unwrap();
        all.close("SIGTERM");
        let report = all.wait().await.unwrap();
        assert_eq!(report.cause.to_string(), "SIGTERM");
        assert_eq!(&*report.unstopped[0].path, "all/wedged");
        let told = report.to_string();
        assert!(told.contains("all/wedged would not stop (run)"), "{told}");
    });
}

#[test]
fn lame_duck_unready_before_close() {
    paused(async {
        let all = Orchestrator::builder("all")
            .budget(Budget {
                lame_duck: seconds(3),
                ..Budget::default()
            })
            .build();
        let diary = Diary::default();
        let handle = all.add(patient("one", &diary)).unwrap().unwrap();
        let mut events = all.handle().events();
        all.start().unwrap();
        handle.ready().await.unwrap();
        let begun = Instant::now();
        all.close("now");
        loop {
            if let EventKind::Unready(_) = events.recv().await.unwrap().kind {
                break;
            }
        }
        assert_eq!(begun.elapsed(), seconds(0));
        tokio::time::sleep(seconds(2)).await;
        assert_eq!(handle.state(), State::Ready);
        all.wait().await.unwrap();
        assert_eq!(begun.elapsed(), seconds(3));
    });
}

#[test]
fn second_signal_aborts() {
    paused(async {
        let all = within(60);
        let diary = Diary::default();
        let seen = diary.clone();
        let obeys_only_abort = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                context.abort().cancelled().await;
                diary.note("aborted");
            }
        });
        let handle = all.add(obeys_only_abort).unwrap().unwrap();
        all.start().unwrap();
        handle.ready().await.unwrap();
        let begun = Instant::now();
        all.close("SIGTERM");
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(handle.state(), State::Draining);
        all.handle().abort();
        let report = all.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(begun.elapsed(), seconds(1));
        assert_eq!(diary.entries(), ["aborted"]);
    });
}

#[test]
fn the_deadline_is_told_to_who_drains() {
    paused(async {
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let service = Service::new("one", move |context: Context| {
            let tell = tell.lock().unwrap().take();
            async move {
                assert!(context.deadline().is_none());
                context.drain().cancelled().await;
                let left = context
                    .deadline()
                    .map(|it| Instant::from_std(it) - Instant::now());
                tell.unwrap().send(left).unwrap();
            }
        })
        .stop(StopPolicy {
            drain: seconds(7),
            ..StopPolicy::default()
        });
        let handle = service.into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        tokio::task::yield_now().await;
        handle.close("now");
        assert_eq!(told.await.unwrap(), Some(seconds(7)));
        handle.wait().await.unwrap();
    });
}
