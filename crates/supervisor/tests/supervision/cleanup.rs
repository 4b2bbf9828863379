//! Clean-up deferred to the end.

use tidegate_supervisor::{BoxError, Budget, Context, DeferError, Orchestrator, Service};
use tokio::time::Instant;

use crate::rig::{Diary, fail, paused, seconds};

fn deferring(diary: &Diary) -> Service {
    let diary = diary.clone();
    Service::new("one", move |context: Context| {
        let diary = diary.clone();
        async move {
            let later = diary.clone();
            let deferred = context.cleanup().defer("flush", move || async move {
                later.note("cleanup");
            });
            deferred.unwrap();
            context.drain().cancelled().await;
            diary.note("ended");
        }
    })
}

#[test]
fn cleanup_runs_only_at_stop() {
    paused(async {
        let (all, diary) = (Orchestrator::builder("all").build(), Diary::default());
        let handle = all.add(deferring(&diary)).unwrap().unwrap();
        all.start().unwrap();
        handle.ready().await.unwrap();
        tokio::time::sleep(seconds(60)).await;
        assert!(diary.entries().is_empty());
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
        assert_eq!(diary.entries(), ["ended", "cleanup"]);
    });
}

#[test]
fn cleanup_item_race_not_lost() {
    paused(async {
        let (all, diary) = (Orchestrator::builder("all").build(), Diary::default());
        let seen = diary.clone();
        // Deferred at the last moment, when the stop has begun.
        let service = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                context.drain().cancelled().await;
                let deferred = context.cleanup().defer("late", || async move {
                    diary.note("cleanup");
                });
                deferred.unwrap();
            }
        });
        let cleanup = {
            let slot = std::sync::Arc::new(std::sync::Mutex::new(None));
            let filled = std::sync::Arc::clone(&slot);
            all.add(Service::new("two", move |context: Context| {
                *filled.lock().unwrap() = Some(context.cleanup());
                async {}
            }))
            .unwrap();
            slot
        };
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        handle.ready().await.unwrap();
        all.close("now");
        all.wait().await.unwrap();
        assert_eq!(diary.entries(), ["cleanup"]);
        let late = cleanup.lock().unwrap().take().unwrap();
        let refused = late.defer("too late", || async {});
        assert_eq!(refused, Err(DeferError::Begun));
    });
}

#[test]
fn cleanup_hard_deadline_names_skipped() {
    paused(async {
        let all = Orchestrator::builder("all")
            .budget(Budget {
                cleanup: seconds(2),
                ..Budget::default()
            })
            .build();
        let diary = Diary::default();
        let seen = diary.clone();
        let service = Service::new("one", move |context: Context| {
            let diary = seen.clone();
            async move {
                let cleanup = context.cleanup();
                cleanup
                    .defer("endless", std::future::pending::<()>)
                    .unwrap();
                cleanup
                    .defer("quick", || async move { diary.note("quick") })
                    .unwrap();
            }
        });
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        handle.wait().await.unwrap();
        let begun = Instant::now();
        all.close("now");
        let report = all.wait().await.unwrap();
        assert_eq!(begun.elapsed(), seconds(2));
        assert_eq!(diary.entries(), ["quick"]);
        assert_eq!(&*report.unstopped[0].path, "all/endless");
    });
}

#[test]
fn cleanup_error_recorded() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let service = Service::new("one", |context: Context| async move {
            let cleanup = context.cleanup();
            cleanup
                .defer("flush", || async {
                    Err::<(), BoxError>("disk full".into())
                })
                .unwrap();
            cleanup
                .defer("close", || async { fail("in clean-up") })
                .unwrap();
            cleanup.record("noticed in passing");
        });
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        handle.wait().await.unwrap();
        all.close("now");
        let told = all.wait().await.unwrap().to_string();
        for part in ["disk full", "in clean-up", "noticed in passing"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    });
}
