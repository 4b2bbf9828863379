//! Worker pools and their queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_supervisor::queue::{QueueError, QueueLimits};
use tidegate_supervisor::services::{
    Drain, OnFault, PoolHandle, PoolOptions, observed_pool, worker_pool,
};
use tidegate_supervisor::{AddError, BoxError, Context, Failure, Orchestrator, Service};

use crate::rig::{Diary, fail, millis, paused, seconds};

/// A job that never ends.
async fn endless(_: Context) {
    std::future::pending::<()>().await;
}

#[test]
fn pool_default_capacity_2n_4n() {
    for workers in 1..6 {
        let handle = PoolHandle::new(
            PoolOptions {
                workers,
                ..PoolOptions::default()
            }
            .queue(),
        );
        let mut taken = 0;
        let refused = loop {
            match handle.try_submit(endless) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((taken, refused), (3 * workers, QueueError::NoCredit));
    }
}

#[test]
fn pool_closed_full_nocredit_errors() {
    let queue_of = |soft, hard, burst| {
        let limits = Some(QueueLimits { soft, hard, burst });
        let options = PoolOptions {
            limits,
            ..PoolOptions::default()
        };
        options.queue()
    };
    let full = PoolHandle::new(queue_of(1, 1, 5));
    full.try_submit(endless).unwrap();
    assert_eq!(full.try_submit(endless), Err(QueueError::Full));
    let spent = PoolHandle::new(queue_of(1, 9, 1));
    spent.try_submit(endless).unwrap();
    spent.try_submit(endless).unwrap();
    assert_eq!(spent.try_submit(endless), Err(QueueError::NoCredit));
    let queue = queue_of(5, 5, 5);
    queue.close();
    let closed = PoolHandle::new(queue);
    assert_eq!(closed.try_submit(endless), Err(QueueError::Closed));
}

/// How many of 20 bad jobs a pool of 3 does, and how many errors it reports.
async fn bad_jobs(options: PoolOptions) -> (usize, usize) {
    let queue = PoolOptions {
        workers: 20,
        ..options.clone()
    }
    .queue();
    let done = Arc::new(AtomicUsize::new(0));
    let handle = PoolHandle::new(queue.clone());
    for number in 0..20 {
        let done = Arc::clone(&done);
        let job = move |_| async move {
            done.fetch_add(1, Ordering::Relaxed);
            if number % 2 == 0 {
                fail("even");
            }
            Err::<(), BoxError>("odd".into())
        };
        handle.try_submit(job).unwrap();
    }
    let service = worker_pool("pool", queue, options).into_handle();
    service.start().unwrap();
    tokio::time::sleep(seconds(1)).await;
    service.close("now");
    let report = service.wait().await.unwrap();
    (done.load(Ordering::Relaxed), report.errors.len())
}

#[test]
fn pool_error_stops_worker() {
    paused(async {
        let options = PoolOptions {
            workers: 3,
            ..PoolOptions::default()
        };
        assert_eq!(bad_jobs(options).await, (3, 3));
    });
}

#[test]
fn pool_continue_on_error_panic() {
    paused(async {
        let options = PoolOptions {
            workers: 3,
            on_error: OnFault::Continue,
            on_panic: OnFault::Continue,
            ..PoolOptions::default()
        };
        assert_eq!(bad_jobs(options).await, (20, 20));
    });
}

/// How many of five jobs that wait are done after the stop has begun.
async fn done_at_stop(drain: Drain) -> usize {
    let options = PoolOptions {
        workers: 1,
        drain,
        limits: Some(QueueLimits {
            soft: 9,
            hard: 9,
            burst: 9,
        }),
        ..PoolOptions::default()
    };
    let queue = options.queue();
    let handle = PoolHandle::new(queue.clone());
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..5 {
        let done = Arc::clone(&done);
        let job = move |_| async move {
            tokio::time::sleep(seconds(1)).await;
            done.fetch_add(1, Ordering::Relaxed);
        };
        handle.try_submit(job).unwrap();
    }
    let service = worker_pool("pool", queue, options).into_handle();
    service.start().unwrap();
    service.ready().await.unwrap();
    service.close("now");
    service.wait().await.unwrap();
    done.load(Ordering::Relaxed)
}

#[test]
fn pool_stop_drains_queue() {
    paused(async {
        assert_eq!(done_at_stop(Drain::Finish(seconds(60))).await, 5);
        assert_eq!(done_at_stop(Drain::Finish(millis(3500))).await, 3);
        // The one that is under way is not cut off.
        assert_eq!(done_at_stop(Drain::Discard).await, 1);
    });
}

#[test]
fn observed_pool_sees_panics_only_errors() {
    paused(async {
        let options = PoolOptions {
            workers: 2,
            ..PoolOptions::default()
        };
        let queue = options.queue();
        let handle = PoolHandle::new(queue.clone());
        let diary = Diary::default();
        let seen = diary.clone();
        let service = observed_pool("pool", queue, options, move |failure: &Failure| {
            seen.note(failure.to_string());
        });
        handle.try_submit(|_| async {}).unwrap();
        handle.try_submit(|_| async { fail("panic") }).unwrap();
        handle
            .try_submit(|_| async { Err::<(), BoxError>("error".into()) })
            .unwrap();
        let service = service.into_handle();
        service.start().unwrap();
        tokio::time::sleep(seconds(1)).await;
        service.close("now");
        let report = service.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
        let mut entries = diary.entries();
        entries.sort_unstable();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0], "error");
        assert!(entries[1].starts_with("panicked: panic"), "{entries:?}");
    });
}

