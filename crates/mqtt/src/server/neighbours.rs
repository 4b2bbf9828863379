//! What one core has for each other core, until it has left.

use std::sync::Arc;

use tidegate_runtime::mailbox::{Reserved, Sender};

use super::exchange::{Crossing, Exchange, Incarnation};
use crate::broker::Parcel;
use crate::broker::shard::ShardId;

/// Messages that wait for a core that does not keep up; beyond them those of QoS 0 are
/// dropped. The others are bounded by what clients may have unacknowledged.
const BACKLOG_MAX: usize = 16_384;

/// Whether all that waited has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    None,
    Some,
}

impl Backlog {
    /// Of two of them.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, Self::None) => Self::None,
            _ => Self::Some,
        }
    }
}

#[derive(Debug, Default)]
struct Neighbour {
    sender: Option<Sender<Crossing>>,
    /// The one that was heard of last, or sent to.
    incarnation: Option<Incarnation>,
    backlog: Parcel,
    greeting: Greeting,
}

/// Whether the core there has to be told that it knows what is wanted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Greeting {
    #[default]
    Needless,
    Due,
    Said,
}

/// Who a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// The core that was there before, or the first.
    Known,
    /// One in its place. The core here has to be told.
    Restarted,
    /// One in whose place is another already.
    Gone,
}

/// The ways from one core to all others.
#[derive(Debug)]
pub(super) struct Neighbours {
    exchange: Arc<Exchange>,
    here: ShardId,
    incarnation: Incarnation,
    neighbours: Vec<Neighbour>,
    /// Cores that others are in the place of, of which the core here has not been told.
    restarted: Vec<ShardId>,
    dropped: u64,
}

impl Neighbours {
    pub(super) fn new(exchange: Arc<Exchange>, here: ShardId, incarnation: Incarnation) -> Self {
        let greeting = |shard| match exchange.store {
            Some(_) if shard != here => Greeting::Due,
            _ => Greeting::Needless,
        };
        let neighbours = (0..exchange.cores())
            .map(|shard| Neighbour {
                greeting: greeting(ShardId(shard)),
                ..Neighbour::default()
            })
            .collect();
        Self {
            exchange,
            here,
            incarnation,
            neighbours,
            restarted: Vec::new(),
            dropped: 0,
        }
    }

    /// Takes notice of who has sent something.
    pub(super) fn meet(&mut self, from: ShardId, incarnation: Incarnation) -> Meeting {
        self.neighbours[usize::from(from.0)].meet(incarnation)
    }

    /// A core that another is in the place of; the core here has to be told.
    pub(super) fn next_restarted(&mut self) -> Option<ShardId> {
        self.restarted.pop()
    }

    /// QoS 0 messages that a slow core has not been given.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Puts a parcel behind what waits.
    pub(super) fn put(&mut self, to: ShardId, parcel: Parcel) {
        let backlog = &mut self.neighbours[usize::from(to.0)].backlog;
        self.dropped += backlog.append(parcel, BACKLOG_MAX);
    }

    /// Sends all that finds room.
    pub(super) fn flush(&mut self) -> Backlog {
        let mut left = Backlog::None;
        for (shard, neighbour) in (0..).map(ShardId).zip(&mut self.neighbours) {
            let has_greeted = neighbour.greeting != Greeting::Due;
            if neighbour.backlog.is_empty() && has_greeted {
                continue;
            }
            if neighbour.look_up(&self.exchange, shard) == Meeting::Restarted {
                self.restarted.push(shard);
                continue;
            }
            let Some(sender) = &neighbour.sender else {
                left = Backlog::Some;
                continue;
            };
            let parcel = Crossing::Parcel {
                from: self.here,
                incarnation: self.incarnation,
                parcel: std::mem::take(&mut neighbour.backlog),
            };
            if let Err(error) = sender.send(parcel) {
                if let Crossing::Parcel { parcel, .. } = error.into_inner() {
                    neighbour.backlog = parcel;
                }
                left = Backlog::Some;
            } else if !has_greeted {
                let (from, incarnation) = (self.here, self.incarnation);
                match sender.send(Crossing::Greeting { from, incarnation }) {
                    Ok(()) => neighbour.greeting = Greeting::Said,
                    Err(_) => left = Backlog::Some,
                }
            }
        }
        left
    }

