//! For whoever runs a broker: figures, lists, and a hand on clients and messages.
//!
//! Everything is asked of the cores through their mailboxes, and each question is small:
//! a worker is never held up for longer than one look at a bounded number of sessions
//! takes. Nothing is counted twice for it, and nobody locks anything on the data path.

mod figures;
mod listing;
mod order;
mod system;
mod tap;

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use self::figures::Known;
pub use self::figures::{BrokerFigures, CoreFigures, Traffic};
pub use self::listing::{
    Cursor, CursorError, PAGE_MAX, Page, RetainedReport, SessionReport, SubscriptionReport, Which,
};
pub use self::order::{Kicked, NotPublished, PUBLISH_TIMEOUT};
pub use self::system::SYSTEM_INTERVAL_MIN;
pub use self::tap::{TAP_QUEUE, Tap, TapError, TappedMessage};
use super::core::Core;
use super::exchange::{Crossing, Exchange, Visit};
use crate::broker::shard::ShardId;

/// How long a core may take to answer one question.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A core did not answer in time: its worker is stuck, starting or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker does not answer for its part of the broker")]
pub struct NoAnswer;

/// The way to the cores of one broker, from any thread whose tokio runtime has a timer.
/// Clones lead to the same.
///
/// Questions can be cancelled; an order that a core has been given is carried out.
#[derive(Clone, Debug)]
pub struct Operator {
    way: Arc<Way>,
}

/// What clones share: a broker is held once by all of them.
#[derive(Debug)]
struct Way {
    exchange: Arc<Exchange>,
    /// What each core said last, so that sums do not fall when one is silent or replaced.
    known: Mutex<Vec<Known>>,
}

impl Operator {
    /// The way to the cores that meet in `exchange`. Have one for a broker: what it knows of
    /// cores that are gone is in its sums.
    pub fn new(exchange: Arc<Exchange>) -> Self {
        let cores = usize::from(exchange.cores());
        Self {
            way: Arc::new(Way {
                exchange,
                known: Mutex::new(vec![Known::default(); cores]),
            }),
        }
    }

    /// How many cores there are, of which some may be silent.
    pub fn cores(&self) -> u8 {
        self.exchange().cores()
    }

    fn exchange(&self) -> &Exchange {
        &self.way.exchange
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.cores()).map(ShardId)
    }

    /// What `question` finds on one core.
    async fn ask<T: Send + 'static>(
        &self,
        shard: ShardId,
        question: impl FnOnce(&Rc<Core>) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let answered = timeout(ANSWER_TIMEOUT, self.put(shard, question)?).await;
        answered.ok().and_then(Result::ok).ok_or(NoAnswer)
    }

    /// What `question` finds on each core that answers in time. All are asked at once.
    async fn ask_all<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Rc<Core>) -> T + Copy + Send + 'static,
    ) -> Vec<T> {
        let awaited: Vec<_> = self
            .shards()
            .filter_map(|shard| self.put(shard, question).ok())
            .collect();
        let until = Instant::now() + ANSWER_TIMEOUT;
        let mut answers = Vec::new();
        for answer in awaited {
            if let Ok(Ok(answer)) = timeout_at(until, answer).await {
                answers.push(answer);
            }
        }
        answers
    }

    fn put<T: Send + 'static>(
        &self,
        shard: ShardId,
        question: impl FnOnce(&Rc<Core>) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, NoAnswer> {
        let station = self.exchange().way(shard).ok_or(NoAnswer)?;
        let (reply, answer) = oneshot::channel();
        let visit = Visit::new(move |core| {
            // Whoever asked may have given up meanwhile.
            drop(reply.send(question(core)));
        });
        let visit = station.sender.send(Crossing::Visit(visit));
        visit.map_err(|_| NoAnswer)?;
        Ok(answer)
    }
}
