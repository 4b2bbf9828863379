//! Who waits to hear what became of a message that it had the core publish.

use std::cell::{Cell, RefCell};

use hashbrown::HashMap;
use tokio::sync::oneshot;

use crate::broker::{Published, Receipt};

/// The most that may wait at a time.
const WAITING_MAX: usize = 1_024;

/// Of one core. What nobody waits for any longer is told to nobody.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    last: Cell<u64>,
    waiting: RefCell<HashMap<Receipt, oneshot::Sender<Published>>>,
}

impl Receipts {
    /// A new one; none if too many wait.
    pub(super) fn open(&self) -> Option<(Receipt, oneshot::Receiver<Published>)> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        self.last.set(self.last.get() + 1);
        let receipt = Receipt(self.last.get());
        let (tell, told) = oneshot::channel();
        waiting.insert(receipt, tell);
        Some((receipt, told))
    }

    pub(super) fn close(&self, receipt: Receipt, outcome: Published) {
        let tell = self.waiting.borrow_mut().remove(&receipt);
        // Whoever asked may have given up meanwhile.
        let _ = tell.map(|tell| tell.send(outcome));
    }
}
