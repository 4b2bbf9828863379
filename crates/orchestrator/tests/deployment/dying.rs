//! Panics: in a connection, and of a whole worker.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tidegate_orchestrator::{ApplyError, CommandError};

use crate::rig::*;

#[tokio::test]
async fn a_panic_in_a_connection_leaves_all_others_alone() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(Client::connect(address).await);
    }
    let mut victim = Client::connect(address).await;
    assert!(victim.say("panic").await.is_err());
    victim.closed().await;
    for other in &mut others {
        assert_eq!(other.say("hello").await.unwrap(), "hello");
    }
    eventually(
        "the panic is counted and the place given back",
        async || {
            let status = manager.status().await;
            let panics: u64 = status.workers.iter().map(|worker| worker.panics).sum();
            panics == 1 && status.sites["web"].open() == others.len()
        },
    )
    .await;
    finish(manager).await;
}

#[tokio::test]
async fn a_dead_worker_is_replaced_and_its_queue_is_served() {
    const QUEUED: usize = 40;
    let manager = manager();
    let deployed = apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;

    let (burning, burns) = mpsc::sync_channel(1);
    let (fire, explode) = mpsc::sync_channel(1);
    let bomb = Bomb {
        worker: FIRST,
        armed: Arc::new(AtomicBool::new(true)),
        burning,
        explode: Arc::new(Mutex::new(explode)),
    };
    let mut deadly = echo("two");
    deadly.bomb = Some(bomb);
    let dying = manager.apply(vec![deploy("web", deadly, any_port())]);
    let meanwhile = async {
        tokio::task::spawn_blocking(move || burns.recv_timeout(DEADLINE))
            .await
            .unwrap()
            .unwrap();
        // The worker blocks: about half of these stay in its queue until it has a successor.
        let mut streams = Vec::new();
        for _ in 0..QUEUED {
            streams.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        // Whoever looks on is not kept waiting by it.
        let status = manager.status_within(Duration::from_millis(50)).await;
        let answered: Vec<bool> = status.workers.iter().map(|it| it.answered).collect();
        assert_eq!(answered, [false, true]);
        fire.send(()).unwrap();
        streams
    };
    let (died, streams) = tokio::join!(dying, meanwhile);
    let expected = ApplyError::Rejected {
        site: "web".into(),
        worker: Some(FIRST),
        cause: CommandError::WorkerGone,
    };
    assert_eq!(died.unwrap_err(), expected);

    for stream in streams {
        let mut greeting = [0; 3];
        let reading = async {
            stream.readable().await.unwrap();
            stream.try_read(&mut greeting)
        };
        let count = tokio::time::timeout(DEADLINE, reading).await.unwrap();
        assert_eq!(count.unwrap(), 3);
        assert_eq!(&greeting, b"one");
    }
    let status = site(&manager, "web").await;
    assert_eq!(status.connections.len(), 2, "both workers serve it");
    let same = |generation| generation == deployed.generation;
    assert!(status.connections.iter().all(|it| same(it.generation)));

    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    assert_eq!(greeting(address).await, "three after one");
    finish(manager).await;
}
