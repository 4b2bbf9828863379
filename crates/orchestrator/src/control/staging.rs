//! All workers at once: stage everywhere, then either deploy or abort everywhere.

use tidegate_runtime::listener::ListenerSet;
use tidegate_runtime::panic::catch;
use tidegate_runtime::worker::WorkerIndex;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::table::{Asked, Deployment, Others, Place};
use crate::command::{CommandError, Job, Origin, Progress, SiteError};
use crate::factory::{ChainFactory, ListenerFactory};
use crate::site::SiteName;

/// A worker's failure to stage, and the site it was at.
pub(super) struct StagingFailure {
    pub(super) worker: WorkerIndex,
    /// `None` when it was only to remove sites.
    pub(super) site: Option<SiteName>,
    pub(super) cause: CommandError,
}

/// What every worker has staged. Dropped, it is aborted on every worker.
pub(super) struct Staging<F> {
    /// A place in each mailbox for the word that ends the staging, whichever it will be.
    places: Vec<Place<F>>,
    sites: Vec<SiteName>,
}

impl<F> Drop for Staging<F> {
    fn drop(&mut self) {
        // Nobody waits for the answer: the staged are gone before anything later is done.
        let _ = self.abort();
    }
}

impl<F> Staging<F> {
    /// Drops what is staged.
    pub(super) fn abort(&mut self) -> Vec<Asked<()>> {
        let tell = |place: Place<F>| {
            let sites = self.sites.clone();
            place.ask(|reply| Job::Abort { sites, reply })
        };
        std::mem::take(&mut self.places)
            .into_iter()
            .map(tell)
            .collect()
    }

    /// Deploys what is staged and removes other sites.
    pub(super) fn deploy(mut self, remove: &[SiteName]) -> Vec<Asked<()>> {
        let tell = |place: Place<F>| {
            let deploy = self.sites.clone();
            place.ask(|reply| Job::Deploy {
                deploy,
                remove: remove.to_vec(),
                reply,
            })
        };
        std::mem::take(&mut self.places)
            .into_iter()
            .map(tell)
            .collect()
    }
}

/// A worker that was ordered to stage, and how far it got.
struct Ordered {
    asked: Asked<Result<(), SiteError>>,
    progress: Progress,
}

