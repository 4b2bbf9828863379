//! What asks for a reload when the file has changed.

use std::sync::Arc;

use tidegate_supervisor::{Backoff, Context, Restart, Service};
use tokio::sync::Mutex;

use super::control::Control;
use crate::watch::FileWatch;

pub(super) fn config_watch(name: &str, watch: FileWatch, control: Control) -> Service {
    let watch = Arc::new(Mutex::new(watch));
    Service::new(name, move |context: Context| {
        let (watch, control) = (Arc::clone(&watch), control.clone());
        async move {
            let mut watch = watch.lock().await;
            loop {
                tokio::select! {
                    () = context.drain().cancelled() => return,
                    () = watch.changed() => {}
                }
                // The outcome is logged where the reload happens.
                if let Err(error) = control.reload("file change").await {
                    tracing::warn!(%error, "the changed file was not read");
                }
            }
        }
    })
    .restart(Restart::Always(Backoff::default()))
}