#[test]
fn who_waits_for_a_job_hears_that_the_pool_has_ended() {
    paused(async {
        let options = PoolOptions::default();
        let queue = options.queue();
        let pool = PoolHandle::new(queue.clone());
        pool.try_submit(|_| async { Err::<(), BoxError>("no".into()) })
            .unwrap();
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        pool.try_submit(|_| async { tell.send(()).unwrap() })
            .unwrap();
        let service = worker_pool("pool", queue, options).into_handle();
        service.start().unwrap();
        let answer = tokio::time::timeout(seconds(10), told).await;
        assert!(answer.unwrap().is_err(), "it was never done");
        service.wait().await.unwrap();
        assert_eq!(pool.try_submit(endless), Err(QueueError::Closed));
    });
}

#[test]
fn who_waits_for_a_job_hears_that_the_pool_was_dropped() {
    paused(async {
        let options = PoolOptions {
            drain: Drain::Discard,
            ..PoolOptions::default()
        };
        let queue = options.queue();
        let pool = PoolHandle::new(queue.clone());
        pool.try_submit(endless).unwrap();
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        let service = worker_pool("pool", queue, options).into_handle();
        service.start().unwrap();
        service.ready().await.unwrap();
        pool.try_submit(|_| async { tell.send(()).unwrap() })
            .unwrap();
        service.close("now");
        let answer = tokio::time::timeout(seconds(10), told).await;
        assert!(answer.unwrap().is_err(), "it was never done");
        let report = service.wait().await.unwrap();
        assert_eq!(report.unstopped.len(), 1, "the endless job is the culprit");
    });
}

#[test]
fn an_observer_that_panics_ends_no_pool() {
    paused(async {
        let options = PoolOptions::default();
        let queue = options.queue();
        let pool = PoolHandle::new(queue.clone());
        let service = observed_pool("pool", queue, options, |_: &Failure| fail("observer"));
        pool.try_submit(|_| async { Err::<(), BoxError>("no".into()) })
            .unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        pool.try_submit(|_| async { tell.send(()).unwrap() })
            .unwrap();
        let service = service.into_handle();
        service.start().unwrap();
        let answer = tokio::time::timeout(seconds(10), told).await;
        answer.unwrap().unwrap();
        service.close("now");
        let report = service.wait().await.unwrap();
        assert_eq!(report.errors.len(), 1);
        assert!(
            report.to_string().contains("panicked: observer"),
            "{report}"
        );
    });
}

#[test]
fn pool_unknown_key_names_key() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let service = Service::new("one", |context: Context| async move {
            let missing = context.pool("thumbnails").unwrap_err();
            assert_eq!(
                missing.to_string(),
                "there is no worker pool \"thumbnails\""
            );
            let pool = context.pool("mail").unwrap();
            let (tell, told) = tokio::sync::oneshot::channel();
            pool.submit(|_| async { tell.send(42).unwrap() })
                .await
                .unwrap();
            assert_eq!(told.await.unwrap(), 42);
        });
        all.handle()
            .add_pool("mail", PoolOptions::default())
            .unwrap();
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn duplicate_pool_key_rejected() {
    let all = Orchestrator::builder("all").build();
    let handle = all.handle();
    handle.add_pool("mail", PoolOptions::default()).unwrap();
    let again = handle.add_pool("mail", PoolOptions::default());
    assert!(matches!(again, Err(AddError::Duplicate { .. })));
}

/// What a job of the pool `key` answers, asked by a service that has `context`.
async fn answer_of(context: &Context, key: &str) -> Option<Arc<str>> {
    let pool = context.pool(key).ok()?;
    let (tell, told) = tokio::sync::oneshot::channel();
    let job = |context: Context| async move { tell.send(Arc::from(context.path())).unwrap() };
    pool.submit(job).await.ok()?;
    told.await.ok()
}

#[test]
fn the_nearest_pool_wins() {
    paused(async {
        let diary = Diary::default();
        let told = diary.clone();
        let service = Service::new("one", move |context: Context| {
            let diary = told.clone();
            async move {
                for key in ["mail", "images", "sounds"] {
                    diary.note(format!("{:?}", answer_of(&context, key).await));
                }
            }
        });
        let below = Orchestrator::builder("below").build();
        below.add(service).unwrap();
        let pool = below.handle();
        pool.add_pool("mail", PoolOptions::default()).unwrap();
        let all = Orchestrator::builder("all").build();
        for key in ["mail", "images"] {
            let added = all.handle().add_pool(key, PoolOptions::default());
            added.unwrap();
        }
        all.add(below.into_service()).unwrap();
        all.start().unwrap();
        let answers = tokio::time::timeout(seconds(10), async {
            while diary.entries().len() < 3 {
                tokio::time::sleep(millis(5)).await;
            }
        });
        answers.await.unwrap();
        assert_eq!(
            diary.entries(),
            [r#"Some("below/mail")"#, r#"Some("all/images")"#, "None"]
        );
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn a_pool_that_was_removed_is_found_no_more() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let handle = all.handle();
        all.start().unwrap();
        for _ in 0..3 {
            handle.add_pool("mail", PoolOptions::default()).unwrap();
            handle
                .pool("mail")
                .unwrap()
                .try_submit(|_| async {})
                .unwrap();
            handle.remove("mail").await.unwrap();
            assert_eq!(&*handle.pool("mail").unwrap_err().key, "mail");
        }
        all.close("now");
        all.wait().await.unwrap();
    });
}
