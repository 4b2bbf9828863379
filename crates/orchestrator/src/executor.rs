//! One worker's part: it does what it is told, one task after the other.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tidegate_runtime::cancel::Lifespan;
use tidegate_runtime::listener::ListenerSet;
use tidegate_runtime::mailbox::Receiver;
use tidegate_runtime::worker::WorkerIndex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::accept_loop::AcceptLoop;
use crate::command::{
    CommandError, GenerationCount, Job, Order, Origin, Progress, ServiceCommand,
    ServiceCommandTask, SiteError,
};
use crate::container::{ServiceDeploymentContainer, ServiceSlot};
use crate::deployed::{Departures, HURRY_GRACE, Idlers};
use crate::factory::{Chain, ChainFactory};
use crate::site::{Generation, SiteName};

/// All sites of one worker.
pub struct ServiceExecutor<S> {
    worker: WorkerIndex,
    lifespan: Lifespan,
    sites: HashMap<SiteName, ServiceDeploymentContainer<S>>,
    departures: Departures,
}

impl<S> fmt::Debug for ServiceExecutor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceExecutor")
            .field("worker", &self.worker)
            .field("sites", &self.sites)
            .finish_non_exhaustive()
    }
}

enum Next {
    Task,
    Stop(Stop),
}

/// How everything is to be drained, and who is told how that went.
struct Stop {
    drain: Duration,
    idlers: Idlers,
    reply: oneshot::Sender<usize>,
}

impl<S: Chain> ServiceExecutor<S> {
    /// An executor without sites. When `lifespan` is aborted it stops at once.
    pub fn new(worker: WorkerIndex, lifespan: Lifespan) -> Self {
        Self {
            worker,
            lifespan,
            sites: HashMap::new(),
            departures: Departures::default(),
        }
    }

    /// What the site has on this worker.
    pub fn site(&self, site: &SiteName) -> Option<&ServiceDeploymentContainer<S>> {
        self.sites.get(site)
    }

    /// Executes tasks until every sender is gone, the lifespan is aborted or the control side
    /// stops the worker. Connections still open then end with the worker's runtime.
    ///
    /// # Panics
    ///
    /// Outside a worker's `LocalRuntime`.
    pub async fn run<F>(&mut self, mut receiver: Receiver<ServiceCommandTask<F>>)
    where
        F: ChainFactory<Service = S>,
    {
        let lifespan = self.lifespan.clone();
        tokio::select! {
            biased;
            () = lifespan.aborted() => {}
            () = self.work(&mut receiver) => {}
        }
    }

    async fn work<F>(&mut self, receiver: &mut Receiver<ServiceCommandTask<F>>)
    where
        F: ChainFactory<Service = S>,
    {
        while let Some(task) = receiver.receive().await {
            if let Next::Stop(stop) = self.perform(task.job).await {
                self.stop(stop, receiver).await;
                return;
            }
        }
    }

    /// One task. A reply nobody waits for is dropped.
    async fn perform<F>(&mut self, job: Job<F>) -> Next
    where
        F: ChainFactory<Service = S>,
    {
        match job {
            Job::Command {
                command,
                generation,
                mut reply,
            } => {
                // Only staging can be given up without leaving something half done.
                let can_give_up = matches!(command, ServiceCommand::Precommit(..));
                let result = tokio::select! {
                    biased;
                    () = reply.closed(), if can_give_up => Err(CommandError::GivenUp),
                    result = self.execute(command, generation) => result,
                };
                let _ = reply.send(result);
            }
            Job::Stage {
                orders,
                progress,
                mut reply,
            } => {
                let sites: Vec<SiteName> = orders.iter().map(|it| it.site.clone()).collect();
                let result = tokio::select! {
                    biased;
                    () = reply.closed() => None,
                    result = self.stage_all(orders, &progress) => Some(result),
                };
                if !matches!(result, Some(Ok(()))) {
                    self.abort(&sites);
                }
                if let Some(result) = result {
                    let _ = reply.send(result);
                }
            }
            Job::Abort { sites, reply } => {
                self.abort(&sites);
                let _ = reply.send(());
            }
            Job::Deploy {
                deploy,
                remove,
                reply,
            } => {
                self.deploy(&deploy, &remove).await;
                let _ = reply.send(());
            }
            Job::Restore { orders, reply } => {
                let failed = self.restore(orders).await;
                let _ = reply.send(failed);
            }
            Job::Inspect { reply } => {
                let _ = reply.send(self.counts());
            }
            #[allow(clippy::panic, reason = "as it was told to")]
            Job::Die => panic!("a drill"),
            Job::Close { idlers, reply } => {
                for container in self.sites.values_mut() {
                    container.close(idlers).await;
                }
                let _ = reply.send(());
            }
            Job::Stop {
                drain,
                idlers,
                reply,
            } => {
                return Next::Stop(Stop {
                    drain,
                    idlers,
                    reply,
                });
            }
        }
        Next::Task
    }

