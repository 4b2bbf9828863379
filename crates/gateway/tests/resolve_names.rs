//! DNS that fails, stalls or changes while traffic flows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tidegate_gateway::resolve::{
    ADDRESSES_MAX, Lookup, Resolved, ResolvedStatus, ResolverHandle, ResolverSettings,
    SystemLookup, resolver,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// What the fake resolver does about one name.
#[derive(Clone)]
enum Plan {
    Answer(Vec<SocketAddr>),
    Fail,
    /// Answers after a while.
    Late(Duration, Vec<SocketAddr>),
    Never,
}

#[derive(Clone, Default)]
struct Fake {
    plans: Rc<RefCell<HashMap<String, Plan>>>,
    asked: Rc<RefCell<Vec<String>>>,
    running: Rc<Cell<usize>>,
    running_max: Rc<Cell<usize>>,
}

impl Fake {
    fn plan(&self, host: &str, plan: Plan) {
        self.plans.borrow_mut().insert(host.to_owned(), plan);
    }

    fn asked(&self, host: &str) -> usize {
        let asked = self.asked.borrow();
        asked.iter().filter(|asked| *asked == host).count()
    }
}

/// Counts a lookup as running until it ends or is dropped.
struct Running(Rc<Cell<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Lookup for Fake {
    async fn lookup(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.borrow_mut().push(host.to_owned());
        self.running.set(self.running.get() + 1);
        self.running_max
            .set(self.running_max.get().max(self.running.get()));
        let _running = Running(Rc::clone(&self.running));
        let plan = self.plans.borrow().get(host).cloned();
        match plan.unwrap_or(Plan::Fail) {
            Plan::Answer(addresses) => Ok(addresses),
            Plan::Fail => Err(io::Error::other("SERVFAIL")),
            Plan::Late(after, addresses) => {
                sleep(after).await;
                Ok(addresses)
            }
            Plan::Never => std::future::pending().await,
        }
    }
}

fn addresses(of: &[&str]) -> Vec<SocketAddr> {
    of.iter().map(|address| address.parse().unwrap()).collect()
}

fn settings() -> ResolverSettings {
    ResolverSettings {
        refresh: Duration::from_secs(10),
        timeout: Duration::from_secs(2),
        give_up: Duration::from_secs(30),
        retry: Duration::from_secs(1),
        lookups_max: 3,
    }
}

/// Runs `test` beside a resolver on `fake`, on one thread in simulated time.
fn simulate<F: Future<Output = ()>>(fake: &Fake, test: impl FnOnce(ResolverHandle) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (handle, resolver) = resolver(settings());
        let (stop, stopped) = oneshot::channel::<()>();
        let run = resolver.run(fake.clone(), async {
            let _ = stopped.await;
        });
        let test = async {
            test(handle).await;
            stop.send(()).unwrap();
        };
        let ((), ()) = timeout(Duration::from_secs(100_000), async {
            tokio::join!(run, test)
        })
        .await
        .expect("the resolver stops when it is told to");
    });
}

async fn ready(resolved: &Resolved) {
    resolved.ready(Duration::from_secs(60)).await.unwrap();
}

#[test]
fn the_last_good_answer_outlives_failures() {
    let fake = Fake::default();
    fake.plan("api", Plan::Answer(addresses(&["10.0.0.1:80"])));
    simulate(&fake, async |handle| {
        let api = handle.watch("api", 80);
        assert_eq!(api.status(), ResolvedStatus::Pending);
        ready(&api).await;
        assert_eq!(api.status(), ResolvedStatus::Good);

        fake.plan("api", Plan::Fail);
        sleep(Duration::from_secs(100)).await;
        assert_eq!(*api.addresses(), *addresses(&["10.0.0.1:80"]));
        let ResolvedStatus::Failing { failures, why } = api.status() else {
            panic!("it fails: {api:?}");
        };
        // At 10, 11, 13, 17, 25, then every 10 seconds: retries back off to the refresh.
        assert_eq!((failures, why.as_str()), (12, "SERVFAIL"));

        fake.plan("api", Plan::Answer(Vec::new()));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(
            *api.addresses(),
            *addresses(&["10.0.0.1:80"]),
            "an empty answer is none"
        );

        fake.plan("api", Plan::Answer(addresses(&["10.0.0.2:80"])));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(*api.addresses(), *addresses(&["10.0.0.2:80"]));
        assert_eq!(api.status(), ResolvedStatus::Good);
    });
}

