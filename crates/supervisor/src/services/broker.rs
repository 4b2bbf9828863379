//! Publishing within the process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::context::Context;
use crate::service::Service;

/// Passes values of one type from whoever has them to whoever wants them.
///
/// Each subscriber has its own place in a bounded history: one that lags behind misses the
/// oldest values, is told how many, and holds up nobody.
///
/// ```
/// use tidegate_supervisor::services::Broker;
///
/// let broker = Broker::new(16);
/// let mut numbers = broker.subscribe().unwrap();
/// assert_eq!(broker.publish(7), 1);
/// assert_eq!(numbers.try_recv(), Ok(7));
/// ```
pub struct Broker<T> {
    sender: Arc<Mutex<Option<broadcast::Sender<T>>>>,
}

impl<T> Clone for Broker<T> {
    fn clone(&self) -> Self {
        Self {
            sender: Arc::clone(&self.sender),
        }
    }
}

impl<T: Clone> Broker<T> {
    /// A broker that keeps `history` values for slow subscribers, rounded up to a power of two.
    ///
    /// # Panics
    ///
    /// If `history` is 0.
    pub fn new(history: usize) -> Self {
        let sender = broadcast::Sender::new(history);
        Self {
            sender: Arc::new(Mutex::new(Some(sender))),
        }
    }

    fn sender(&self) -> Option<broadcast::Sender<T>> {
        let sender = self.sender.lock();
        sender.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives `value` to all who have subscribed; how many that are.
    pub fn publish(&self, value: T) -> usize {
        self.sender()
            .and_then(|sender| sender.send(value).ok())
            .unwrap_or(0)
    }

    /// What is published from now on; `None` when the broker is closed.
    pub fn subscribe(&self) -> Option<broadcast::Receiver<T>> {
        self.sender().map(|sender| sender.subscribe())
    }

    /// Ends it: subscribers get what was published, and then their end.
    pub fn close(&self) {
        let sender = self.sender.lock();
        sender.unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl<T> fmt::Debug for Broker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

/// Closes `broker` when the service is to stop; those it depends on are up until then.
pub fn broker_service<T: Clone + Send + 'static>(
    name: impl Into<Arc<str>>,
    broker: Broker<T>,
) -> Service {
    Service::new(name, move |context: Context| {
        let broker = broker.clone();
        async move {
            context.drain().cancelled().await;
            broker.close();
        }
    })
}
