//! Services together.

use tidegate_supervisor::{
    AddError, BoxError, Context, EventKind, LifecycleError, OnExit, Orchestrator, Service, State,
};

use crate::rig::{Diary, failing, instant, patient, paused, seconds};

fn orchestrator() -> Orchestrator {
    Orchestrator::builder("all").build()
}

#[test]
fn add_before_start() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        let handle = all.add(patient("one", &diary)).unwrap().unwrap();
        assert_eq!(handle.state(), State::Pending);
        assert_eq!(all.wait().await.unwrap_err(), LifecycleError::NotStarted);
        all.start().unwrap();
        assert_eq!(all.start(), Err(LifecycleError::AlreadyStarted));
        handle.ready().await.unwrap();
        let later = all.add(patient("two", &diary)).unwrap().unwrap();
        later.ready().await.unwrap();
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
        assert_eq!(all.start(), Err(LifecycleError::Returned));
    });
}

#[test]
fn add_none_ignored() {
    let nothing: Option<Service> = None;
    assert!(orchestrator().add(nothing).unwrap().is_none());
}

#[test]
fn add_running_adopted() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        let own = patient("one", &diary).into_handle();
        own.start().unwrap();
        own.ready().await.unwrap();
        all.start().unwrap();
        let adopted = all.add(own.clone()).unwrap().unwrap();
        adopted.ready().await.unwrap();
        assert!(own.is_running());
        assert_eq!(diary.count("one runs"), 1);
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn adopted_child_awaited_at_stop() {
    paused(async {
        let all = orchestrator();
        let diary = Diary::default();
        let seen = diary.clone();
        let own = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                context.drain().cancelled().await;
                tokio::time::sleep(seconds(4)).await;
                diary.note("finished");
            }
        })
        .into_handle();
        own.start().unwrap();
        own.ready().await.unwrap();
        all.add(own.clone()).unwrap();
        all.start().unwrap();
        tokio::task::yield_now().await;
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
        assert_eq!(diary.entries(), ["finished"]);
        assert!(!own.is_running());
    });
}

#[test]
fn add_finished_error_absorbed() {
    paused(async {
        let all = orchestrator();
        let own = failing("one", "before").into_handle();
        own.start().unwrap();
        own.wait().await.unwrap();
        all.start().unwrap();
        let adopted = all.add(own).unwrap().unwrap();
        adopted.wait().await.unwrap();
        all.close("now");
        let report = all.wait().await.unwrap();
        assert_eq!(report.errors.len(), 1);
        assert!(report.errors[0].to_string().contains("before"));
    });
}

#[test]
fn hundred_failures_hundred_errors() {
    paused(async {
        let all = orchestrator();
        for number in 0..100 {
            all.add(failing(format!("number {number}"), "no")).unwrap();
        }
        all.start().unwrap();
        for number in 0..100 {
            let service = all.handle().service(&format!("number {number}")).unwrap();
            service.wait().await.unwrap();
        }
        all.close("now");
        let report = all.wait().await.unwrap();
        assert_eq!(report.errors.len(), 100);
        assert_eq!(report.suppressed, 0);
    });
}

#[test]
fn child_failure_isolated() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        let well = all.add(patient("well", &diary)).unwrap().unwrap();
        let ill = all.add(failing("ill", "no")).unwrap().unwrap();
        all.start().unwrap();
        ill.wait().await.unwrap();
        tokio::time::sleep(seconds(60)).await;
        assert!(well.is_running());
        all.close("now");
        let report = all.wait().await.unwrap();
        assert_eq!(report.errors[0].path.as_ref(), "all/ill");
    });
}

#[test]
fn start_order_is_add_order() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        let names = ["c", "a", "d", "b"];
        for name in names {
            all.add(patient(name, &diary)).unwrap();
        }
        all.start().unwrap();
        for name in names {
            let service = all.handle().service(name).unwrap();
            service.ready().await.unwrap();
        }
        tokio::task::yield_now().await;
        assert_eq!(diary.entries(), ["c runs", "a runs", "d runs", "b runs"]);
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn add_after_close_errors() {
    paused(async {
        let all = orchestrator();
        all.start().unwrap();
        all.close("now");
        let added = all.add(instant("late"));
        assert!(matches!(added, Err(AddError::Closing { .. })));
        all.wait().await.unwrap();
        assert!(matches!(
            all.add(instant("later")),
            Err(AddError::Closing { .. })
        ));
    });
}

#[test]
fn a_name_is_taken_until_its_service_has_ended() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        all.add(patient("one", &diary)).unwrap();
        let again = all.add(instant("one"));
        assert!(matches!(again, Err(AddError::Duplicate { .. })));
        all.start().unwrap();
        all.handle().remove("one").await.unwrap();
        all.add(instant("one")).unwrap();
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn reset_allows_reuse() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        for _ in 0..3 {
            all.add(patient("one", &diary)).unwrap();
            all.start().unwrap();
            assert_eq!(all.reset(), Err(LifecycleError::AlreadyStarted));
            all.close("now");
            assert!(all.wait().await.unwrap().is_clean());
            all.reset().unwrap();
        }
        assert_eq!(diary.count("one cleans up"), 3);
    });
}

#[test]
fn errors_carry_path_phase_attempt() {
    paused(async {
        let outer = Orchestrator::builder("outer").build();
        let inner = Orchestrator::builder("inner").ends_with_last().build();
        let failing = instant("one").on_cleanup(|_| async { Err::<(), BoxError>("no".into()) });
        inner.add(failing).unwrap();
        let handle = outer.add(inner.into_service()).unwrap().unwrap();
        outer.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(
            report.errors[0].to_string(),
            "inner/one: cleanup (attempt 1): no"
        );
        outer.close("now");
        assert_eq!(outer.wait().await.unwrap().errors.len(), 1);
    });
}

#[test]
fn the_end_of_one_may_be_the_end_of_all() {
    paused(async {
        let (all, diary) = (orchestrator(), Diary::default());
        all.add(patient("one", &diary)).unwrap();
        all.add(instant("fine").on_exit(OnExit::FailAll)).unwrap();
        all.add(
            Service::new("ill", |_| async {
                tokio::time::sleep(seconds(1)).await;
                Err::<(), BoxError>("no".into())
            })
            .on_exit(OnExit::FailAll),
        )
        .unwrap();
        all.start().unwrap();
        let report = all.wait().await.unwrap();
        assert_eq!(report.cause.to_string(), "ill ended");
        assert_eq!(diary.count("one cleans up"), 1);
    });
}

#[test]
fn events_tell_what_happened_and_a_slow_listener_costs_nothing() {
    paused(async {
        let all = orchestrator();
        let mut events = all.handle().events();
        all.add(failing("ill", "no")).unwrap();
        all.start().unwrap();
        all.handle().service("ill").unwrap().wait().await.unwrap();
        all.close("now");
        all.wait().await.unwrap();
        let mut kinds = Vec::new();
        while let Ok(event) = events.try_recv() {
            kinds.push(event.kind);
        }
        let failed =
            |kind: &EventKind| matches!(kind, EventKind::Failed(text) if text.contains("no"));
        assert!(kinds.iter().any(failed), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&EventKind::Finished));
    });
}
