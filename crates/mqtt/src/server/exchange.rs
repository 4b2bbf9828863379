//! How the cores of one broker reach each other: a mailbox each, bounded, to which another
//! core's messages go in parcels and a client's connection goes when it is at home there.

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tidegate_runtime::io::{Passage, PeerAddr};
use tidegate_runtime::mailbox::{self, Receiver, Sender};
use tidegate_runtime::worker;
use tokio::sync::oneshot;

use super::core::Core;
use super::epoch::Epoch;
use super::population::Population;
use super::system_interest::SystemInterest;
use crate::broker::Parcel;
use crate::broker::shard::{SHARDS_MAX, ShardId};
use crate::codec::Connect;
use crate::store::Store;

/// Parcels and connections that may wait for one core. A parcel grows while it cannot leave.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// What the cores of one broker share. Made once for a server and kept for as long as any
/// of its workers lives.
pub struct Exchange {
    pub(super) epoch: Epoch,
    pub(super) seed: u64,
    /// What keeps the cores' state, if anything does.
    pub(super) store: Option<Store>,
    /// Each core's mailbox, once it is there. Locked only to look one up for the first time.
    stations: Vec<Mutex<Option<Station>>>,
    pub(super) population: Population,
    pub(super) system_interest: SystemInterest,
    /// How many cores there have been.
    incarnations: AtomicU64,
}

/// Tells a core from those that were in its place before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Incarnation(u64);

/// Where a core is reached.
#[derive(Clone, Debug)]
pub(super) struct Station {
    pub(super) incarnation: Incarnation,
    pub(super) sender: Sender<Crossing>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("cores", &self.stations.len())
            .finish_non_exhaustive()
    }
}

/// What comes from another core.
#[derive(Debug)]
pub(super) enum Crossing {
    /// What the core there says.
    Parcel {
        from: ShardId,
        incarnation: Incarnation,
        parcel: Parcel,
    },
    /// A client that is at home here.
    Connection(Box<Moved>),
    /// All that the core there wants has been said.
    Greeting {
        from: ShardId,
        incarnation: Incarnation,
    },
    /// Whoever runs the broker has a look, or a hand in it.
    Visit(Visit),
}

/// Something to be done on a core's worker, at once and without waiting.
pub(super) struct Visit(Box<VisitFn>);

type VisitFn = dyn FnOnce(&Rc<Core>) + Send;

impl Visit {
    pub(super) fn new(visit: impl FnOnce(&Rc<Core>) + Send + 'static) -> Self {
        Self(Box::new(visit))
    }

    pub(super) fn make(self, core: &Rc<Core>) {
        (self.0)(core);
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").finish_non_exhaustive()
    }
}

/// A connection between two workers, its CONNECT read.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) passage: Passage,
    pub(super) peer: PeerAddr,
    pub(super) connect: Box<Connect>,
    /// What came behind CONNECT.
    pub(super) rest: Bytes,
    /// Dropped with the connection; closed when the worker that accepted it lets it go.
    pub(super) tie: oneshot::Sender<()>,
}

impl Exchange {
    /// For a broker whose cores keep their state in `store`, which was opened for as many
    /// cores as there are workers that serve it.
    ///
    /// # Panics
    ///
    /// When it was opened for none or too many.
    pub fn with_store(store: Store) -> Self {
        let cores = usize::from(store.cores());
        Self {
            store: Some(store),
            ..Self::new(cores)
        }
    }

    /// What keeps the state of its cores, if anything does.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// For a broker of this many cores, at most [`SHARDS_MAX`]: one for each worker that
    /// serves it.
    ///
    /// # Panics
    ///
    /// When there are none or too many.
    pub fn new(cores: usize) -> Self {
        assert!(
            (1..=usize::from(SHARDS_MAX)).contains(&cores),
            "a broker has 1 to {SHARDS_MAX} cores"
        );
        let epoch = Epoch::start();
        Self {
            epoch,
            seed: epoch.seed(),
            store: None,
            stations: (0..cores).map(|_| Mutex::default()).collect(),
            population: Population::default(),
            system_interest: SystemInterest::default(),
            incarnations: AtomicU64::new(0),
        }
    }

    pub(super) fn cores(&self) -> u8 {
        u8::try_from(self.stations.len()).expect("checked when it was made")
    }

    /// The core of the calling worker.
    pub(super) fn here(&self) -> ShardId {
        let worker = worker::current().map_or(0, |worker| worker.0);
        ShardId((worker % self.stations.len()) as u8)
    }

    /// A number for a core that no other core of this broker has had; never 0.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Opens a core's mailbox. The one that a dead worker had is closed by its end.
    pub(super) fn open(&self, shard: ShardId) -> (Receiver<Crossing>, Incarnation) {
        let (sender, receiver) = mailbox::channel(MAILBOX_CAPACITY);
        let mut station = self.station(shard);
        let before = station.as_ref().map_or(0, |before| before.incarnation.0);
        let incarnation = Incarnation(before + 1);
        *station = Some(Station {
            incarnation,
            sender,
        });
        (receiver, incarnation)
    }

    /// The way to a core, if it is there.
    pub(super) fn way(&self, shard: ShardId) -> Option<Station> {
        self.station(shard).clone()
    }

    fn station(&self, shard: ShardId) -> MutexGuard<'_, Option<Station>> {
        // A sender is whole whatever happened while it was replaced.
        self.stations[usize::from(shard.0)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