    /// A place in a core's mailbox, if there is one.
    pub(super) fn reserve(&mut self, shard: ShardId) -> Option<Reserved<Crossing>> {
        let neighbour = &mut self.neighbours[usize::from(shard.0)];
        if neighbour.look_up(&self.exchange, shard) == Meeting::Restarted {
            self.restarted.push(shard);
        }
        neighbour.sender.as_ref()?.reserve().ok()
    }
}

impl Neighbour {
    /// Looks up the way to the core when there is none yet, or its worker was replaced.
    fn look_up(&mut self, exchange: &Exchange, shard: ShardId) -> Meeting {
        if self
            .sender
            .as_ref()
            .is_some_and(|sender| !sender.is_closed())
        {
            return Meeting::Known;
        }
        let Some(station) = exchange.way(shard) else {
            return Meeting::Known;
        };
        let meeting = self.meet(station.incarnation);
        self.sender = Some(station.sender);
        meeting
    }

    /// Notes who is there. What waited for another before, the new one would misunderstand.
    fn meet(&mut self, incarnation: Incarnation) -> Meeting {
        match self.incarnation {
            Some(known) if known > incarnation => return Meeting::Gone,
            Some(known) if known == incarnation => return Meeting::Known,
            Some(_) => {}
            None => {
                self.incarnation = Some(incarnation);
                return Meeting::Known;
            }
        }
        self.incarnation = Some(incarnation);
        self.backlog = Parcel::default();
        self.sender = None;
        if self.greeting == Greeting::Said {
            self.greeting = Greeting::Due;
        }
        Meeting::Restarted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tidegate_runtime::mailbox::Receiver;

    use super::*;
    use crate::server::exchange::MAILBOX_CAPACITY;

    const HERE: ShardId = ShardId(0);
    const THERE: ShardId = ShardId(1);

    fn neighbours() -> (Neighbours, Receiver<Crossing>) {
        let exchange = Arc::new(Exchange::new(2));
        let (_, incarnation) = exchange.open(HERE);
        let (receiver, _) = exchange.open(THERE);
        (Neighbours::new(exchange, HERE, incarnation), receiver)
    }

    fn next(receiver: &mut Receiver<Crossing>) -> Option<Vec<u64>> {
        match receiver.try_receive()? {
            Crossing::Parcel { parcel, .. } => Some(parcel.numbers()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_put_in_before_one_flush_arrives_as_one_parcel() {
        let (mut neighbours, mut receiver) = neighbours();
        neighbours.put(THERE, Parcel::of_test(1..3));
        neighbours.put(THERE, Parcel::of_test(3..4));
        assert_eq!(neighbours.flush(), Backlog::None);
        assert_eq!(next(&mut receiver), Some(vec![1, 2, 3]));
        assert_eq!(neighbours.flush(), Backlog::None);
        assert_eq!(next(&mut receiver), None);
    }

    #[test]
    fn a_core_that_does_not_keep_up_gets_all_in_order_once_it_does() {
        let (mut neighbours, mut receiver) = neighbours();
        let count = MAILBOX_CAPACITY as u64;
        for number in 0..count {
            neighbours.put(THERE, Parcel::of_test(number..number + 1));
            assert_eq!(neighbours.flush(), Backlog::None);
        }
        for number in count..count + 3 {
            neighbours.put(THERE, Parcel::of_test(number..number + 1));
            assert_eq!(neighbours.flush(), Backlog::Some);
        }
        for number in 0..count {
            assert_eq!(next(&mut receiver), Some(vec![number]));
        }
        assert_eq!(neighbours.flush(), Backlog::None);
        let rest = (count..count + 3).collect();
        assert_eq!(next(&mut receiver), Some(rest));
        assert_eq!(neighbours.dropped(), 0);
    }
}
