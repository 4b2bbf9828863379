//! The way to the deployment, for whoever wants something of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_gateway::health::HealthHandle;
use tidegate_gateway::meter::Meters;
use tidegate_mqtt::server::operator::Operator;
use tidegate_orchestrator::{CommandError, Status};
use tidegate_runtime::worker::WorkerIndex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::settings::Settings;

/// How many requests may wait.
const REQUESTS_MAX: usize = 16;
/// How long an answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the outcome of an upgrade is waited for: longer than one may take.
const UPGRADE_ANSWER_TIMEOUT: Duration = Duration::from_secs(700);

/// What is wanted.
pub enum Request {
    /// Read the file again and deploy what changed.
    Reload {
        /// Who wants it, for the log.
        cause: &'static str,
        /// For the outcome.
        reply: oneshot::Sender<ReloadOutcome>,
    },
    /// What the workers do.
    Status {
        /// For the answer.
        reply: oneshot::Sender<Report>,
    },
    /// Have another process of the program take over.
    Upgrade {
        /// Who wants it, for the log.
        cause: &'static str,
        /// For the outcome.
        reply: oneshot::Sender<UpgradeOutcome>,
    },
    /// Let a worker die, to see that it comes back.
    Drill {
        /// Which one.
        worker: WorkerIndex,
        /// For the outcome.
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Open the access log's file anew.
    ReopenLog,
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force.
    Done {
        /// The number of what was deployed; `None` when nothing had changed.
        generation: Option<u64>,
        /// How long it took.
        duration: Duration,
        /// What was deployed.
        deployed: Vec<String>,
        /// What was removed.
        removed: Vec<String>,
    },
    /// What was in force before still is.
    Rejected {
        /// Why, a mistake each.
        mistakes: Vec<String>,
    },
}

/// What became of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeOutcome {
    /// Another process serves, and this one stops.
    Done {
        /// Which one.
        pid: u32,
    },
    /// This process serves on.
    Rejected {
        /// Why.
        reason: String,
    },
}

/// What the deployment tells of itself.
#[derive(Clone, Debug)]
pub struct Report {
    /// The workers and sites.
    pub status: Status,
    /// The settings in force.
    pub settings: Settings,
    /// Lines of the access log: written, and dropped for want of room or by errors.
    pub log_lines: Option<(u64, u64)>,
    /// How reloads ended: well, and not.
    pub reloads: (u64, u64),
    /// What requests are counted with.
    pub meters: Meters,
    /// Whether the endpoints that are checked are healthy.
    pub health: HealthHandle,
    /// The ways to the MQTT brokers, by server name.
    pub brokers: BTreeMap<String, Operator>,
}

/// Nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deployment is busy, starting or stopping")]
pub struct Unanswered;

/// The way to the deployment. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Control {
    requests: mpsc::Sender<Request>,
}

impl Control {
    /// The way, and its other end.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self { requests }, receiver)
    }

    async fn ask<T>(
        &self,
        patience: Duration,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .try_send(request(reply))
            .map_err(|_| Unanswered)?;
        let answered = timeout(patience, answer).await;
        answered.ok().and_then(Result::ok).ok_or(Unanswered)
    }

    /// Has the file read again. Cancellation: the reload goes on.
    ///
    /// # Errors
    ///
    /// Nobody answered in time.
    pub async fn reload(&self, cause: &'static str) -> Result<ReloadOutcome, Unanswered> {
        self.ask(ANSWER_TIMEOUT, |reply| Request::Reload { cause, reply })
            .await
    }

    /// What the deployment tells of itself.
    ///
    /// # Errors
    ///
    /// Nobody answered in time.
    pub async fn report(&self) -> Result<Report, Unanswered> {
        self.ask(ANSWER_TIMEOUT, |reply| Request::Status { reply })
            .await
    }

    /// Has another process of the program take over. Cancellation: the upgrade goes on.
    ///
    /// # Errors
    ///
    /// Nobody answered in time.
    pub async fn upgrade(&self, cause: &'static str) -> Result<UpgradeOutcome, Unanswered> {
        self.ask(UPGRADE_ANSWER_TIMEOUT, |reply| Request::Upgrade {
            cause,
            reply,
        })
        .await
    }

    /// Lets a worker die of a panic.
    ///
    /// # Errors
    ///
    /// Nobody answered in time.
    pub async fn drill(&self, worker: WorkerIndex) -> Result<Result<(), CommandError>, Unanswered> {
        self.ask(ANSWER_TIMEOUT, |reply| Request::Drill { worker, reply })
            .await
    }

    /// Has the file of the access log opened anew.
    pub fn reopen_log(&self) {
        if self.requests.try_send(Request::ReopenLog).is_err() {
            tracing::warn!("the access log was not opened anew: the deployment is busy");
        }
    }
}
