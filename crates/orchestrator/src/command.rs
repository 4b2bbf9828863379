//! What workers are told, and how they may fail to do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_runtime::listener::{ListenAddr, ListenerSet};
use tidegate_runtime::panic::PanicReport;
use tokio::sync::oneshot;

use crate::deployed::Idlers;
use crate::site::{Generation, Phase, SiteName};

/// An action on one site, the same on all workers.
///
/// `F` makes the chain on each worker, `LF` makes the listeners once for all of them.
#[derive(Clone, Debug)]
pub enum ServiceCommand<F, LF> {
    /// Stages a chain, made from the one deployed now so that its state is handed over, and
    /// binds its listeners. An earlier staged chain of the site is replaced.
    Precommit(SiteName, F, LF),
    /// Lets the staged chain replace the deployed one.
    Update(SiteName),
    /// Deploys the staged chain of a site that is not deployed yet.
    Commit(SiteName),
    /// Makes a chain without handing state over and deploys it, replacing what is deployed.
    PrepareAndCommit(SiteName, F, LF),
    /// Drops the staged chain, if there is one.
    Abort(SiteName),
    /// Empties and closes the listeners, and drains the connections.
    Remove(SiteName),
    /// Asks the connections open now to leave; the site goes on serving new ones.
    Drain(SiteName),
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The site is not deployed.
    #[error("the site is not deployed")]
    NotDeployed,
    /// The site is deployed already, so it is to be updated.
    #[error("the site is deployed already")]
    AlreadyDeployed,
    /// Nothing is staged for the site.
    #[error("nothing is staged for the site")]
    NotStaged,
    /// The chain's factory failed.
    #[error("cannot build the chain: {0}")]
    Build(String),
    /// The chain's factory panicked. The worker goes on.
    #[error("building the chain {0}")]
    BuildPanicked(PanicReport),
    /// The listeners' factory failed, or a worker cannot use what it made.
    #[error("{0}")]
    Listen(String),
    /// Two sites want the same address.
    #[error("{address} is an address of site `{other}`")]
    AddressTaken {
        /// The address both want.
        address: ListenAddr,
        /// The other site.
        other: SiteName,
    },
    /// The worker did not answer within the command's deadline.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The worker's thread is gone. It is started again by itself.
    #[error("the worker is gone")]
    WorkerGone,
    /// The worker has not taken up the commands it was given before.
    #[error("the worker's mailbox is full")]
    MailboxFull,
    /// Nobody waits for the answer any more, so nothing was staged.
    #[error("the command was given up")]
    GivenUp,
    /// The workers are shutting down, or were never started.
    #[error("the workers are not running")]
    NotRunning,
}

/// Whether a chain gets the state of the one it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Current,
    Nothing,
}

/// One site's part of a staging.
#[derive(Clone, Debug)]
pub(crate) struct Order<F> {
    pub(crate) site: SiteName,
    pub(crate) factory: F,
    pub(crate) listeners: ListenerSet,
    pub(crate) generation: Generation,
    pub(crate) origin: Origin,
}

/// A failure and the site it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteError {
    pub(crate) site: SiteName,
    pub(crate) cause: CommandError,
}

/// How far a worker got with a list of orders, for when it does not answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicUsize>);

impl Progress {
    pub(crate) fn set(&self, index: usize) {
        self.0.store(index, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One generation's connections on one worker.
#[derive(Clone, Debug)]
pub(crate) struct GenerationCount {
    pub(crate) site: SiteName,
    pub(crate) generation: Generation,
    pub(crate) phase: Phase,
    pub(crate) open: usize,
}

#[derive(Debug)]
pub(crate) enum Job<F> {
    Command {
        command: ServiceCommand<F, ListenerSet>,
        generation: Generation,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Stages all orders or none.
    Stage {
        orders: Vec<Order<F>>,
        progress: Progress,
        reply: oneshot::Sender<Result<(), SiteError>>,
    },
    Abort {
        sites: Vec<SiteName>,
        reply: oneshot::Sender<()>,
    },
    /// Deploys what is staged, replacing or not, and removes. Cannot fail.
    Deploy {
        deploy: Vec<SiteName>,
        remove: Vec<SiteName>,
        reply: oneshot::Sender<()>,
    },
    /// Everything that is to be deployed, to a worker that may have missed some of it.
    Restore {
        orders: Vec<Order<F>>,
        reply: oneshot::Sender<Vec<SiteError>>,
    },
    Inspect {
        reply: oneshot::Sender<Vec<GenerationCount>>,
    },
    /// Panics, to show what happens then.
    Die,
    /// Stops accepting, at all sites; what is accepted is served on.
    Close {
        idlers: Idlers,
        reply: oneshot::Sender<()>,
    },
    /// Drains everything within the time. Answers how many connections had to be dropped;
    /// the executor ends when its life does, for until then others may bring it connections.
    Stop {
        drain: Duration,
        idlers: Idlers,
        reply: oneshot::Sender<usize>,
    },
}

/// A command with its generation and the way back for its result.
#[derive(Debug)]
pub struct ServiceCommandTask<F> {
    pub(crate) job: Job<F>,
}

impl<F> ServiceCommandTask<F> {
    /// A task for [`ServiceExecutor::run`](crate::ServiceExecutor::run), and where its result
    /// arrives. Dropping the receiver gives a staging that is under way up.
    pub fn new(
        command: ServiceCommand<F, ListenerSet>,
        generation: Generation,
    ) -> (Self, oneshot::Receiver<Result<(), CommandError>>) {
        let (reply, result) = oneshot::channel();
        let job = Job::Command {
            command,
            generation,
            reply,
        };
        (Self { job }, result)
    }
}

impl<F> From<Job<F>> for ServiceCommandTask<F> {
    fn from(job: Job<F>) -> Self {
        Self { job }
    }
}
