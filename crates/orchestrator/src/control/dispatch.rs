//! Single commands, for those who want to stage and deploy in their own time.

use std::collections::BTreeMap;

use tidegate_runtime::worker::WorkerIndex;

use super::staging::{Staging, StagingFailure};
use super::table::{Deployment, Others, WorkerSeat};
use super::{Shared, WorkerManager};
use crate::command::{CommandError, Job, Origin, ServiceCommand};
use crate::factory::{ChainFactory, ListenerFactory};
use crate::outcome::{ResultGroup, WorkerOutcome};
use crate::site::SiteName;

/// What single commands have staged, between the commands.
pub(super) struct Ledger<F> {
    staged: BTreeMap<SiteName, (Staging<F>, Deployment<F>)>,
}

impl<F> Default for Ledger<F> {
    fn default() -> Self {
        Self {
            staged: BTreeMap::new(),
        }
    }
}

impl<F> Ledger<F> {
    pub(super) fn clear(&mut self) {
        self.staged.clear();
    }

    /// Takes what is staged for the site out, to be aborted.
    pub(super) fn take(&mut self, site: &SiteName) -> Option<Staging<F>> {
        self.staged.remove(site).map(|(staging, _)| staging)
    }
}

enum Effect {
    Update,
    Commit,
}

impl<F: ChainFactory, LF: ListenerFactory> WorkerManager<F, LF> {
    /// Sends one command to all workers at once and waits for every answer, within one deadline.
    ///
    /// `Precommit` and `PrepareAndCommit` are all or nothing: when a worker fails, every worker
    /// has aborted by the time the answer is given. Commands for several sites that belong
    /// together are better made one [`Self::apply`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future aborts what is being staged, unless it is being deployed already.
    pub async fn dispatch_service_command(&self, command: ServiceCommand<F, LF>) -> ResultGroup {
        let shared = &self.shared;
        let mut ledger = shared.ledger.lock().await;
        if shared.is_stopping() || shared.table().workers.is_empty() {
            return ResultGroup::everywhere(shared.workers, &CommandError::NotRunning);
        }
        match shared.obey(&mut ledger, command).await {
            Ok(outcomes) => outcomes,
            Err(cause) => ResultGroup::everywhere(shared.workers, &cause),
        }
    }
}

impl<F: ChainFactory> Shared<F> {
    /// An error concerns all workers alike, before any of them was asked.
    async fn obey<LF: ListenerFactory>(
        &self,
        ledger: &mut Ledger<F>,
        command: ServiceCommand<F, LF>,
    ) -> Result<ResultGroup, CommandError> {
        match command {
            ServiceCommand::Precommit(site, factory, listeners) => {
                // The earlier one goes first: its addresses may be wanted again.
                if let Some(staging) = ledger.take(&site) {
                    self.abort(staging).await;
                }
                let prepared = self
                    .prepare(&site, factory, &listeners, Origin::Current)
                    .await?;
                Ok(match prepared {
                    Ok(staged) => {
                        ledger.staged.insert(site, staged);
                        self.all_well()
                    }
                    Err(failures) => self.some_failed(failures),
                })
            }
            ServiceCommand::PrepareAndCommit(site, factory, listeners) => {
                let prepared = self
                    .prepare(&site, factory, &listeners, Origin::Nothing)
                    .await?;
                Ok(match prepared {
                    Ok((staging, deployment)) => self.put(site, staging, deployment).await,
                    Err(failures) => self.some_failed(failures),
                })
            }
            ServiceCommand::Update(site) => self.deploy(ledger, site, Effect::Update).await,
            ServiceCommand::Commit(site) => self.deploy(ledger, site, Effect::Commit).await,
            ServiceCommand::Abort(site) => {
                if let Some(staging) = ledger.take(&site) {
                    self.abort(staging).await;
                }
                Ok(self.all_well())
            }
            ServiceCommand::Remove(site) => self.remove(ledger, site).await,
            ServiceCommand::Drain(site) => self.drain(&site).await,
        }
    }

