//! What runs where, as the control side has decided it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_runtime::cancel::CancelToken;
use tidegate_runtime::listener::ListenerSet;
use tidegate_runtime::mailbox::{Reserved, SendError, Sender};
use tidegate_runtime::worker::{WorkerCounters, WorkerIndex};
use tokio::sync::{Notify, oneshot};

use crate::command::{CommandError, Job, Order, Origin, ServiceCommandTask};
use crate::site::{Generation, SiteName};

/// What makes a site, kept for workers that have to be started again.
#[derive(Clone)]
pub(super) struct Deployment<F> {
    pub(super) factory: F,
    pub(super) listeners: ListenerSet,
    pub(super) generation: Generation,
}

impl<F: Clone> Deployment<F> {
    pub(super) fn order(&self, site: &SiteName, origin: Origin) -> Order<F> {
        Order {
            site: site.clone(),
            factory: self.factory.clone(),
            listeners: self.listeners.clone(),
            generation: self.generation,
            origin,
        }
    }
}

pub(super) struct WorkerSeat<F> {
    pub(super) index: WorkerIndex,
    pub(super) mailbox: Sender<ServiceCommandTask<F>>,
    pub(super) counters: Arc<WorkerCounters>,
    /// Rung when the worker may have missed something.
    pub(super) doubt: Arc<Notify>,
    /// Cancelled when the thread has ended. A message that arrives as the worker dies is never
    /// looked at, and never dropped either.
    pub(super) gone: CancelToken,
}

/// A worker that was asked something.
pub(super) struct Asked<T> {
    pub(super) worker: WorkerIndex,
    /// Where the answer arrives, or why the worker could not even be asked.
    pub(super) answer: Result<oneshot::Receiver<T>, CommandError>,
    pub(super) gone: CancelToken,
}

impl<T> Asked<T> {
    /// Waits for the answer; none if the worker could not be asked, or is gone.
    pub(super) async fn answered(self) -> Option<T> {
        tokio::select! {
            biased;
            answer = self.answer.ok()? => answer.ok(),
            () = self.gone.cancelled() => None,
        }
    }
}

/// A place in a worker's mailbox.
pub(super) struct Place<F> {
    worker: WorkerIndex,
    reserved: Reserved<ServiceCommandTask<F>>,
    gone: CancelToken,
}

impl<F> Place<F> {
    pub(super) fn ask<T>(self, job: impl FnOnce(oneshot::Sender<T>) -> Job<F>) -> Asked<T> {
        let (reply, answer) = oneshot::channel();
        self.reserved.send(job(reply).into());
        Asked {
            worker: self.worker,
            answer: Ok(answer),
            gone: self.gone,
        }
    }
}

impl<F> WorkerSeat<F> {
    pub(super) fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job<F>) -> Asked<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.mailbox.send(job(reply).into());
        Asked {
            worker: self.index,
            answer: sent.map(|()| answer).map_err(|error| not_sent(&error)),
            gone: self.gone.clone(),
        }
    }

    pub(super) fn tell(&self, job: Job<F>) -> Result<(), CommandError> {
        let sent = self.mailbox.send(job.into());
        sent.map_err(|error| not_sent(&error))
    }

    pub(super) fn reserve(&self) -> Result<Place<F>, CommandError> {
        let reserved = self.mailbox.reserve().map_err(|error| not_sent(&error))?;
        Ok(Place {
            worker: self.index,
            reserved,
            gone: self.gone.clone(),
        })
    }
}

fn not_sent<T>(error: &SendError<T>) -> CommandError {
    match error {
        SendError::Full(_) => CommandError::MailboxFull,
        SendError::Closed(_) => CommandError::WorkerGone,
    }
}

pub(super) struct Table<F> {
    pub(super) workers: Vec<WorkerSeat<F>>,
    /// Each cancelled when its worker will have no further life.
    pub(super) watches: Vec<(WorkerIndex, CancelToken)>,
    pub(super) deployed: BTreeMap<SiteName, Deployment<F>>,
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            workers: Vec::new(),
            watches: Vec::new(),
            deployed: BTreeMap::new(),
        }
    }
}

impl<F> Table<F> {
    /// What a site's new listeners may take over; with `others`, from every site.
    pub(super) fn predecessor(&self, site: &SiteName, others: Others) -> Option<ListenerSet> {
        let own = self.deployed.get(site).map(|it| &it.listeners);
        let others = self
            .deployed
            .iter()
            .filter(|(name, _)| others == Others::Included && *name != site)
            .map(|(_, deployment)| &deployment.listeners);
        ListenerSet::predecessor(own, others)
    }

    /// Has the worker checked against the table.
    pub(super) fn ring(&self, worker: WorkerIndex) {
        if let Some(seat) = self.workers.get(worker.0) {
            seat.doubt.notify_one();
        }
    }
}

/// Whether another site's addresses may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Included,
    Excluded,
}
