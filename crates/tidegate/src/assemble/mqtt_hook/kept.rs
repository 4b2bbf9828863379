//! Connections to a hook that are kept between questions: a pool on each worker, since a
//! connection does not leave the worker that made it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use tidegate_gateway::upstream::{Pool, PoolLimits};

/// By what their questions share.
type Pools = Vec<(Weak<Share>, Rc<Pool>)>;

thread_local! {
    static POOLS: RefCell<Pools> = const { RefCell::new(Vec::new()) };
}

/// The pools of one hook. Their connections end with it, or when they have idled too long.
#[derive(Debug)]
pub(super) struct KeptConnections(Arc<Share>);

#[derive(Debug)]
struct Share {
    limits: PoolLimits,
}

impl KeptConnections {
    /// Within these limits on each worker.
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self(Arc::new(Share { limits }))
    }

    pub(super) fn limits(&self) -> PoolLimits {
        self.0.limits
    }

    /// The calling worker's pool.
    pub(super) fn here(&self) -> Rc<Pool> {
        POOLS.with_borrow_mut(|pools| {
            pools.retain(|(share, _)| share.strong_count() > 0);
            let ours = Arc::as_ptr(&self.0);
            let found = pools.iter().find(|(share, _)| share.as_ptr() == ours);
            if let Some((_, pool)) = found {
                return Rc::clone(pool);
            }
            let pool = Rc::new(Pool::default());
            pools.push((Arc::downgrade(&self.0), Rc::clone(&pool)));
            pool
        })
    }
}
