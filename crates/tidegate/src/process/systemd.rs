//! What systemd is told, besides what the deployment tells it.

use std::sync::Arc;

use tidegate_supervisor::systemd::{Notice, Notifier, watchdog_interval};
use tidegate_supervisor::{Context, Service};

/// Says that the control thread is alive, as often as systemd wants; ends at once if it does
/// not.
pub(super) fn watchdog(name: &str, notifier: &Arc<Notifier>) -> Service {
    let interval = watchdog_interval(|it| std::env::var_os(it), std::process::id());
    let notifier = Arc::clone(notifier);
    Service::new(name, move |context: Context| {
        let notifier = Arc::clone(&notifier);
        async move {
            let Some(interval) = interval else {
                return;
            };
            loop {
                notifier.tell(&Notice::Watchdog);
                tokio::select! {
                    () = context.drain().cancelled() => return,
                    () = tokio::time::sleep(interval) => {}
                }
            }
        }
    })
}