impl<F: ChainFactory> Shared<F> {
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.command_timeout()
    }

    /// Waits for one answer, no longer than until the deadline or the shutdown.
    pub(super) async fn answer<T>(
        &self,
        asked: Asked<T>,
        deadline: Instant,
    ) -> Result<T, CommandError> {
        let mut answer = asked.answer?;
        tokio::select! {
            biased;
            answer = timeout_at(deadline, &mut answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(CommandError::WorkerGone),
                Err(_) => Err(CommandError::TimedOut(self.command_timeout())),
            },
            () = asked.gone.cancelled() => {
                // It may have answered as its last act.
                answer.try_recv().map_err(|_| CommandError::WorkerGone)
            }
            () = self.lifespan.draining() => Err(CommandError::NotRunning),
        }
    }

    /// Makes a site's listeners, with a socket for every worker.
    pub(super) async fn bind<LF: ListenerFactory>(
        &self,
        site: &SiteName,
        listeners: &LF,
        others: Others,
        deadline: Instant,
    ) -> Result<ListenerSet, CommandError> {
        let predecessor = self.table().predecessor(site, others);
        let made = catch(listeners.make_via_ref(predecessor.as_ref()));
        let set = timeout_at(deadline, made)
            .await
            .map_err(|_| CommandError::TimedOut(self.command_timeout()))?
            .map_err(|report| CommandError::Listen(format!("making the listeners {report}")))?
            .map_err(|error| CommandError::Listen(format!("{error:#}")))?;
        set.spread(self.workers)
            .map_err(|error| CommandError::Listen(error.to_string()))?;
        Ok(set)
    }

    /// Has every worker stage `deployments`. On any failure nothing stays staged anywhere, and
    /// the answer is that of every worker.
    pub(super) async fn stage(
        &self,
        deployments: &[(SiteName, Deployment<F>)],
        origin: Origin,
        deadline: Instant,
    ) -> Result<Staging<F>, Vec<StagingFailure>> {
        let (staging, ordered) = self.send_orders(deployments, origin);
        let mut failures = Vec::new();
        for Ordered { asked, progress } in ordered {
            let worker = asked.worker;
            let (site, cause) = match self.answer(asked, deadline).await {
                Ok(Ok(())) => continue,
                Ok(Err(SiteError { site, cause })) => (Some(site), cause),
                Err(cause) => {
                    let at = deployments.get(progress.get());
                    (at.map(|(site, _)| site.clone()), cause)
                }
            };
            failures.push(StagingFailure {
                worker,
                site,
                cause,
            });
        }
        if failures.is_empty() {
            return Ok(staging);
        }
        self.abort(staging).await;
        Err(failures)
    }

    /// Aborts everywhere and waits until it is done where somebody answers.
    pub(super) async fn abort(&self, mut staging: Staging<F>) {
        // A worker that does not answer has given the staging up already, or will first of all.
        let deadline = self.deadline();
        for asked in staging.abort() {
            let worker = asked.worker;
            if let Err(error) = self.answer(asked, deadline).await {
                tracing::warn!(%worker, %error, "no word that the staging was dropped");
            }
        }
    }

    fn send_orders(
        &self,
        deployments: &[(SiteName, Deployment<F>)],
        origin: Origin,
    ) -> (Staging<F>, Vec<Ordered>) {
        let mut staging = Staging {
            places: Vec::new(),
            sites: deployments.iter().map(|(site, _)| site.clone()).collect(),
        };
        let mut ordered = Vec::new();
        for seat in &self.table().workers {
            let orders = deployments
                .iter()
                .map(|(site, deployment)| deployment.order(site, origin))
                .collect();
            let progress = Progress::default();
            let mut asked = seat.ask(|reply| Job::Stage {
                orders,
                progress: progress.clone(),
                reply,
            });
            // After the order, so that it cannot be what leaves the order without a place.
            match seat.reserve() {
                Ok(place) => staging.places.push(place),
                // The worker finds that nobody waits, and gives the order up.
                Err(cause) => asked.answer = Err(cause),
            }
            ordered.push(Ordered { asked, progress });
        }
        (staging, ordered)
    }

    /// Lets what is staged serve on every worker. From here on nothing can fail: the table
    /// says what is deployed, and a worker that does not follow is brought to it.
    pub(super) async fn commit(
        &self,
        staging: Staging<F>,
        deployments: Vec<(SiteName, Deployment<F>)>,
        remove: &[SiteName],
    ) -> Vec<(WorkerIndex, Result<(), CommandError>)> {
        for (_, deployment) in &deployments {
            if let Err(error) = deployment.listeners.apply_backlog() {
                tracing::warn!(%error, "the backlog stays as it was");
            }
        }
        let replies = {
            let mut table = self.table();
            for (site, deployment) in deployments {
                table.deployed.insert(site, deployment);
            }
            for site in remove {
                table.deployed.remove(site);
            }
            staging.deploy(remove)
        };
        self.collect(replies).await
    }

    /// Waits for all; whoever does not answer is checked later.
    pub(super) async fn collect(
        &self,
        replies: Vec<Asked<()>>,
    ) -> Vec<(WorkerIndex, Result<(), CommandError>)> {
        let deadline = self.deadline();
        let mut outcomes = Vec::with_capacity(replies.len());
        for asked in replies {
            let worker = asked.worker;
            let outcome = self.answer(asked, deadline).await;
            if outcome.is_err() {
                self.table().ring(worker);
            }
            outcomes.push((worker, outcome));
        }
        outcomes
    }
}
