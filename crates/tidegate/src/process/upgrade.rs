//! Replacing the binary while it serves: another process of the same program takes over the
//! listening sockets, and this one stops once that one serves.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tidegate_runtime::listener::Heir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::predecessor::PREDECESSOR_VARIABLE;

/// How the program was started, and is to be started again.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it was found at the start: what is there now is what an upgrade starts.
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Who goes on.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) pid: u32,
    /// Its end tells the successor that this process has gone.
    pub(super) heir: Heir,
}

/// Why nobody does.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The program cannot be started.
    #[error("{path} cannot be started: {source}")]
    Start {
        /// The program.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It ended, and has told why where its log goes.
    #[error("the new process ended before it served ({0}); its log says why")]
    Ended(ExitStatus),
    /// It takes too long.
    #[error("the new process did not serve within {0:?} and was killed")]
    TimedOut(Duration),
    /// It did not take the sockets.
    #[error("the new process did not take the listening sockets: {0}")]
    Sockets(io::Error),
}

impl Program {
    /// This process's. To be asked at the start: later the file may be another, or gone.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn current() -> io::Result<Self> {
        Ok(Self {
            path: env::current_exe()?,
            arguments: env::args_os().skip(1).collect(),
        })
    }

    /// Starts it again, gives it the listening sockets, and waits until it serves. Until then,
    /// and after any error, nothing has changed for this process. Cancelled, the new one finds
    /// its line cut and ends by itself.
    ///
    /// # Errors
    ///
    /// It does not come to serve, and is gone.
    pub(super) async fn succeed(self, within: Duration) -> Result<Successor, UpgradeError> {
        let (mut heir, line) = Heir::expect().map_err(UpgradeError::Sockets)?;
        let started = Command::new(&self.path)
            .args(&self.arguments)
            .env(PREDECESSOR_VARIABLE, std::process::id().to_string())
            .stdin(Stdio::from(line))
            .spawn();
        let mut child = started.map_err(|source| UpgradeError::Start {
            path: self.path.display().to_string(),
            source,
        })?;
        let taken = timeout(within, take_over(&mut heir, &mut child)).await;
        let failure = match (taken, child.id()) {
            (Ok(Ok(())), Some(pid)) => return Ok(Successor { pid, heir }),
            (Ok(Ok(())), None) => UpgradeError::Sockets(io::ErrorKind::UnexpectedEof.into()),
            (Ok(Err(error)), _) => error,
            (Err(_elapsed), _) => UpgradeError::TimedOut(within),
        };
        // An error here says that it has ended already.
        let _ = child.kill().await;
        Err(failure)
    }
}

async fn take_over(heir: &mut Heir, child: &mut Child) -> Result<(), UpgradeError> {
    let taken = async {
        heir.bequeath().await?;
        heir.ready().await
    };
    tokio::select! {
        ended = child.wait() => Err(match ended {
            Ok(status) => UpgradeError::Ended(status),
            Err(error) => UpgradeError::Sockets(error),
        }),
        taken = taken => match taken {
            Ok(()) => Ok(()),
            // Most likely it has ended; why is worth more than that the line was cut.
            Err(error) => match timeout(EXIT_PATIENCE, child.wait()).await {
                Ok(Ok(status)) => Err(UpgradeError::Ended(status)),
                Ok(Err(_)) | Err(_) => Err(UpgradeError::Sockets(error)),
            },
        },
    }
}

/// How long a process whose line is cut is given to end by itself.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);
