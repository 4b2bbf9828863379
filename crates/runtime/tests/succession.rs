//! Listening sockets that go from one process to the next, here played by one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use tidegate_runtime::listener::{
    Heir, ListenAddr, ListenerBuilder, ListenerOptions, Predecessor, close_unclaimed,
};
use tidegate_runtime::worker::WorkerIndex;
use tidegate_service::MakeService;
use tokio::time::{Duration, timeout};

/// More than enough to reach each of three sockets: the kernel spreads by hash.
const CLIENTS: usize = 96;

#[test]
fn an_heir_with_fewer_workers_serves_every_queue() {
    let runtime = tidegate_runtime::local::build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heir.sock");
        let addresses: Vec<ListenAddr> = vec![
            "127.0.0.1:0".parse().unwrap(),
            ListenAddr::Unix(path.clone()),
        ];
        let builder = ListenerBuilder::new(addresses, ListenerOptions::default());
        let elder = builder.make().unwrap();
        elder.spread(3).unwrap();
        let bound = elder.local_addresses()[0].tcp().unwrap();
        let queued: Vec<TcpStream> = (0..CLIENTS)
            .map(|_| TcpStream::connect(bound).unwrap())
            .collect();

        let (mut heir, line) = Heir::expect().unwrap();
        heir.bequeath().await.unwrap();
        let predecessor = Predecessor::inherit(line).unwrap();
        let younger = builder.make().unwrap();
        assert_eq!(younger.local_addresses()[0].tcp(), Some(bound));
        younger.spread(2).unwrap();
        predecessor.tell_ready().unwrap();
        heir.ready().await.unwrap();
        heir.leave_to();
        drop(elder);
        let _late = UnixStream::connect(&path).unwrap();

        let mut listeners = younger.for_worker(WorkerIndex(0)).unwrap();
        assert_eq!(
            listeners.len(),
            3,
            "two of three queues, and the Unix socket"
        );
        listeners.extend(younger.for_worker(WorkerIndex(1)).unwrap());
        let mut accepted = 0;
        for listener in &mut listeners {
            // The workers share the Unix socket; whoever comes first has its connection.
            while let Ok(Some(_)) = timeout(Duration::from_millis(50), listener.accept()).await {
                accepted += 1;
            }
        }
        assert_eq!(accepted, queued.len() + 1);

        drop(heir);
        predecessor.gone().await.unwrap();
        close_unclaimed();
    });
}

#[test]
fn a_line_that_ends_early_is_an_error_on_both_sides() {
    let runtime = tidegate_runtime::local::build().unwrap();
    runtime.block_on(async {
        let (heir, line) = Heir::expect().unwrap();
        drop(line);
        assert!(heir.ready().await.is_err());
        let (heir, line) = Heir::expect().unwrap();
        drop(heir);
        assert!(Predecessor::inherit(line).is_err());
    });
}
