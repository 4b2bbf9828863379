//! Messages of shared subscriptions on their way to a member on another core.
//!
//! Whoever published them has been told that they are taken, and no queue here has them any
//! longer; so they are kept until the other core has said that it has them. If it dies
//! before, they go to another member. If it had them and could not say so, and they were of
//! QoS 2, they may come twice: the alternative would be not at all.

use std::{collections::VecDeque, rc::Rc};

use super::{
    crossing::{CrossingNumber, SharedName},
    message::Message,
    shard::ShardId,
};

/// Messages that are kept for one other core; more go there without being kept.
pub(super) const HAND_OVERS_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct HandOver {
    number: CrossingNumber,
    pub(super) message: Rc<Message>,
    pub(super) name: SharedName,
}

/// What every other core has been given and has not said that it has.
#[derive(Debug)]
pub(super) struct HandOvers(Vec<VecDeque<HandOver>>);

/// There are as many as may be.
#[derive(Debug)]
pub(super) struct TooMany;

impl HandOvers {
    pub(super) fn new(cores: u8) -> Self {
        Self((0..cores).map(|_| VecDeque::new()).collect())
    }

    /// Keeps a message that goes to `shard` under this number, higher than those before.
    pub(super) fn keep(
        &mut self,
        shard: ShardId,
        number: CrossingNumber,
        message: &Rc<Message>,
        name: SharedName,
    ) -> Result<(), TooMany> {
        let kept = &mut self.0[usize::from(shard.0)];
        if kept.len() >= HAND_OVERS_MAX {
            return Err(TooMany);
        }
        kept.push_back(HandOver {
            number,
            message: Rc::clone(message),
            name,
        });
        Ok(())
    }

    /// `shard` has all up to this number.
    pub(super) fn taken(&mut self, shard: ShardId, number: CrossingNumber) {
        let kept = &mut self.0[usize::from(shard.0)];
        while kept.pop_front_if(|first| first.number <= number).is_some() {}
        if kept.is_empty() {
            // There may have been a whole queue of a client.
            kept.shrink_to_fit();
        }
    }

    /// What `shard` has not said that it has, in order.
    pub(super) fn take_back(&mut self, shard: ShardId) -> VecDeque<HandOver> {
        std::mem::take(&mut self.0[usize::from(shard.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(handed: &mut HandOvers, number: u64) -> Result<(), TooMany> {
        let name = SharedName {
            filter: "a".into(),
            name: "g".into(),
        };
        let message = Rc::new(Message::of_test("a"));
        handed.keep(ShardId(1), CrossingNumber(number), &message, name)
    }

    #[test]
    fn what_is_taken_is_kept_no_longer_and_no_more_is_kept_than_may_be() {
        let mut handed = HandOvers::new(2);
        for number in 1..=HAND_OVERS_MAX as u64 {
            keep(&mut handed, number).expect("there is room");
        }
        assert!(keep(&mut handed, u64::MAX).is_err());
        handed.taken(ShardId(1), CrossingNumber(HAND_OVERS_MAX as u64 - 2));
        let left: Vec<_> = handed.take_back(ShardId(1)).into_iter().collect();
        let numbers: Vec<_> = left.iter().map(|it| it.number.0 as usize).collect();
        assert_eq!(numbers, [HAND_OVERS_MAX - 1, HAND_OVERS_MAX]);
        assert!(handed.take_back(ShardId(1)).is_empty());
    }
}
