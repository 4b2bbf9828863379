//! What to listen at, and the sockets made from it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_service::MakeService;

use super::address::{ListenAddr, ParseListenAddrError};
use super::admission::{Admission, Gate};
use super::bind::{BindError, Occupancy};
use super::group::{Group, Tenure};
use super::set::ListenerSet;

/// How many connections may wait to be accepted, per socket.
pub const DEFAULT_BACKLOG: u32 = 1024;

/// How long a replaced or removed generation's connections may take to leave.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// How many connections a site may have.
pub const DEFAULT_CONNECTIONS_MAX: usize = 10_000;

/// A site's listening rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// How many connections may wait to be accepted, per socket (listen(2)).
    pub backlog: u32,
    /// Whether small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How long the connections of a replaced or removed generation may take to leave
    /// before they are aborted.
    pub drain: Duration,
    /// How many connections the site may have, on all workers and in all generations together.
    pub connections_max: usize,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            backlog: DEFAULT_BACKLOG,
            nodelay: true,
            drain: DEFAULT_DRAIN,
            connections_max: DEFAULT_CONNECTIONS_MAX,
        }
    }
}

/// A factory of [`ListenerSet`]s. Made from an older set, the new one takes over the
/// sockets of the addresses both name, and binds the others there and then.
///
/// ```
/// use tidegate_runtime::listener::{ListenerBuilder, ListenerOptions};
/// use tidegate_service::MakeService;
///
/// let address = "127.0.0.1:0".parse()?;
/// let builder = ListenerBuilder::new(vec![address], ListenerOptions::default());
/// let first = builder.make()?;
/// let second = builder.make_via_ref(Some(&first))?;
/// assert_eq!(first.local_addresses(), second.local_addresses());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenerBuilder {
    addresses: Vec<ListenAddr>,
    options: ListenerOptions,
}

impl ListenerBuilder {
    /// Listens at `addresses`.
    pub fn new(addresses: Vec<ListenAddr>, options: ListenerOptions) -> Self {
        Self { addresses, options }
    }

    /// Listens at one TCP address.
    pub fn bind_tcp(address: SocketAddr, options: ListenerOptions) -> Self {
        Self::new(vec![ListenAddr::Tcp(address)], options)
    }

    /// Listens at one Unix socket.
    pub fn bind_unix(path: impl Into<PathBuf>, options: ListenerOptions) -> Self {
        Self::new(vec![ListenAddr::Unix(path.into())], options)
    }

    /// The rules the sets will have.
    pub fn options(&self) -> &ListenerOptions {
        &self.options
    }
}

impl From<ListenAddr> for ListenerBuilder {
    fn from(address: ListenAddr) -> Self {
        Self::new(vec![address], ListenerOptions::default())
    }
}

impl From<Vec<ListenAddr>> for ListenerBuilder {
    fn from(addresses: Vec<ListenAddr>) -> Self {
        Self::new(addresses, ListenerOptions::default())
    }
}

impl TryFrom<&str> for ListenerBuilder {
    type Error = ParseListenAddrError;

    fn try_from(address: &str) -> Result<Self, Self::Error> {
        address.parse::<ListenAddr>().map(Self::from)
    }
}

impl TryFrom<Vec<String>> for ListenerBuilder {
    type Error = ParseListenAddrError;

    fn try_from(addresses: Vec<String>) -> Result<Self, Self::Error> {
        let addresses: Result<Vec<ListenAddr>, _> =
            addresses.iter().map(|address| address.parse()).collect();
        addresses.map(Self::from)
    }
}

impl MakeService for ListenerBuilder {
    type Service = ListenerSet;
    type Error = BindError;

    fn make_via_ref(&self, old: Option<&ListenerSet>) -> Result<ListenerSet, BindError> {
        let mut stock = Stock::of(old);
        let mut tenures: Vec<Arc<Tenure>> = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            let tenure = match stock.take(address) {
                Some(tenure) => tenure,
                None => {
                    let ours = tenures.iter().chain(stock.all());
                    let group =
                        Group::bind(address, self.options.backlog, occupancy_of(address, ours))?;
                    Arc::new(Tenure { group })
                }
            };
            tenures.push(tenure);
        }
        let gate = old.map_or_else(Arc::<Gate>::default, |old| old.gate());
        let admission = Admission {
            gate,
            connections_max: self.options.connections_max,
            nodelay: self.options.nodelay,
        };
        Ok(ListenerSet::new(tenures, self.options, admission))
    }
}

/// Changing `127.0.0.1:80` into `0.0.0.0:80` meets our own old socket, which must not count.
fn occupancy_of<'a>(
    address: &ListenAddr,
    mut ours: impl Iterator<Item = &'a Arc<Tenure>>,
) -> Occupancy {
    if ours.any(|tenure| address.overlaps(&tenure.group.bound)) {
        Occupancy::Shared
    } else {
        Occupancy::Exclusive
    }
}

/// The groups that can be taken over, each once.
struct Stock {
    own: Vec<Option<Arc<Tenure>>>,
    others: Vec<Option<Arc<Tenure>>>,
    everything: Vec<Arc<Tenure>>,
}

impl Stock {
    fn of(old: Option<&ListenerSet>) -> Self {
        let own = old.map_or(&[][..], ListenerSet::tenures);
        let others = old.map_or(&[][..], ListenerSet::borrowed);
        Self {
            own: own.iter().cloned().map(Some).collect(),
            others: others.iter().cloned().map(Some).collect(),
            everything: own.iter().chain(others).cloned().collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Tenure>> {
        self.everything.iter()
    }

    fn take(&mut self, address: &ListenAddr) -> Option<Arc<Tenure>> {
        let names = |tenure: &&mut Option<Arc<Tenure>>| {
            tenure.as_ref().is_some_and(|tenure| {
                tenure.group.requested == *address || tenure.group.bound == *address
            })
        };
        if let Some(tenure) = self.own.iter_mut().find(names) {
            return tenure.take();
        }
        // "Any port" asked for twice is two ports: another site's is not ours.
        if address.is_port_open() {
            return None;
        }
        self.others.iter_mut().find(names).and_then(Option::take)
    }
}
