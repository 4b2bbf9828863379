//! Which cores are on the calling worker, for servers of other protocols that bring a
//! broker connections.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{self, Arc};

use super::core::Core;
use super::exchange::Exchange;

/// By what the cores of one broker share. A worker has as many as there are brokers.
type Cores = Vec<(sync::Weak<Exchange>, Weak<Core>)>;

thread_local! {
    static CORES: RefCell<Cores> = const { RefCell::new(Vec::new()) };
}

/// Makes a core of the calling worker known, in the place of an earlier one.
pub(super) fn note(exchange: &Arc<Exchange>, core: &Rc<Core>) {
    CORES.with_borrow_mut(|cores| {
        let ours = Arc::as_ptr(exchange);
        cores.retain(|(exchange, core)| core.strong_count() > 0 && exchange.as_ptr() != ours);
        cores.push((Arc::downgrade(exchange), Rc::downgrade(core)));
    });
}

/// The calling worker's core of the broker whose cores meet in `exchange`, if it is there.
pub(super) fn find(exchange: &Arc<Exchange>) -> Option<Rc<Core>> {
    CORES.with_borrow(|cores| {
        let ours = Arc::as_ptr(exchange);
        let found = cores.iter().find(|(it, _)| it.as_ptr() == ours);
        found.and_then(|(_, core)| core.upgrade())
    })
}