    async fn prepare<LF: ListenerFactory>(
        &self,
        site: &SiteName,
        factory: F,
        listeners: &LF,
        origin: Origin,
    ) -> Result<Result<(Staging<F>, Deployment<F>), Vec<StagingFailure>>, CommandError> {
        let deadline = self.deadline();
        let listeners = self
            .bind(site, listeners, Others::Excluded, deadline)
            .await?;
        let deployment = Deployment {
            factory,
            listeners,
            generation: self.next_generation(),
        };
        let deployments = [(site.clone(), deployment)];
        let staged = self.stage(&deployments, origin, deadline).await;
        let [(_, deployment)] = deployments;
        Ok(staged.map(|staging| (staging, deployment)))
    }

    async fn deploy(
        &self,
        ledger: &mut Ledger<F>,
        site: SiteName,
        effect: Effect,
    ) -> Result<ResultGroup, CommandError> {
        let is_deployed = self.table().deployed.contains_key(&site);
        match effect {
            Effect::Update if !is_deployed => return Err(CommandError::NotDeployed),
            Effect::Commit if is_deployed => return Err(CommandError::AlreadyDeployed),
            Effect::Update | Effect::Commit => {}
        }
        let staged = ledger.staged.remove(&site);
        let (staging, deployment) = staged.ok_or(CommandError::NotStaged)?;
        Ok(self.put(site, staging, deployment).await)
    }

    async fn put(
        &self,
        site: SiteName,
        staging: Staging<F>,
        deployment: Deployment<F>,
    ) -> ResultGroup {
        let outcomes = self.commit(staging, vec![(site, deployment)], &[]).await;
        group(outcomes)
    }

    async fn remove(
        &self,
        ledger: &mut Ledger<F>,
        site: SiteName,
    ) -> Result<ResultGroup, CommandError> {
        if let Some(staging) = ledger.take(&site) {
            self.abort(staging).await;
        }
        let deployment = self.table().deployed.remove(&site);
        // Its listeners are given up here, so that the workers find them retired.
        drop(deployment.ok_or(CommandError::NotDeployed)?);
        let asked = {
            let table = self.table();
            let ask = |seat: &WorkerSeat<F>| {
                seat.ask(|reply| Job::Deploy {
                    deploy: Vec::new(),
                    remove: vec![site.clone()],
                    reply,
                })
            };
            table.workers.iter().map(ask).collect()
        };
        Ok(group(self.collect(asked).await))
    }

    async fn drain(&self, site: &SiteName) -> Result<ResultGroup, CommandError> {
        let generation = match self.table().deployed.get(site) {
            Some(deployment) => deployment.generation,
            None => return Err(CommandError::NotDeployed),
        };
        let asked: Vec<_> = {
            let table = self.table();
            let ask = |seat: &WorkerSeat<F>| {
                seat.ask(|reply| Job::Command {
                    command: ServiceCommand::Drain(site.clone()),
                    generation,
                    reply,
                })
            };
            table.workers.iter().map(ask).collect()
        };
        let deadline = self.deadline();
        let mut outcomes = Vec::new();
        for asked in asked {
            let worker = asked.worker;
            let outcome = self.answer(asked, deadline).await;
            outcomes.push((worker, outcome.and_then(|result| result)));
        }
        Ok(group(outcomes))
    }

    fn all_well(&self) -> ResultGroup {
        let table = self.table();
        group(table.workers.iter().map(|it| (it.index, Ok(()))).collect())
    }

    fn some_failed(&self, failures: Vec<StagingFailure>) -> ResultGroup {
        let mut outcomes: BTreeMap<_, _> = {
            let table = self.table();
            table.workers.iter().map(|it| (it.index, Ok(()))).collect()
        };
        for failure in failures {
            outcomes.insert(failure.worker, Err(failure.cause));
        }
        group(outcomes.into_iter().collect())
    }
}

fn group(outcomes: Vec<(WorkerIndex, Result<(), CommandError>)>) -> ResultGroup {
    let outcomes = outcomes
        .into_iter()
        .map(|(worker, result)| WorkerOutcome { worker, result });
    ResultGroup::new(outcomes.collect())
}
