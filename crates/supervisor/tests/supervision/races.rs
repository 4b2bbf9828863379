//! Everything at once, in many orders: each seed is another schedule of the same actors, and a
//! failing one can be run again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_supervisor::{
    Backoff, Budget, Context, Orchestrator, OrchestratorHandle, Restart, Service, ServiceHandle,
    StopPolicy,
};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::rig::{millis, paused, seconds};

const SEEDS: u64 = 300;
const ACTORS: u64 = 6;
const STEPS: u64 = 40;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// A ceiling for everything, far above the stop's own.
const HANG: std::time::Duration = seconds(3600);

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn of(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed)))
    }

    fn below(&self, limit: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Lets others get in between, or time pass.
    async fn pause(&self) {
        match self.below(8) {
            0 => sleep(millis(self.below(700))).await,
            turns => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
        }
    }
}

/// How many attempts of each service are in their run phase.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<BTreeMap<&'static str, usize>>>);

/// One attempt, counted until it is dropped, however that comes.
struct Present(Running, &'static str);

impl Running {
    fn enter(&self, name: &'static str) -> Present {
        let mut running = self.0.lock().unwrap();
        let count = running.entry(name).or_default();
        *count += 1;
        assert_eq!(*count, 1, "two attempts of {name} at once");
        Present(self.clone(), name)
    }

    fn count(&self, name: &'static str) -> usize {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap().get_mut(self.1).unwrap() -= 1;
    }
}

/// A service whose every attempt does something else.
fn moody(name: &'static str, seed: u64, running: &Running) -> Service {
    let running = running.clone();
    let attempts = Arc::new(AtomicUsize::new(0));
    Service::new(name, move |context: Context| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        let present = running.enter(name);
        async move {
            let _present = present;
            let dice = Dice::of(seed ^ attempt as u64);
            dice.pause().await;
            match dice.below(6) {
                0 => Ok(()),
                1 => Err("out of sorts"),
                // As a panic, but without a word from the hook each time.
                2 => std::panic::resume_unwind(Box::new("in a bad mood")),
                // Deaf to the drain; the abort drops it.
                3 => std::future::pending().await,
                _ => {
                    context.drain().cancelled().await;
                    dice.pause().await;
                    Ok(())
                }
            }
        }
    })
    .restart(Restart::Always(Backoff {
        base: millis(50),
        ..Backoff::default()
    }))
    .stop(StopPolicy {
        drain: millis(400),
        ..StopPolicy::default()
    })
}

struct Actor {
    all: OrchestratorHandle,
    dice: Dice,
    running: Running,
    handles: Rc<RefCell<Vec<ServiceHandle>>>,
}

impl Actor {
    async fn act(self) {
        for _ in 0..STEPS {
            self.dice.pause().await;
            let name = NAMES[usize::try_from(self.dice.below(5)).unwrap()];
            match self.dice.below(9) {
                0..=2 => self.add(name),
                3 => self.remove(name).await,
                // Refused for one that is not there or has ended.
                4 => self.all.restart(name).unwrap_or_default(),
                5 => self.all.reload(),
                6 => drop(self.all.list()),
                7 => {
                    if let Some(handle) = self.all.service(name) {
                        // Given up half-way as often as not.
                        drop(timeout(millis(self.dice.below(500)), handle.ready()).await);
                        handle.close("an actor wanted it");
                    }
                }
                _ => {
                    if let Some(handle) = self.all.service(name) {
                        drop(handle.wait_timeout(millis(self.dice.below(500))).await);
                    }
                }
            }
        }
    }

    fn add(&self, name: &'static str) {
        let seed = self.dice.below(u64::MAX);
        // Refused while there is one of that name, or once the stop has begun.
        if let Ok(Some(handle)) = self.all.add(moody(name, seed, &self.running)) {
            self.handles.borrow_mut().push(handle);
        }
    }

    async fn remove(&self, name: &'static str) {
        let handle = self.all.service(name);
        let removed = timeout(HANG, self.all.remove(name)).await;
        let removed = removed.expect("a removal returns");
        if let (Some(handle), Ok(report)) = (handle, removed) {
            let waited = handle.wait().await.unwrap();
            assert!(Arc::ptr_eq(&waited, &report) || handle.name() != &report.path);
        }
    }
}

async fn schedule(seed: u64) {
    let budget = Budget {
        total: seconds(3),
        ..Budget::default()
    };
    let all = Orchestrator::builder("all").budget(budget).build();
    let (dice, running) = (Dice::of(seed), Running::default());
    let handles = Rc::new(RefCell::new(Vec::new()));
    all.start().unwrap();
    let actors: Vec<_> = (0..ACTORS)
        .map(|number| {
            spawn_local(
                Actor {
                    all: all.handle(),
                    dice: Dice::of(seed.wrapping_mul(31).wrapping_add(number)),
                    running: running.clone(),
                    handles: Rc::clone(&handles),
                }
                .act(),
            )
        })
        .collect();
    sleep(millis(dice.below(20_000))).await;
    all.close("enough");
    let begun = Instant::now();
    let report = timeout(HANG, all.wait()).await.expect("the stop ends");
    report.unwrap();
    assert!(begun.elapsed() <= seconds(3), "{:?}", begun.elapsed());
    for name in NAMES {
        assert_eq!(running.count(name), 0, "{name} outlived the stop");
    }
    for handle in &handles.take() {
        let first = timeout(HANG, handle.wait()).await.expect("a wait returns");
        let second = handle.wait().await;
        assert!(
            Arc::ptr_eq(&first.unwrap(), &second.unwrap()),
            "one report for all"
        );
        assert!(!handle.is_running());
    }
    for actor in actors {
        // They go on, at a closed orchestrator, and must not be stuck there.
        timeout(HANG, actor).await.expect("an actor ends").unwrap();
    }
}

#[test]
fn any_order_of_calls_ends_in_order() {
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| paused(schedule(seed)));
        assert!(outcome.is_ok(), "the schedule of seed {seed}");
    }
}

#[test]
fn calls_from_other_threads_cross_the_driver() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 300;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let all = Orchestrator::builder("all").build();
        all.start().unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (handle, runs, over) = (all.handle(), Arc::clone(&runs), Arc::clone(&over));
                let hammer = move || {
                    for round in 0..ROUNDS {
                        let runs = Arc::clone(&runs);
                        let name = format!("{number}-{round}");
                        let service = Service::new(name.clone(), move |context: Context| {
                            runs.fetch_add(1, Ordering::Relaxed);
                            async move { context.drain().cancelled().await }
                        });
                        let added = handle.add(service).unwrap().unwrap();
                        if round % 3 == 0 {
                            handle.restart(&name).unwrap_or_default();
                        }
                        added.close("enough");
                        drop(handle.list());
                    }
                    over.store(true, Ordering::Release);
                };
                let builder = std::thread::Builder::new().name("hammer".to_owned());
                builder.spawn(hammer).unwrap()
            })
            .collect();
        // The driver needs this thread meanwhile.
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            sleep(millis(1)).await;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(over.load(Ordering::Acquire));
        all.close("now");
        let report = timeout(seconds(20), all.wait())
            .await
            .expect("it ends")
            .unwrap();
        assert!(report.unstopped.is_empty(), "{report}");
        assert!(runs.load(Ordering::Relaxed) > 0);
    });
}
