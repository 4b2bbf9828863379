//! A broker of two cores.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use tidegate_mqtt::broker::shard::{ShardId, shard_of};
use tidegate_mqtt::server::{Exchange, ServerSettings};
use tidegate_runtime::cancel::CancelToken;
use tidegate_runtime::worker::{Placement, WorkerIndex, WorkerThread, spawn_worker};

use crate::client::part_of_broker;

/// Two workers with a core and a port each.
pub struct TwoCores {
    pub exchange: Arc<Exchange>,
    pub addresses: Vec<SocketAddr>,
    pub drain: CancelToken,
    pub workers: Vec<WorkerThread>,
}

impl TwoCores {
    pub fn start() -> Self {
        let exchange = Arc::new(Exchange::new(2));
        let drain = CancelToken::new();
        let mut addresses = Vec::new();
        let mut workers = Vec::new();
        for index in 0..2 {
            let (shared, drain) = (Arc::clone(&exchange), drain.clone());
            let (tell, told) = mpsc::sync_channel(1);
            let worker = spawn_worker(
                WorkerIndex(index),
                Placement::Unpinned,
                move || async move {
                    let part = part_of_broker(ServerSettings::default(), shared).await;
                    tell.send(part.address).unwrap();
                    drain.cancelled().await;
                    part.connections.drain();
                    part.connections.idle().await;
                },
            );
            addresses.push(told.recv().unwrap());
            workers.push(worker.unwrap());
        }
        Self {
            exchange,
            addresses,
            drain,
            workers,
        }
    }

    /// Ends both workers; every client has to have left by then, or to be told to.
    pub fn stop(self) {
        self.drain.cancel();
        self.workers.into_iter().for_each(WorkerThread::join);
    }
}

/// A client identifier whose session is on this core.
pub fn at_home(core: u8, name: &str) -> String {
    (0..)
        .map(|number| format!("{name}{number}"))
        .find(|id| shard_of(id, 2) == ShardId(core))
        .unwrap()
}
