//! Messages on their way to another core that are nobody's but this one's.
//!
//! Those of shared subscriptions that change hands, and wills: whoever published them has been
//! told that they are taken, or is gone, and no queue here has them. Those for a shared
//! subscription that have just been published: another member may have them. So they are
//! kept until the other core has said that it has them. If it dies before, they are strays
//! until they have a place again.

use std::{collections::VecDeque, rc::Rc};

use super::{
    crossing::{CrossingNumber, SharedName},
    durable::JointNumber,
    message::Message,
    retained::Stamp,
    shard::ShardId,
    time::Moment,
};

/// Messages that are kept for one other core; more go there without being kept.
pub(super) const HAND_OVERS_MAX: usize = 65_536;

/// How often a message is placed again whose publisher waits, before that is told that it is
/// lost: as often as cores die over it.
pub(super) const PLACINGS_MAX: u8 = 3;

/// Names the messages from one core to another for as long as both live: their numbers begin
/// anew when either is replaced. No other pair has it, in this run of the program or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// Who has to be told if a message is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Its publisher, who waits.
    Publisher,
    /// Nobody: it may not be lost.
    Nobody,
}

/// Who is meant at the other core beside groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Whose own filters match.
    Matching,
    Nobody,
}

/// A message that is kept, and all that is needed to pass it on again.
#[derive(Debug, Clone)]
pub(super) struct HandOver {
    pub(super) message: Rc<Message>,
    pub(super) beside: Beside,
    /// One of each of these shared subscriptions.
    pub(super) groups: Vec<SharedName>,
    pub(super) retain: Option<Stamp>,
    pub(super) owner: Owner,
    /// How often it has been placed again.
    pub(super) placings: u8,
}

impl HandOver {
    /// One that no queue has any longer, for whomever it may be given to.
    pub(super) fn ownerless(message: &Rc<Message>) -> Self {
        Self {
            message: Rc::clone(message),
            beside: Beside::Nobody,
            groups: Vec::new(),
            retain: None,
            owner: Owner::Nobody,
            placings: 0,
        }
    }
}

#[derive(Debug)]
struct Kept {
    number: CrossingNumber,
    hand_over: HandOver,
}

/// A message that has lost its core and has no other yet.
#[derive(Debug)]
pub(super) struct Stray {
    /// What it is waited for by.
    pub(super) number: CrossingNumber,
    pub(super) hand_over: HandOver,
    run: RunId,
    /// The number under which it was sent.
    sent: CrossingNumber,
}

impl Stray {
    /// Whether the dead core had stored it, of which it had stored all up to these numbers.
    pub(super) fn was_stored(&self, stored: &[(RunId, CrossingNumber)]) -> bool {
        let mut of_run = stored.iter().filter(|(run, _)| *run == self.run);
        of_run.any(|(_, through)| *through >= self.sent)
    }
}

/// By which numbers messages are waited for now that have lost their core, and before.
#[derive(Debug, Default)]
pub(super) struct Strays(Vec<(CrossingNumber, CrossingNumber)>);

impl Strays {
    pub(super) fn number_of(&self, sent: CrossingNumber) -> Option<CrossingNumber> {
        let at = self.0.binary_search_by_key(&sent, |(sent, _)| *sent).ok()?;
        Some(self.0[at].1)
    }
}

/// What is kept for one other core.
#[derive(Debug)]
struct Way {
    run: RunId,
    kept: VecDeque<Kept>,
    strays: VecDeque<Stray>,
}

/// What every other core has been given and has not said that it has.
#[derive(Debug)]
pub(super) struct HandOvers {
    ways: Vec<Way>,
    next_run: u64,
    /// Strays there have been.
    strays: u64,
}

/// There are as many as may be.
#[derive(Debug)]
pub(super) struct TooMany;

impl HandOvers {
    pub(super) fn new(cores: u8, now: Moment) -> Self {
        // A core that was here before has begun as many runs as there were restarts: by far
        // fewer than joint changes, whose numbers begin in the same way.
        let first = JointNumber::first_at(now);
        let runs = (first..).take(cores.into());
        Self {
            ways: runs
                .map(|run| Way {
                    run: RunId(run),
                    kept: VecDeque::new(),
                    strays: VecDeque::new(),
                })
                .collect(),
            next_run: first + u64::from(cores),
            strays: 0,
        }
    }

    fn way(&mut self, shard: ShardId) -> &mut Way {
        &mut self.ways[usize::from(shard.0)]
    }

    /// What messages to `shard` belong to now.
    pub(super) fn run(&self, shard: ShardId) -> RunId {
        self.ways[usize::from(shard.0)].run
    }

