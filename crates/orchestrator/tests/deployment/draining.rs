//! How connections and generations end.

use std::time::Duration;

use tidegate_orchestrator::{Phase, ServiceCommand};
use tidegate_runtime::listener::ListenerOptions;
use tokio::net::TcpStream;

use crate::rig::*;

fn drained_within(drain: Duration) -> tidegate_runtime::listener::ListenerBuilder {
    let options = ListenerOptions {
        drain,
        ..ListenerOptions::default()
    };
    listen_with(&["127.0.0.1:0"], options)
}

#[tokio::test]
async fn old_connections_are_asked_to_leave_and_their_generation_goes() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut old = Client::connect(address).await;
    assert_eq!(site(&manager, "web").await.open(), 1);
    apply(&manager, vec![deploy("web", echo("two"), any_port())]).await;
    old.closed().await;
    eventually("the old generation is gone", async || {
        let counts = site(&manager, "web").await.connections;
        counts.iter().all(|count| count.phase == Phase::Serving)
    })
    .await;
    finish(manager).await;
}

#[tokio::test]
async fn who_does_not_leave_keeps_its_chain_until_the_deadline() {
    let manager = manager();
    let patient = drained_within(Duration::from_secs(3600));
    let first = deploy("web", echo("one").stubborn(), patient);
    let first = apply(&manager, vec![first]).await;
    let address = address(&manager, "web").await;
    let mut old = Client::connect(address).await;

    let second = deploy(
        "web",
        echo("two").stubborn(),
        drained_within(Duration::ZERO),
    );
    let second = apply(&manager, vec![second]).await;
    assert_eq!(
        old.say("hello").await.unwrap(),
        "hello",
        "served by the old chain"
    );
    let mut newer = Client::connect(address).await;
    assert_eq!(newer.greeting, "two after one");
    let counts = site(&manager, "web").await.connections;
    let open = |generation, phase| {
        let of = counts
            .iter()
            .filter(|it| it.generation == generation && it.phase == phase);
        of.map(|count| count.open).sum::<usize>()
    };
    assert_eq!(open(first.generation, Phase::Draining), 1);
    assert_eq!(open(second.generation, Phase::Serving), 1);

    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    newer.closed().await;
    assert_eq!(
        old.say("hello").await.unwrap(),
        "hello",
        "it has its own deadline"
    );
    manager.abort();
    old.closed().await;
    finish(manager).await;
}

#[tokio::test]
async fn a_removed_site_serves_its_queue_and_then_refuses() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut open = Client::connect(address).await;
    // Handshakes are done by the kernel: these may still be queued when the site goes.
    let mut queued = Vec::new();
    for _ in 0..50 {
        queued.push(TcpStream::connect(address).await.unwrap());
    }
    apply(&manager, vec![remove("web")]).await;
    assert!(is_refused(address).await);
    for stream in queued {
        let mut greeting = [0; 3];
        stream.readable().await.unwrap();
        let count = stream.try_read(&mut greeting).unwrap();
        assert_eq!(&greeting[..count], b"one", "nobody in the queue was lost");
    }
    open.closed().await;
    eventually("nothing is left of it", async || {
        !manager.status().await.sites.contains_key("web")
    })
    .await;
    finish(manager).await;
}

#[tokio::test]
async fn a_drained_site_goes_on_with_new_connections() {
    let manager = manager();
    let applied = apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut old = Client::connect(address).await;
    let drain = ServiceCommand::Drain("web".into());
    manager.dispatch_service_command(drain).await.err().unwrap();
    old.closed().await;
    assert_eq!(greeting(address).await, "one");
    let status = site(&manager, "web").await;
    assert_eq!(status.generation, Some(applied.generation));
    finish(manager).await;
}

#[tokio::test]
async fn a_shutdown_drains_and_ends_the_threads() {
    let mut manager = Manager::new(tidegate_orchestrator::RuntimeConfig {
        workers: 2,
        pin: true,
        command_timeout: DEADLINE,
    });
    let joins = manager.spawn_workers_async();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut client = Client::connect(address).await;
    let report = manager.shutdown(DEADLINE).await;
    client.closed().await;
    assert_eq!(report, tidegate_orchestrator::ShutdownReport::default());
    assert!(is_refused(address).await);
    for join in joins {
        let end = join.join().await;
        assert!(matches!(end, tidegate_runtime::worker::WorkerEnd::Returned));
    }
    let late = manager.apply(vec![remove("web")]).await;
    assert_eq!(late, Err(tidegate_orchestrator::ApplyError::NotRunning));
}

#[tokio::test]
async fn a_shutdown_drops_who_does_not_leave() {
    let manager = manager();
    let stubborn = deploy("web", echo("one").stubborn(), any_port());
    apply(&manager, vec![stubborn]).await;
    let address = address(&manager, "web").await;
    let mut client = Client::connect(address).await;
    let report = manager.shutdown(Duration::ZERO).await;
    assert_eq!(report.connections_dropped, 1);
    client.closed().await;
}

#[tokio::test]
async fn an_abort_cuts_a_shutdown_short() {
    let manager = manager();
    let stubborn = deploy("web", echo("one").stubborn(), any_port());
    apply(&manager, vec![stubborn]).await;
    let address = address(&manager, "web").await;
    let mut client = Client::connect(address).await;
    let (report, ()) = tokio::join!(manager.shutdown(Duration::from_secs(3600)), async {
        eventually("the listeners are closed", async || {
            is_refused(address).await
        })
        .await;
        manager.abort();
    });
    // At least the one with the connection; the other may not even have been asked to stop.
    assert!(!report.unreported.is_empty());
    assert_eq!(report.stuck, []);
    client.closed().await;
}
