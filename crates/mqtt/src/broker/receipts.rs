//! What whoever runs the broker publishes, until it is where it is to be: in the store, and
//! with the other cores, as an acknowledgement to a client would wait for.

use std::rc::Rc;

use super::{
    Broker,
    draft::Draft,
    durable::Token,
    held::{Fate, Lost, Places, Until},
    message::{Message, MessageParts},
    output::Output,
    route::Source,
    time::Moment,
};
use crate::codec::QualityOfService;

/// By which whoever published a message is told what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt(pub u64);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Whoever subscribes has it in a queue, and the store has what is to be kept of it.
    Done,
    /// The store could not take it; it may yet.
    NotStored,
    /// Another core died before it said that it has it.
    Lost,
}

/// A message that is not where it is to be.
#[derive(Debug)]
pub(super) struct Open {
    receipt: Receipt,
    until: Until,
}

impl Broker {
    /// Publishes a message as the broker's own.
    pub(super) fn publish_own(&mut self, now: Moment, parts: MessageParts, receipt: Receipt) {
        let is_to_be_kept = parts.qos != QualityOfService::AtMostOnce || parts.retain;
        if is_to_be_kept && self.is_full_for(parts.topic.as_str(), parts.retain) {
            self.counters.publishes_unstored += 1;
            self.say_published(receipt, Published::NotStored);
            return;
        }
        let before = self.journal.mark();
        let mut draft = Draft::Made(Rc::new(Message::new(parts)));
        let reached = self.route(now, &mut draft, Source::Broker);
        let wrote = self.journal.mark() != before;
        let until = match is_to_be_kept {
            true => self.until(reached, wrote),
            false => Until::default(),
        };
        self.receipts.push(Open { receipt, until });
        self.release_receipts();
    }

    /// Tells of what no longer waits.
    pub(super) fn release_receipts(&mut self) {
        let committed = self.journal.committed();
        let crossing = &self.crossing;
        let is_done = |open: &mut Open| open.until.is_now(committed, crossing);
        let done: Vec<Open> = self.receipts.extract_if(.., is_done).collect();
        for open in done {
            self.say_published(open.receipt, Published::Done);
        }
    }

    /// The store could not take `token` yet.
    pub(super) fn fail_receipts(&mut self, token: Token) {
        self.end_receipts(Published::NotStored, |until| until.stored == token);
    }

    /// Another core is gone with what it had not taken.
    pub(super) fn lose_receipts(&mut self, lost: &Lost<'_>) {
        self.end_receipts(Published::Lost, |until| lost.apply(until) == Fate::Lost);
        self.release_receipts();
    }

    /// Messages that had lost their core have another place, or need none.
    pub(super) fn place_receipts(&mut self, places: &Places) {
        for open in &mut self.receipts {
            places.apply(&mut open.until);
        }
        self.release_receipts();
    }

    pub(super) fn end_receipts(
        &mut self,
        outcome: Published,
        is_over: impl Fn(&mut Until) -> bool,
    ) {
        let is_over = |open: &mut Open| is_over(&mut open.until);
        let over: Vec<Open> = self.receipts.extract_if(.., is_over).collect();
        for open in over {
            self.say_published(open.receipt, outcome);
        }
    }

    fn say_published(&mut self, receipt: Receipt, outcome: Published) {
        self.outputs.push_back(Output::Published(receipt, outcome));
    }
}