#[test]
fn a_name_that_never_resolved_is_an_error_with_its_reason() {
    let fake = Fake::default();
    simulate(&fake, async |handle| {
        let missing = handle.watch("missing", 80);
        let error = missing.ready(Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(error.to_string(), "`missing` does not resolve: SERVFAIL");
        assert!(missing.addresses().is_empty());

        fake.plan("slow", Plan::Never);
        let slow = handle.watch("slow", 80);
        let error = slow.ready(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "`slow` does not resolve: no answer yet");
        let error = slow.ready(Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.why.as_deref(), Some("no answer within 2s"));

        // It recovers by itself, and whoever waits is told.
        fake.plan("missing", Plan::Answer(addresses(&["10.0.0.1:80"])));
        missing.ready(Duration::from_secs(11)).await.unwrap();
    });
}

#[test]
fn a_late_answer_counts_and_a_lost_lookup_is_given_up() {
    let fake = Fake::default();
    fake.plan(
        "late",
        Plan::Late(Duration::from_secs(20), addresses(&["10.0.0.1:80"])),
    );
    fake.plan("lost", Plan::Never);
    simulate(&fake, async |handle| {
        let (late, lost) = (handle.watch("late", 80), handle.watch("lost", 80));
        sleep(Duration::from_secs(3)).await;
        assert!(matches!(
            late.status(),
            ResolvedStatus::Failing { failures: 1, .. }
        ));
        assert_eq!(fake.asked("late"), 1, "no second lookup beside the first");
        late.ready(Duration::from_secs(18)).await.unwrap();
        assert_eq!(late.status(), ResolvedStatus::Good);

        assert_eq!(fake.asked("lost"), 1);
        fake.plan("lost", Plan::Answer(addresses(&["10.0.0.9:80"])));
        lost.ready(Duration::from_secs(20)).await.unwrap();
    });
}

#[test]
fn lookups_at_once_are_bounded_and_all_get_their_turn() {
    let fake = Fake::default();
    let hosts: Vec<_> = (0..20).map(|n| format!("host{n}")).collect();
    for host in &hosts {
        fake.plan(
            host,
            Plan::Late(Duration::from_secs(1), addresses(&["10.0.0.1:80"])),
        );
    }
    simulate(&fake, async |handle| {
        let start = Instant::now();
        let watched: Vec<_> = hosts.iter().map(|host| handle.watch(host, 80)).collect();
        for resolved in &watched {
            ready(resolved).await;
        }
        // Twenty lookups of a second, three at a time.
        assert_eq!(start.elapsed().as_secs(), 7);
    });
    assert_eq!(fake.running_max.get(), 3);
    assert_eq!(fake.running.get(), 0, "a stop leaves no lookup behind");
}

#[test]
fn names_nobody_watches_are_no_longer_looked_up() {
    let fake = Fake::default();
    fake.plan("a", Plan::Answer(addresses(&["10.0.0.1:80"])));
    fake.plan("b", Plan::Answer(addresses(&["10.0.0.2:80"])));
    simulate(&fake, async |handle| {
        let old_chain = (handle.watch("a", 80), handle.watch("b", 80));
        ready(&old_chain.1).await;
        // The successor shares what its predecessor has, then the predecessor goes.
        let new_chain = handle.watch("a", 80);
        assert_eq!(*new_chain.addresses(), *addresses(&["10.0.0.1:80"]));
        assert_eq!(fake.asked("a"), 1);
        assert_eq!(handle.watched(), 2);
        drop(old_chain);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.watched(), 1);
        assert_eq!(fake.asked("b"), 1);
        assert_eq!(fake.asked("a"), 6 + 1);

        // Dropped and asked for again before its turn: a fresh start.
        drop(new_chain);
        let again = handle.watch("a", 80);
        assert!(again.addresses().is_empty());
        ready(&again).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.watched(), 1);
    });
}

#[test]
fn another_order_or_a_repeated_address_is_no_change() {
    let fake = Fake::default();
    fake.plan(
        "api",
        Plan::Answer(addresses(&["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"])),
    );
    simulate(&fake, async |handle| {
        let api = handle.watch("api", 80);
        ready(&api).await;
        let first = addresses(&["10.0.0.2:80", "10.0.0.1:80"]);
        assert_eq!(*api.addresses(), *first);
        fake.plan(
            "api",
            Plan::Answer(addresses(&["10.0.0.1:80", "10.0.0.2:80"])),
        );
        sleep(Duration::from_secs(11)).await;
        assert_eq!((fake.asked("api"), &*api.addresses()), (2, &*first));

        let many = (0..u16::MAX).map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        fake.plan("api", Plan::Answer(many.collect()));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(api.addresses().len(), ADDRESSES_MAX);
    });
}

#[test]
fn an_ip_address_needs_no_resolver() {
    let (handle, resolver) = resolver(settings());
    drop(resolver);
    for (host, expected) in [
        ("127.0.0.1", "127.0.0.1:80"),
        ("[::1]", "[::1]:80"),
        ("::1", "[::1]:80"),
    ] {
        let fixed = handle.watch(host, 80);
        assert_eq!(*fixed.addresses(), *addresses(&[expected]));
        assert_eq!(fixed.status(), ResolvedStatus::Good);
    }
    assert_eq!(handle.watched(), 0);
}

thread_local! {
    /// How many warnings this thread has logged.
    static WARNINGS: Cell<usize> = const { Cell::new(0) };
}

/// Counts warnings. Installed for the whole process, because a subscriber of one
/// thread is not asked about what another thread logs first.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        WARNINGS.set(WARNINGS.get() + 1);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_failing_name_is_warned_of_once_until_it_recovers() {
    tracing::subscriber::set_global_default(Warnings).unwrap();
    let fake = Fake::default();
    simulate(&fake, async |handle| {
        let api = handle.watch("api", 80);
        sleep(Duration::from_secs(300)).await;
        assert!(fake.asked("api") > 20);
        assert_eq!(WARNINGS.get(), 1);
        fake.plan("api", Plan::Answer(addresses(&["10.0.0.1:80"])));
        sleep(Duration::from_secs(20)).await;
        assert_eq!(api.addresses().len(), 1);
        fake.plan("api", Plan::Fail);
        sleep(Duration::from_secs(300)).await;
        assert_eq!(WARNINGS.get(), 2);
    });
}

#[test]
fn a_worker_on_another_thread_waits_for_and_reads_the_answer() {
    let (handle, resolver) = resolver(ResolverSettings::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let control = std::thread::Builder::new()
        .spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(resolver.run(SystemLookup, async {
                let _ = stopped.await;
            }));
        })
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let local = handle.watch("localhost", 8080);
        local.ready(Duration::from_secs(20)).await.unwrap();
        let all_local = |address: &SocketAddr| address.ip().is_loopback() && address.port() == 8080;
        assert!(local.addresses().iter().all(all_local), "{local:?}");
    });
    stop.send(()).unwrap();
    control.join().unwrap();
}
