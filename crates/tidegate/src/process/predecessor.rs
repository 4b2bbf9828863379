//! What this process has from the one it replaces.

use std::env;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::stdio::{dup2_stdin, stdin};
use tidegate_runtime::listener::Predecessor;
use tidegate_supervisor::{Context, Readiness, Service};
use tokio::time::timeout;

/// Names the process that started this one to be replaced by it; standard input is the line
/// to it. Anybody further down who inherits the variable has another parent.
pub(super) const PREDECESSOR_VARIABLE: &str = "TIDEGATE_PREDECESSOR";

/// The longest that side programs wait for those of the predecessor to end.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(600);

/// Takes over what the predecessor has, if there is one.
///
/// # Errors
///
/// There is one, but it is gone or silent. Then this process is not wanted.
pub fn inherit() -> io::Result<Option<Predecessor>> {
    let named = env::var(PREDECESSOR_VARIABLE).ok();
    let named = named.and_then(|it| it.parse::<i32>().ok());
    let parent = rustix::process::getppid().map(|it| it.as_raw_nonzero().get());
    if named.is_none() || named != parent {
        return Ok(None);
    }
    let line = stdin().try_clone_to_owned()?;
    // Nobody else is to hold the line: its end has a meaning.
    dup2_stdin(File::open("/dev/null")?)?;
    Predecessor::inherit(line).map(Some)
}

/// The predecessor as a service, which is ready once it has gone: what cannot be there twice
/// waits for it.
pub(super) fn departure(name: &str, predecessor: Arc<Predecessor>) -> Service {
    Service::once(name, move |context: Context| async move {
        if timeout(PREDECESSOR_PATIENCE, predecessor.gone())
            .await
            .is_err()
        {
            tracing::warn!("the predecessor is still there; not waiting for it any longer");
        }
        context.notify_ready();
        context.drain().cancelled().await;
    })
    .readiness(Readiness::Explicit {
        within: PREDECESSOR_PATIENCE * 2,
    })
}
