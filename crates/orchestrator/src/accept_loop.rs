//! From a listener into the chain that the site's slot holds now.

use std::pin::pin;

use tidegate_runtime::cancel::CancelToken;
use tidegate_runtime::limit::{self, Limit};
use tidegate_runtime::listener::{Listener, Pass, SocketId};
use tokio::task::{JoinHandle, spawn_local, yield_now};

use crate::container::ServiceSlot;
use crate::deployed::Deployed;
use crate::factory::Chain;

/// How many turns of the worker a newcomer waits for an evicted connection to leave.
const EVICTION_TURNS_MAX: usize = 16;

/// One address of a site, being accepted from.
#[derive(Debug)]
pub(crate) struct AcceptLoop {
    socket: SocketId,
    stop: CancelToken,
    task: JoinHandle<()>,
}

impl AcceptLoop {
    pub(crate) fn start<S: Chain>(listener: Listener, slot: ServiceSlot<S>) -> Self {
        let stop = CancelToken::new();
        Self {
            socket: listener.socket_id(),
            task: spawn_local(serve(listener, slot, stop.clone())),
            stop,
        }
    }

    pub(crate) fn socket(&self) -> SocketId {
        self.socket
    }

    /// Takes nothing new, except what is queued at an address that is being closed; returns when
    /// the sockets are given up.
    pub(crate) async fn close_all(loops: Vec<Self>) {
        for running in &loops {
            running.stop.cancel();
        }
        for running in loops {
            if let Err(error) = running.task.await {
                tracing::error!(%error, "an accept loop failed");
            }
        }
    }
}

async fn serve<S: Chain>(mut listener: Listener, slot: ServiceSlot<S>, stop: CancelToken) {
    let mut is_open = true;
    // Made once: a new one for each connection would have to be put among the token's waiters.
    let mut stopped = pin!(stop.cancelled());
    loop {
        if is_open && stop.is_cancelled() {
            is_open = false;
            listener.close();
        }
        let incoming = tokio::select! {
            biased;
            incoming = listener.accept() => incoming,
            () = &mut stopped, if is_open => continue,
        };
        let Some(incoming) = incoming else {
            return;
        };
        let pass = enter(&slot.current()).await;
        // The slot again: another chain may have been deployed meanwhile.
        match pass {
            Some(pass) => slot.current().connect(incoming, pass),
            None => incoming.refuse(),
        }
    }
}

/// A place for a newcomer, if need be that of the connection that has been idle for longest.
async fn enter<S: Chain>(deployed: &Deployed<S>) -> Option<Pass> {
    let admission = &deployed.admission;
    if let Some(pass) = admission.enter() {
        return Some(pass);
    }
    limit::hit(Limit::Connections);
    if !deployed.connections.evict_oldest_idle() {
        return None;
    }
    for _ in 0..EVICTION_TURNS_MAX {
        yield_now().await;
        if let Some(pass) = admission.enter() {
            return Some(pass);
        }
    }
    None
}
