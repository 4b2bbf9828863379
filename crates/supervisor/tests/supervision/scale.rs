//! Many services, many times, and none at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_supervisor::{Context, Orchestrator, Service};
use tokio::runtime::{Builder, LocalOptions};

use crate::rig::{Diary, instant, patient, paused, seconds};

#[test]
fn add_remove_million_no_growth() {
    // A tenth of it here, where each service really runs; the rest is the machine's own test.
    const CYCLES: usize = 100_000;
    paused(async {
        let all = Orchestrator::builder("all").build();
        all.start().unwrap();
        let handle = all.handle();
        for cycle in 0..CYCLES {
            all.add(instant("one")).unwrap();
            handle.remove("one").await.unwrap();
            if cycle % 10_000 == 0 {
                assert!(handle.list().is_empty());
            }
        }
        assert!(handle.list().is_empty());
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
    });
}

#[test]
fn a_thousand_services_start_and_stop_in_a_moment() {
    let begun = std::time::Instant::now();
    paused(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        for number in 0..1000 {
            let service = Service::new(format!("number {number}"), |context: Context| async move {
                context.drain().cancelled().await;
            });
            all.add(service).unwrap();
        }
        all.add(patient("last", &diary)).unwrap();
        all.start().unwrap();
        all.handle().service("last").unwrap().ready().await.unwrap();
        all.close("now");
        assert!(all.wait().await.unwrap().is_clean());
    });
    // Unoptimised, on a machine that may be doing other things.
    assert!(begun.elapsed() < seconds(10), "{:?}", begun.elapsed());
}

#[test]
fn an_idle_supervisor_wakes_nobody() {
    let unparked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&unparked);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let all = Orchestrator::builder("all").build();
        let diary = Diary::default();
        for name in ["a", "b", "c"] {
            all.add(patient(name, &diary)).unwrap();
        }
        all.start().unwrap();
        all.handle().service("c").unwrap().ready().await.unwrap();
        tokio::task::yield_now().await;
        let before = unparked.load(Ordering::Relaxed);
        // The one wait of this test: for as long as it lasts nothing may happen.
        tokio::time::sleep(seconds(1)).await;
        let woken = unparked.load(Ordering::Relaxed) - before;
        // A timer of a second is moved nearer in steps, once for each level of tokio's wheel.
        assert!(
            woken <= 4,
            "woken {woken} times, though only this test's timer was due"
        );
        all.close("now");
        all.wait().await.unwrap();
    });
}