    /// Keeps a message that goes to `shard` under this number, higher than those before.
    pub(super) fn keep(
        &mut self,
        shard: ShardId,
        number: CrossingNumber,
        hand_over: HandOver,
    ) -> Result<(), TooMany> {
        let way = self.way(shard);
        if way.kept.len() + way.strays.len() >= HAND_OVERS_MAX {
            return Err(TooMany);
        }
        way.kept.push_back(Kept { number, hand_over });
        Ok(())
    }

    /// `shard` has all up to this number.
    pub(super) fn taken(&mut self, shard: ShardId, number: CrossingNumber) {
        let kept = &mut self.way(shard).kept;
        while kept.pop_front_if(|first| first.number <= number).is_some() {}
        if kept.is_empty() {
            // There may have been a whole queue of a client.
            kept.shrink_to_fit();
        }
    }

    /// Another core is in the place of `shard`: what the one before has not said that it has
    /// is astray, but for what has been placed too often.
    pub(super) fn lose(&mut self, shard: ShardId) -> Strays {
        let next_run = RunId(self.next_run);
        self.next_run += 1;
        let mut count = self.strays;
        let way = self.way(shard);
        let run = std::mem::replace(&mut way.run, next_run);
        let mut strays = Strays::default();
        for Kept { number, hand_over } in std::mem::take(&mut way.kept) {
            if hand_over.owner == Owner::Publisher && hand_over.placings >= PLACINGS_MAX {
                continue;
            }
            count += 1;
            let stray = CrossingNumber(count);
            strays.0.push((number, stray));
            way.strays.push_back(Stray {
                number: stray,
                hand_over,
                run,
                sent: number,
            });
        }
        self.strays = count;
        strays
    }

    /// What was lost with cores that were in the place of `shard`, in order.
    pub(super) fn take_strays(&mut self, shard: ShardId) -> VecDeque<Stray> {
        std::mem::take(&mut self.way(shard).strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: ShardId = ShardId(1);

    fn hand_over(owner: Owner, placings: u8) -> HandOver {
        HandOver {
            message: Rc::new(Message::of_test("a")),
            beside: Beside::Nobody,
            groups: Vec::new(),
            retain: None,
            owner,
            placings,
        }
    }

    fn keep(handed: &mut HandOvers, number: u64) -> Result<(), TooMany> {
        handed.keep(THERE, CrossingNumber(number), hand_over(Owner::Nobody, 0))
    }

    fn made() -> HandOvers {
        HandOvers::new(2, Moment::from_millis(1))
    }

    #[test]
    fn what_is_taken_is_kept_no_longer_and_no_more_is_kept_than_may_be() {
        let mut handed = made();
        for number in 1..=HAND_OVERS_MAX as u64 {
            keep(&mut handed, number).expect("there is room");
        }
        assert!(keep(&mut handed, u64::MAX).is_err());
        handed.taken(THERE, CrossingNumber(HAND_OVERS_MAX as u64 - 2));
        handed.lose(THERE);
        let left = handed.take_strays(THERE);
        let numbers: Vec<_> = left.iter().map(|it| it.sent.0 as usize).collect();
        assert_eq!(numbers, [HAND_OVERS_MAX - 1, HAND_OVERS_MAX]);
        assert!(handed.take_strays(THERE).is_empty());
    }

    #[test]
    fn what_two_cores_have_lost_one_after_the_other_is_told_apart() {
        let mut handed = made();
        let first = handed.run(THERE);
        keep(&mut handed, 1).expect("there is room");
        keep(&mut handed, 2).expect("there is room");
        handed.lose(THERE);
        let second = handed.run(THERE);
        assert_ne!(first, second);
        keep(&mut handed, 1).expect("there is room");
        let lost = handed.lose(THERE);
        assert_eq!(lost.number_of(CrossingNumber(1)), Some(CrossingNumber(3)));
        assert_eq!(lost.number_of(CrossingNumber(2)), None);
        let stored = [(first, CrossingNumber(1)), (second, CrossingNumber(5))];
        let strays = handed.take_strays(THERE);
        let was_stored: Vec<_> = strays.iter().map(|it| it.was_stored(&stored)).collect();
        assert_eq!(was_stored, [true, false, true]);
    }

    #[test]
    fn what_has_a_publisher_who_waits_is_not_placed_for_ever() {
        let mut handed = made();
        for (number, owner) in [(1, Owner::Publisher), (2, Owner::Nobody)] {
            let kept = hand_over(owner, PLACINGS_MAX);
            let kept = handed.keep(THERE, CrossingNumber(number), kept);
            kept.expect("there is room");
        }
        let lost = handed.lose(THERE);
        assert!(lost.number_of(CrossingNumber(1)).is_none());
        assert!(lost.number_of(CrossingNumber(2)).is_some());
        assert_eq!(handed.take_strays(THERE).len(), 1);
    }
}
