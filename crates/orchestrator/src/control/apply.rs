//! One transaction over several sites.

use tidegate_runtime::listener::ListenerSet;
use tidegate_runtime::worker::WorkerIndex;
use tokio::time::Instant;

use super::change::{Applied, ApplyError, Change};
use super::staging::StagingFailure;
use super::table::{Deployment, Others};
use super::{Shared, WorkerManager};
use crate::command::{CommandError, Origin};
use crate::factory::{ChainFactory, ListenerFactory};
use crate::site::{Generation, SiteName};

impl<F: ChainFactory, LF: ListenerFactory> WorkerManager<F, LF> {
    /// Makes all changes, or none.
    ///
    /// Listeners are bound first: a site takes over the sockets of its addresses from whichever
    /// site has them now, so that an address can move without being closed. Then every worker
    /// builds every chain, each from the one it replaces, within the command's deadline. Only
    /// when all have is anything deployed. An address nobody names any more is closed after its
    /// queue was emptied; replaced generations drain.
    ///
    /// Sites that are not named are left alone; what was staged for the others by single
    /// commands is dropped. One transaction runs at a time; others wait.
    ///
    /// # Errors
    ///
    /// The first failure, with site, worker and cause; everything serves as before then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future aborts what is staged, unless it is being deployed already.
    pub async fn apply(&self, changes: Vec<Change<F, LF>>) -> Result<Applied, ApplyError> {
        let shared = &self.shared;
        let mut ledger = shared.ledger.lock().await;
        shared.check_running()?;
        shared.check_sites(&changes)?;
        for change in &changes {
            // What a single command has staged would be replaced on the workers behind its back.
            if let Some(staging) = ledger.take(change.site()) {
                shared.abort(staging).await;
            }
        }
        let generation = shared.next_generation();
        let deadline = shared.deadline();

        let mut deployments = Vec::new();
        let mut remove = Vec::new();
        for change in changes {
            match change {
                Change::Remove { site } => remove.push(site),
                Change::Deploy {
                    site,
                    chain,
                    listeners,
                } => {
                    let listeners = shared
                        .bind_in_turn(&site, &listeners, &deployments, deadline)
                        .await?;
                    let deployment = Deployment {
                        factory: chain,
                        listeners,
                        generation,
                    };
                    deployments.push((site, deployment));
                }
            }
        }
        shared.check_addresses(&deployments, &remove)?;
        shared
            .finish(deployments, remove, generation, deadline)
            .await
    }
}

impl<F: ChainFactory> Shared<F> {
    fn check_running(&self) -> Result<(), ApplyError> {
        if self.is_stopping() || self.table().workers.is_empty() {
            return Err(ApplyError::NotRunning);
        }
        Ok(())
    }

    fn check_sites<LF>(&self, changes: &[Change<F, LF>]) -> Result<(), ApplyError> {
        let table = self.table();
        for (index, change) in changes.iter().enumerate() {
            let site = change.site();
            if changes[..index].iter().any(|other| other.site() == site) {
                return Err(ApplyError::ChangedTwice { site: site.clone() });
            }
            if matches!(change, Change::Remove { .. }) && !table.deployed.contains_key(site) {
                return Err(rejected(site, CommandError::NotDeployed));
            }
        }
        Ok(())
    }

    /// Binds one site's listeners, and says it clearly when another site of the same
    /// transaction has just been given the address.
    async fn bind_in_turn<LF: ListenerFactory>(
        &self,
        site: &SiteName,
        listeners: &LF,
        earlier: &[(SiteName, Deployment<F>)],
        deadline: Instant,
    ) -> Result<ListenerSet, ApplyError> {
        let bound = self
            .bind(site, listeners, Others::Included, deadline)
            .await
            .map_err(|cause| rejected(site, cause))?;
        for (other, deployment) in earlier {
            check_apart(site, &bound, other, &deployment.listeners)?;
        }
        Ok(bound)
    }

    /// Whether the addresses taken over from other sites are really given up by them.
    fn check_addresses(
        &self,
        deployments: &[(SiteName, Deployment<F>)],
        remove: &[SiteName],
    ) -> Result<(), ApplyError> {
        let table = self.table();
        let stays = |site: &SiteName| {
            !remove.contains(site) && !deployments.iter().any(|(other, _)| other == site)
        };
        for (other, present) in table.deployed.iter().filter(|(site, _)| stays(site)) {
            for (site, deployment) in deployments {
                check_apart(site, &deployment.listeners, other, &present.listeners)?;
            }
        }
        Ok(())
    }

    async fn finish(
        &self,
        deployments: Vec<(SiteName, Deployment<F>)>,
        remove: Vec<SiteName>,
        generation: Generation,
        deadline: Instant,
    ) -> Result<Applied, ApplyError> {
        if deployments.is_empty() && remove.is_empty() {
            return Ok(Applied {
                generation,
                late: Vec::new(),
            });
        }
        let staging = self
            .stage(&deployments, Origin::Current, deadline)
            .await
            .map_err(|failures| first_rejection(failures, &remove))?;
        let outcomes = self.commit(staging, deployments, &remove).await;
        let late: Vec<WorkerIndex> = outcomes
            .into_iter()
            .filter_map(|(worker, outcome)| outcome.err().map(|_| worker))
            .collect();
        Ok(Applied { generation, late })
    }
}

fn rejected(site: &SiteName, cause: CommandError) -> ApplyError {
    ApplyError::Rejected {
        site: site.clone(),
        worker: None,
        cause,
    }
}

fn first_rejection(failures: Vec<StagingFailure>, remove: &[SiteName]) -> ApplyError {
    let first = failures.into_iter().next();
    let named = first.and_then(|failure| {
        let site = failure.site.or_else(|| remove.first().cloned())?;
        Some((site, failure.worker, failure.cause))
    });
    match named {
        Some((site, worker, cause)) => ApplyError::Rejected {
            site,
            worker: Some(worker),
            cause,
        },
        None => ApplyError::NotRunning,
    }
}

fn check_apart(
    site: &SiteName,
    listeners: &ListenerSet,
    other: &SiteName,
    others: &ListenerSet,
) -> Result<(), ApplyError> {
    match listeners.shared_address(others) {
        None => Ok(()),
        Some(address) => Err(rejected(
            site,
            CommandError::AddressTaken {
                address,
                other: other.clone(),
            },
        )),
    }
}
