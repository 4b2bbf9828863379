//! Who waits for whom.

use tidegate_supervisor::{
    AddError, BoxError, Context, Orchestrator, Readiness, Service, State, check,
};

use crate::rig::{Diary, instant, patient, paused, seconds};

#[test]
fn dependency_cycle_rejected() {
    let all = Orchestrator::builder("all").build();
    all.add(instant("a").requires(["b"])).unwrap();
    all.add(instant("b").wants(["c"])).unwrap();
    let error = all.add(instant("c").requires(["a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "c waits for a waits for b: dependencies go in a circle"
    );
    let itself = all.add(instant("d").requires(["d"])).unwrap_err();
    assert!(matches!(itself, AddError::Circle { .. }));
}

#[test]
fn dependent_starts_after_ready() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        let web = all.add(patient("web", &diary).requires(["store"]));
        let web = web.unwrap().unwrap();
        let seen = diary.clone();
        let store = Service::new("store", move |context: Context| {
            let diary = seen.clone();
            async move {
                tokio::time::sleep(seconds(3)).await;
                diary.note("store is ready");
                context.notify_ready();
                context.drain().cancelled().await;
            }
        })
        .readiness(Readiness::Explicit {
            within: seconds(10),
        });
        all.start().unwrap();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(web.state(), State::Blocked("store".into()));
        all.add(store).unwrap();
        web.ready().await.unwrap();
        tokio::task::yield_now().await;
        assert!(diary.in_order("store is ready", "web runs"));
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
    });
}

#[test]
fn what_was_done_and_left_counts_as_ready() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let web = instant("web").requires(["migration"]);
        let web = all.add(web).unwrap().unwrap();
        all.add(instant("migration")).unwrap();
        all.start().unwrap();
        web.wait().await.unwrap();
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
    });
}

#[test]
fn readiness_dropped_is_failure() {
    paused(async {
        let forgetful = instant("one").readiness(Readiness::Explicit {
            within: seconds(10),
        });
        let handle = forgetful.into_handle();
        handle.start().unwrap();
        assert!(handle.ready().await.is_err());
        let report = handle.wait().await.unwrap();
        assert!(report.errors[0].to_string().contains("without having been"));
    });
}

#[test]
fn readiness_that_does_not_come_is_failure() {
    paused(async {
        let handle = crate::rig::stubborn("one")
            .readiness(Readiness::Probe {
                within: seconds(5),
                every: seconds(1),
                check: check(|_| async { false }),
            })
            .into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert!(report.errors[0].to_string().contains("not ready in time"));
    });
}

#[test]
fn reverse_dependency_stop() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        all.add(patient("web", &diary).requires(["cache", "store"]))
            .unwrap();
        all.add(patient("cache", &diary).requires(["store"]))
            .unwrap();
        all.add(patient("store", &diary)).unwrap();
        all.start().unwrap();
        all.handle().service("web").unwrap().ready().await.unwrap();
        tokio::task::yield_now().await;
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
        assert!(diary.in_order("store runs", "cache runs"));
        assert!(diary.in_order("cache runs", "web runs"));
        assert!(diary.in_order("web cleans up", "cache ends"));
        assert!(diary.in_order("cache cleans up", "store ends"));
    });
}

#[test]
fn who_can_never_start_does_not_keep_the_stop_waiting() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let web = all.add(instant("web").requires(["nobody"]));
        let web = web.unwrap().unwrap();
        all.start().unwrap();
        tokio::time::sleep(seconds(1)).await;
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
        assert_eq!(web.wait().await.unwrap().attempts, 0);
    });
}

#[test]
fn hup_reload_failure_keeps_old() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        let service = patient("one", &diary)
            .on_reload(|_| async { Err::<(), BoxError>("a port is in use".into()) });
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        handle.ready().await.unwrap();
        all.handle().reload();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(handle.state(), State::Ready);
        assert_eq!(handle.attempts(), 1);
        let status = &all.handle().list()[0];
        assert!(status.last_error.as_ref().unwrap().contains("in use"));
        all.close("now");
        all.wait().await.unwrap();
    });
}
