//! All the addresses of one site, owned by the control side.

use std::sync::Arc;
use std::time::Duration;

use super::accept::Listener;
use super::address::ListenAddr;
use super::admission::{Admission, Gate};
use super::bind::BindError;
use super::builder::ListenerOptions;
use super::group::Tenure;
use super::seat::ListenerCounters;
use crate::worker::WorkerIndex;

/// The listening sockets of one site. Clones are the same set.
///
/// An address stays open for as long as some set that names it lives.
#[derive(Clone, Debug)]
pub struct ListenerSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tenures: Vec<Arc<Tenure>>,
    /// Other sites' groups, which a successor may take over.
    borrowed: Vec<Arc<Tenure>>,
    options: ListenerOptions,
    admission: Admission,
}

impl ListenerSet {
    pub(super) fn new(
        tenures: Vec<Arc<Tenure>>,
        options: ListenerOptions,
        admission: Admission,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                tenures,
                borrowed: Vec::new(),
                options,
                admission,
            }),
        }
    }

    /// What a site's next set is to be made from: its own set, if it has one, and what the
    /// `others` have, so that an address can move between sites without being closed.
    ///
    /// `None` when there is nothing at all.
    pub fn predecessor<'a>(
        own: Option<&Self>,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> Option<Self> {
        let borrowed: Vec<Arc<Tenure>> = others
            .into_iter()
            .flat_map(|set| set.inner.tenures.iter().cloned())
            .collect();
        let (tenures, options, admission) = match own {
            Some(own) => (
                own.inner.tenures.clone(),
                own.inner.options,
                own.inner.admission.clone(),
            ),
            None if borrowed.is_empty() => return None,
            None => {
                let options = ListenerOptions::default();
                let admission = Admission {
                    gate: Arc::default(),
                    connections_max: options.connections_max,
                    nodelay: options.nodelay,
                };
                (Vec::new(), options, admission)
            }
        };
        Some(Self {
            inner: Arc::new(Inner {
                tenures,
                borrowed,
                options,
                admission,
            }),
        })
    }

    pub(super) fn tenures(&self) -> &[Arc<Tenure>] {
        &self.inner.tenures
    }

    pub(super) fn borrowed(&self) -> &[Arc<Tenure>] {
        &self.inner.borrowed
    }

    pub(super) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.inner.admission.gate)
    }

    /// Binds the sockets that are missing for `workers` workers.
    ///
    /// # Errors
    ///
    /// An address that could be bound once cannot be bound again.
    pub fn spread(&self, workers: usize) -> Result<(), BindError> {
        for tenure in &self.inner.tenures {
            tenure.group.spread(workers)?;
        }
        Ok(())
    }

    /// Gives sockets taken over from an older set this set's backlog.
    ///
    /// # Errors
    ///
    /// The kernel refuses; the sockets go on listening with their old backlog.
    pub fn apply_backlog(&self) -> Result<(), BindError> {
        for tenure in &self.inner.tenures {
            tenure.group.set_backlog(self.inner.options.backlog)?;
        }
        Ok(())
    }

    /// This worker's listeners, one per address (more where a predecessor had more workers, whose
    /// queues somebody has to serve), on the calling worker's event loop.
    ///
    /// # Errors
    ///
    /// The machine has no descriptor for a socket's duplicate.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn for_worker(&self, worker: WorkerIndex) -> Result<Vec<Listener>, BindError> {
        self.for_worker_except(worker, |_| false)
    }

    /// Like [`Self::for_worker`], leaving out the addresses a running listener serves already.
    ///
    /// # Errors
    ///
    /// The machine has no descriptor for a socket's duplicate.
    pub fn for_worker_except(
        &self,
        worker: WorkerIndex,
        is_served: impl Fn(SocketId) -> bool,
    ) -> Result<Vec<Listener>, BindError> {
        self.inner
            .tenures
            .iter()
            .filter(|tenure| !is_served(SocketId::of(tenure)))
            .flat_map(|tenure| {
                let sockets = tenure.group.sockets_of(worker).into_iter();
                sockets.map(|socket| Listener::new(&tenure.group, worker, socket))
            })
            .collect()
    }

    /// Which sockets these are.
    pub fn socket_ids(&self) -> Vec<SocketId> {
        self.inner.tenures.iter().map(SocketId::of).collect()
    }

    /// The first address that `other` has too, as the same sockets.
    pub fn shared_address(&self, other: &Self) -> Option<ListenAddr> {
        let theirs = other.socket_ids();
        self.inner
            .tenures
            .iter()
            .find(|tenure| theirs.contains(&SocketId::of(tenure)))
            .map(|tenure| tenure.group.bound.clone())
    }

    /// The addresses as bound, with the ports the kernel chose.
    pub fn local_addresses(&self) -> Vec<ListenAddr> {
        self.inner
            .tenures
            .iter()
            .map(|tenure| tenure.group.bound.clone())
            .collect()
    }

    /// What each worker did at each address, workers in order.
    pub fn counters(&self) -> Vec<(ListenAddr, Vec<ListenerCounters>)> {
        self.inner
            .tenures
            .iter()
            .map(|tenure| {
                let seats = tenure.group.seats();
                let counters = seats.iter().map(|seat| seat.counters()).collect();
                (tenure.group.bound.clone(), counters)
            })
            .collect()
    }

    /// The rules the set was made with.
    pub fn options(&self) -> &ListenerOptions {
        &self.inner.options
    }

    /// How long the connections of a replaced or removed generation may take to leave.
    pub fn drain(&self) -> Duration {
        self.inner.options.drain
    }

    /// The site's door, with the limit of this set and the count of all its generations.
    pub fn admission(&self) -> Admission {
        self.inner.admission.clone()
    }
}

/// Tells one address's sockets from another's, also when they are bound to the same
/// address one after the other. Good for as long as somebody holds the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(usize);

impl SocketId {
    fn of(tenure: &Arc<Tenure>) -> Self {
        Self::of_group(&tenure.group)
    }

    pub(super) fn of_group(group: &Arc<super::group::Group>) -> Self {
        Self(Arc::as_ptr(group).addr())
    }
}
