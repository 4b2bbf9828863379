//! Worker pools that are found by key.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::context::Context;
use crate::error::AddError;
use crate::handle::ServiceHandle;
use crate::orchestrator::OrchestratorHandle;
use crate::services::{PoolHandle, PoolOptions, worker_pool};

/// Pools by key.
pub(crate) type Pools = BTreeMap<Arc<str>, PoolHandle>;

/// There is no pool of that key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no worker pool {key:?}")]
pub struct UnknownPool {
    /// The key.
    pub key: Arc<str>,
}

impl OrchestratorHandle {
    /// Adds a worker pool, a service like any other, which [`Context::pool`] finds by `key`.
    ///
    /// # Errors
    ///
    /// As for any service; there is a pool or a service of that name.
    pub fn add_pool(
        &self,
        key: impl Into<Arc<str>>,
        options: PoolOptions,
    ) -> Result<ServiceHandle, AddError> {
        let key = key.into();
        let queue = options.queue();
        let handle = PoolHandle::new(queue.clone());
        let pools = self.hub.pools.lock();
        let mut pools = pools.unwrap_or_else(PoisonError::into_inner);
        let service = worker_pool(Arc::clone(&key), queue, options);
        let service = self.add(service)?.ok_or_else(|| AddError::Duplicate {
            name: Arc::clone(&key),
        })?;
        pools.insert(key, handle);
        Ok(service)
    }

    /// The nearest pool of that key: of this orchestrator, or of those above.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn pool(&self, key: &str) -> Result<PoolHandle, UnknownPool> {
        let pools = self.hub.pools.lock();
        let found = pools
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        match (found, self.hub.above()) {
            (Some(pool), _) => Ok(pool),
            (None, Some(above)) => above.pool(key),
            (None, None) => Err(UnknownPool {
                key: Arc::from(key),
            }),
        }
    }
}

impl Context {
    /// The nearest worker pool of that key: of the service's orchestrator, or of those above.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn pool(&self, key: &str) -> Result<PoolHandle, UnknownPool> {
        self.orchestrator().pool(key)
    }
}
