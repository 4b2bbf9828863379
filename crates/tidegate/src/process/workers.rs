//! A worker as a service: one that dies comes back alone, with its sites.

use std::sync::Arc;

use tidegate_orchestrator::{RESPAWN_PAUSE_FIRST, RESPAWN_PAUSE_LONGEST, WorkerLives};
use tidegate_runtime::worker::WorkerEnd;
use tidegate_supervisor::{Backoff, Context, Restart, Service};
use tokio::sync::Mutex;

use crate::assemble::SiteChain;

/// Watches over one worker. It ends when the deployment has stopped the workers.
pub(super) fn worker(lives: WorkerLives<SiteChain>) -> Service {
    let name = format!("worker-{}", lives.worker());
    let lives = Arc::new(Mutex::new(lives));
    Service::new(name, move |_: Context| {
        let lives = Arc::clone(&lives);
        async move {
            let mut lives = lives.lock().await;
            let worker = lives.worker();
            match lives.live().await {
                WorkerEnd::Returned if lives.is_stopping() => Ok(()),
                end => {
                    tracing::error!(%worker, %end, "a worker died and is started again");
                    Err(end.to_string())
                }
            }
        }
    })
    .restart(Restart::Always(Backoff {
        base: RESPAWN_PAUSE_FIRST,
        max: RESPAWN_PAUSE_LONGEST,
        reset_after: RESPAWN_PAUSE_LONGEST,
        // A core without a worker is worse than one that tries again every few seconds.
        intensity: None,
        ..Backoff::default()
    }))
}