    /// Does on this worker what the command says.
    ///
    /// # Errors
    ///
    /// As the command's variants say; what was deployed then still serves. Dropping the future
    /// while a chain is being made leaves everything as it was.
    pub async fn execute<F>(
        &mut self,
        command: ServiceCommand<F, ListenerSet>,
        generation: Generation,
    ) -> Result<(), CommandError>
    where
        F: ChainFactory<Service = S>,
    {
        let order = |site, factory, listeners, origin| Order {
            site,
            factory,
            listeners,
            generation,
            origin,
        };
        match command {
            ServiceCommand::Precommit(site, factory, listeners) => {
                self.stage(order(site, factory, listeners, Origin::Current))
                    .await
            }
            ServiceCommand::PrepareAndCommit(site, factory, listeners) => {
                self.stage(order(site.clone(), factory, listeners, Origin::Nothing))
                    .await?;
                self.deploy(&[site], &[]).await;
                Ok(())
            }
            ServiceCommand::Update(site) => {
                self.expect_staged(&site, CommandError::NotDeployed, true)?;
                self.deploy(&[site], &[]).await;
                Ok(())
            }
            ServiceCommand::Commit(site) => {
                self.expect_staged(&site, CommandError::AlreadyDeployed, false)?;
                self.deploy(&[site], &[]).await;
                Ok(())
            }
            ServiceCommand::Abort(site) => {
                self.abort(&[site]);
                Ok(())
            }
            ServiceCommand::Remove(site) => {
                self.slot(&site).ok_or(CommandError::NotDeployed)?;
                self.deploy(&[], &[site]).await;
                Ok(())
            }
            ServiceCommand::Drain(site) => self
                .sites
                .get(&site)
                .ok_or(CommandError::NotDeployed)?
                .drain(),
        }
    }

    fn slot(&self, site: &SiteName) -> Option<&ServiceSlot<S>> {
        self.sites.get(site)?.slot()
    }

    fn expect_staged(
        &self,
        site: &SiteName,
        otherwise: CommandError,
        is_deployed: bool,
    ) -> Result<(), CommandError> {
        if self.slot(site).is_some() != is_deployed {
            return Err(otherwise);
        }
        match self.sites.get(site) {
            Some(container) if container.is_staged() => Ok(()),
            _ => Err(CommandError::NotStaged),
        }
    }

    async fn stage<F>(&mut self, order: Order<F>) -> Result<(), CommandError>
    where
        F: ChainFactory<Service = S>,
    {
        let site = order.site.clone();
        let departures = &self.departures;
        let container = self
            .sites
            .entry(site.clone())
            .or_insert_with(|| ServiceDeploymentContainer::new(site.clone(), departures.clone()));
        let result = container.stage(order, self.worker).await;
        if result.is_err() {
            self.abort(&[site]);
        }
        result
    }

    async fn stage_all<F>(
        &mut self,
        orders: Vec<Order<F>>,
        progress: &Progress,
    ) -> Result<(), SiteError>
    where
        F: ChainFactory<Service = S>,
    {
        for (index, order) in orders.into_iter().enumerate() {
            progress.set(index);
            let site = order.site.clone();
            self.stage(order)
                .await
                .map_err(|cause| SiteError { site, cause })?;
        }
        Ok(())
    }

    fn abort(&mut self, sites: &[SiteName]) {
        for site in sites {
            if let Some(container) = self.sites.get_mut(site) {
                container.abort();
                if container.slot().is_none() {
                    self.sites.remove(site);
                }
            }
        }
    }

    /// All new loops run before the first old one is closed, so that an address that moves
    /// between sites is always accepted from.
    async fn deploy(&mut self, deploy: &[SiteName], remove: &[SiteName]) {
        let mut closing = Vec::new();
        for site in deploy {
            if let Some(container) = self.sites.get_mut(site) {
                closing.extend(container.deploy());
            }
        }
        AcceptLoop::close_all(closing).await;
        for site in remove {
            if let Some(container) = self.sites.remove(site) {
                container.remove(Idlers::Leave).await;
            }
        }
    }

    async fn restore<F>(&mut self, orders: Vec<Order<F>>) -> Vec<SiteError>
    where
        F: ChainFactory<Service = S>,
    {
        let wanted = |site: &&SiteName| !orders.iter().any(|order| order.site == **site);
        let remove: Vec<SiteName> = self.sites.keys().filter(wanted).cloned().collect();
        let mut failed = Vec::new();
        for order in orders {
            let site = order.site.clone();
            let present = self.slot(&site).map(ServiceSlot::generation);
            if present.is_some_and(|present| present >= order.generation) {
                continue;
            }
            match self.stage(order).await {
                Ok(()) => self.deploy(&[site], &[]).await,
                Err(cause) => failed.push(SiteError { site, cause }),
            }
        }
        self.deploy(&[], &remove).await;
        failed
    }

    fn counts(&self) -> Vec<GenerationCount> {
        let serving = self.sites.values().filter_map(|it| it.count());
        serving.chain(self.departures.counts()).collect()
    }

    /// Drains everything, drops what is left when the time is over, and stays until the other
    /// workers have done the same.
    async fn stop<F>(&mut self, stop: Stop, receiver: &mut Receiver<ServiceCommandTask<F>>) {
        let Stop {
            drain,
            idlers,
            reply,
        } = stop;
        let departures = self.departures.clone();
        let dropped_before = departures.dropped();
        // Kept to the end: a connection that another worker still drains may be at home here.
        let mut last = Vec::new();
        for (_, container) in self.sites.drain() {
            last.extend(container.retire(idlers).await);
        }
        let drain = match idlers {
            Idlers::Leave => {
                departures.hurry_all();
                drain
            }
            // They are told at the end of their site's time.
            Idlers::Stay => drain + HURRY_GRACE,
        };
        let answering = async {
            while let Some(task) = receiver.receive().await {
                // Whoever asks for anything else sees that the worker is gone.
                if let Job::Inspect { reply } = task.job {
                    let _ = reply.send(departures.counts());
                }
            }
            std::future::pending::<()>().await;
        };
        let draining = async {
            let all_gone = departures.all_gone(&last);
            if timeout(drain, all_gone).await.is_err() {
                departures.abort_all(&last);
            }
            // The control side may have stopped waiting. It ends the worker's life.
            let _ = reply.send(departures.dropped() - dropped_before);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = draining => {}
            () = answering => {}
        }
    }
}
