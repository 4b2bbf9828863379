//! All workers at once: stage everywhere, then either deploy or abort everywhere.

use tidegate_runtime::listener::ListenerSet;
use tidegate_runtime::mailbox::{Reserved, SendError};
use tidegate_runtime::panic::catch;
use tidegate_runtime::worker::WorkerIndex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::table::{Deployment, Others};
use crate::command::{CommandError, Job, Origin, Progress, ServiceCommandTask, SiteError};
use crate::factory::{ChainFactory, ListenerFactory};
use crate::site::SiteName;

/// A worker's failure to stage, and the site it was at.
pub(super) struct StagingFailure {
    pub(super) worker: WorkerIndex,
    pub(super) site: SiteName,
    pub(super) cause: CommandError,
}

/// What every worker has staged. Dropped, it is aborted on every worker.
pub(super) struct Staging<F> {
    /// A place in each mailbox for the word that ends the staging, whichever it will be.
    places: Vec<(WorkerIndex, Reserved<ServiceCommandTask<F>>)>,
    sites: Vec<SiteName>,
}

/// Answers under way.
pub(super) type Replies<T> = Vec<(WorkerIndex, oneshot::Receiver<T>)>;

impl<F> Drop for Staging<F> {
    fn drop(&mut self) {
        // Nobody waits for the answer: the staged are gone before anything later is done.
        let _ = self.abort();
    }
}

impl<F> Staging<F> {
    fn places(&mut self) -> Vec<(WorkerIndex, Reserved<ServiceCommandTask<F>>)> {
        std::mem::take(&mut self.places)
    }

    /// Drops what is staged.
    pub(super) fn abort(&mut self) -> Replies<()> {
        let sites = self.sites.clone();
        tell(self.places(), |reply| Job::Abort {
            sites: sites.clone(),
            reply,
        })
    }

    /// Deploys what is staged and removes other sites.
    pub(super) fn deploy(mut self, remove: &[SiteName]) -> Replies<()> {
        let deploy = std::mem::take(&mut self.sites);
        tell(self.places(), |reply| Job::Deploy {
            deploy: deploy.clone(),
            remove: remove.to_vec(),
            reply,
        })
    }
}

fn tell<F, T>(
    places: Vec<(WorkerIndex, Reserved<ServiceCommandTask<F>>)>,
    job: impl Fn(oneshot::Sender<T>) -> Job<F>,
) -> Replies<T> {
    let tell = |(worker, place): (WorkerIndex, Reserved<ServiceCommandTask<F>>)| {
        let (reply, answer) = oneshot::channel();
        place.send(job(reply).into());
        (worker, answer)
    };
    places.into_iter().map(tell).collect()
}

pub(super) fn not_sent<T>(error: &SendError<T>) -> CommandError {
    match error {
        SendError::Full(_) => CommandError::MailboxFull,
        SendError::Closed(_) => CommandError::WorkerGone,
    }
}

impl<F: ChainFactory> Shared<F> {
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.command_timeout
    }

    /// Waits for one answer, no longer than until the deadline or the shutdown.
    pub(super) async fn answer<T>(
        &self,
        answer: oneshot::Receiver<T>,
        deadline: Instant,
    ) -> Result<T, CommandError> {
        tokio::select! {
            biased;
            answer = timeout_at(deadline, answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(CommandError::WorkerGone),
                Err(_) => Err(CommandError::TimedOut(self.config.command_timeout)),
            },
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
            .map_err(|_| CommandError::TimedOut(self.config.command_timeout))?
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
        let (staging, answers, mut failures) = self.send_orders(deployments, origin);
        for (worker, progress, answer) in answers {
            let failure = match self.answer(answer, deadline).await {
                Ok(Ok(())) => continue,
                Ok(Err(SiteError { site, cause })) => StagingFailure {
                    worker,
                    site,
                    cause,
                },
                Err(cause) => StagingFailure {
                    worker,
                    site: deployments[progress.get()].0.clone(),
                    cause,
                },
            };
            failures.push(failure);
        }
        if failures.is_empty() {
            return Ok(staging);
        }
        failures.sort_by_key(|failure| failure.worker);
        self.abort(staging).await;
        Err(failures)
    }

    /// Aborts everywhere and waits until it is done where somebody answers.
    pub(super) async fn abort(&self, mut staging: Staging<F>) {
        // A worker that does not answer has given the staging up already, or will first of all.
        let deadline = self.deadline();
        for (worker, answer) in staging.abort() {
            if let Err(error) = self.answer(answer, deadline).await {
                tracing::warn!(%worker, %error, "no word that the staging was dropped");
            }
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "three lists that are taken apart by the one caller"
    )]
    fn send_orders(
        &self,
        deployments: &[(SiteName, Deployment<F>)],
        origin: Origin,
    ) -> (
        Staging<F>,
        Vec<(
            WorkerIndex,
            Progress,
            oneshot::Receiver<Result<(), SiteError>>,
        )>,
        Vec<StagingFailure>,
    ) {
        let mut staging = Staging {
            places: Vec::new(),
            sites: deployments.iter().map(|(site, _)| site.clone()).collect(),
        };
        let mut answers = Vec::new();
        let mut failures = Vec::new();
        let table = self.table();
        for seat in &table.workers {
            let worker = seat.index;
            let progress = Progress::default();
            let (reply, answer) = oneshot::channel();
            let orders = deployments
                .iter()
                .map(|(site, deployment)| deployment.order(site, origin))
                .collect();
            let job = Job::Stage {
                orders,
                progress: progress.clone(),
                reply,
            };
            // The order first: it must not be the reserved place that leaves it without one.
            let sent = seat.mailbox.send(job.into()).map_err(|it| not_sent(&it));
            let placed = sent.and_then(|()| {
                let place = seat.mailbox.reserve();
                place.map_err(|error| not_sent(&error))
            });
            match placed {
                Ok(place) => {
                    staging.places.push((worker, place));
                    answers.push((worker, progress, answer));
                }
                // Dropping the answer gives up what may have been ordered.
                Err(cause) => failures.push(StagingFailure {
                    worker,
                    site: staging.sites.first().cloned().unwrap_or_else(|| "".into()),
                    cause,
                }),
            }
        }
        (staging, answers, failures)
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
        replies: Replies<()>,
    ) -> Vec<(WorkerIndex, Result<(), CommandError>)> {
        let deadline = self.deadline();
        let mut outcomes = Vec::with_capacity(replies.len());
        for (worker, answer) in replies {
            let outcome = self.answer(answer, deadline).await;
            if outcome.is_err() {
                self.table().ring(worker);
            }
            outcomes.push((worker, outcome));
        }
        outcomes
    }
}
