//! What every worker answered to one command.

use tidegate_runtime::worker::WorkerIndex;

use crate::command::CommandError;

/// One worker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOutcome {
    /// Who answered, or did not.
    pub worker: WorkerIndex,
    /// The answer.
    pub result: Result<(), CommandError>,
}

/// A command that failed on a worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {worker}: {cause}")]
pub struct WorkerError {
    /// Where it failed.
    pub worker: WorkerIndex,
    /// Why.
    #[source]
    pub cause: CommandError,
}

/// The answers of all workers, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command may have failed on some worker"]
pub struct ResultGroup {
    outcomes: Vec<WorkerOutcome>,
}

impl ResultGroup {
    pub(crate) fn new(outcomes: Vec<WorkerOutcome>) -> Self {
        Self { outcomes }
    }

    /// A command that failed before any worker saw it.
    pub(crate) fn everywhere(workers: usize, cause: &CommandError) -> Self {
        // Without workers nobody would tell the cause.
        let outcomes = (0..workers.max(1)).map(|index| WorkerOutcome {
            worker: WorkerIndex(index),
            result: Err(cause.clone()),
        });
        Self::new(outcomes.collect())
    }

    /// Every worker's answer.
    pub fn outcomes(&self) -> &[WorkerOutcome] {
        &self.outcomes
    }

    /// Whether no worker failed.
    pub fn is_ok(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.result.is_ok())
    }

    /// The first worker's failure, if any failed.
    ///
    /// # Errors
    ///
    /// That failure.
    pub fn err(self) -> Result<(), WorkerError> {
        for outcome in self.outcomes {
            if let Err(cause) = outcome.result {
                return Err(WorkerError {
                    worker: outcome.worker,
                    cause,
                });
            }
        }
        Ok(())
    }
}
