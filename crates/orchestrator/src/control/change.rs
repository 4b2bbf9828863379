//! What one transaction changes, and how it may end.

use tidegate_runtime::worker::WorkerIndex;

use crate::command::CommandError;
use crate::site::{Generation, SiteName};

/// One site's part of a transaction.
#[derive(Clone, Debug)]
pub enum Change<F, LF> {
    /// Deploys the site, or replaces what is deployed and hands its state over.
    Deploy {
        /// Which site.
        site: SiteName,
        /// Makes the chain on each worker.
        chain: F,
        /// Makes the listeners.
        listeners: LF,
    },
    /// Removes the site: its listeners are emptied and closed, its connections drained.
    Remove {
        /// Which site.
        site: SiteName,
    },
}

impl<F, LF> Change<F, LF> {
    /// Deploys `site`, or replaces what is deployed: `chain` makes what serves, on each worker,
    /// `listeners` makes where it listens.
    pub fn deploy(site: impl Into<SiteName>, chain: F, listeners: LF) -> Self {
        Self::Deploy {
            site: site.into(),
            chain,
            listeners,
        }
    }

    /// Removes `site`.
    pub fn remove(site: impl Into<SiteName>) -> Self {
        Self::Remove { site: site.into() }
    }

    /// Which site it changes.
    pub fn site(&self) -> &SiteName {
        match self {
            Self::Deploy { site, .. } | Self::Remove { site } => site,
        }
    }
}

/// A transaction that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number of what was deployed, the same on every worker.
    pub generation: Generation,
    /// Workers that have not answered in time: they are busy, or died and are started again.
    /// Either way they do it before anything else.
    pub late: Vec<WorkerIndex>,
}

/// Why a transaction had no effect: everything serves as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The workers were not started, or are shutting down.
    #[error("the workers are not running")]
    NotRunning,
    /// Two changes of one transaction concern the same site.
    #[error("site `{site}` is changed twice")]
    ChangedTwice {
        /// The site.
        site: SiteName,
    },
    /// A site could not be changed.
    #[error("site `{site}`{}: {cause}", on_worker(*worker))]
    Rejected {
        /// The site.
        site: SiteName,
        /// Where it failed; `None` when it failed before any worker was asked.
        worker: Option<WorkerIndex>,
        /// Why.
        #[source]
        cause: CommandError,
    },
}

fn on_worker(worker: Option<WorkerIndex>) -> String {
    worker.map_or_else(String::new, |worker| format!(" on worker {worker}"))
}
