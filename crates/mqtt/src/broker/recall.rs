//! What a core remembers of the messages of QoS 2 that others keep until it has them.
//!
//! If it dies when it has one in its store, and before it could say so, the other would pass
//! it on again. So it stores, together with what becomes of such messages, the number of the
//! last one; the core in its place says that number first of all, and the others pass on
//! what is beyond it. A core without a store has nothing to remember it by, nor anything
//! that such a message could have come twice to: the sessions are gone with it.

use super::{
    Broker,
    crossing::{CrossingNumber, ShardContent},
    durable::Record,
    handed::RunId,
    shard::ShardId,
};

/// Runs of one other core that are remembered: the last ones. Of an earlier one nobody asks.
const RUNS_MAX: usize = 4;

/// By core, the last number of each run, the newest run last.
#[derive(Debug, Default)]
pub(super) struct Recall(Vec<Vec<(RunId, CrossingNumber)>>);

impl Recall {
    pub(super) fn new(cores: u8) -> Self {
        Self(vec![Vec::new(); usize::from(cores)])
    }

    /// Notes a number; returns a run that is forgotten for it.
    pub(super) fn note(
        &mut self,
        from: ShardId,
        run: RunId,
        number: CrossingNumber,
    ) -> Option<RunId> {
        let runs = &mut self.0[usize::from(from.0)];
        if let Some((_, last)) = runs.iter_mut().find(|(known, _)| *known == run) {
            *last = number.max(*last);
            return None;
        }
        runs.push((run, number));
        (runs.len() > RUNS_MAX).then(|| runs.remove(0).0)
    }

    fn of(&self, from: ShardId) -> &[(RunId, CrossingNumber)] {
        &self.0[usize::from(from.0)]
    }

    fn forget(&mut self, from: ShardId) -> Vec<(RunId, CrossingNumber)> {
        std::mem::take(&mut self.0[usize::from(from.0)])
    }
}

impl Broker {
    /// A message came that `from` keeps until it is stored here.
    pub(super) fn remember(&mut self, from: ShardId, run: RunId, number: CrossingNumber) {
        if !self.journal.is_on() {
            return;
        }
        if let Some(forgotten) = self.recall.note(from, run, number) {
            let dropped = Record::TakenDrop(from, forgotten);
            self.journal.write_aside(dropped);
        }
        self.journal.note_taken(from, run, number);
    }

    /// Another core is in the place of `from`, and has nothing of what that one kept.
    pub(super) fn forget_runs(&mut self, from: ShardId) {
        for (run, _) in self.recall.forget(from) {
            self.journal.write_aside(Record::TakenDrop(from, run));
        }
    }

    /// Says to every other core what was stored of its messages: behind what subscribers here
    /// want, for by that the others choose where to pass on what was not.
    pub(super) fn tell_recalled(&mut self) {
        for to in (0..self.crossing.count()).map(ShardId) {
            if to != self.crossing.me() {
                let stored = self.recall.of(to).into();
                self.crossing.say_aside(to, ShardContent::Recalled(stored));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_each_of_the_last_runs_is_remembered() {
        let mut recall = Recall::new(2);
        let from = ShardId(1);
        let note = |recall: &mut Recall, run, number| {
            recall.note(from, RunId(run), CrossingNumber(number))
        };
        for run in 1..=4 {
            assert_eq!(note(&mut recall, run, 7), None);
        }
        assert_eq!(note(&mut recall, 2, 9), None);
        assert_eq!(note(&mut recall, 5, 1), Some(RunId(1)));
        let of = |run, number| (RunId(run), CrossingNumber(number));
        assert_eq!(recall.of(from), [of(2, 9), of(3, 7), of(4, 7), of(5, 1)]);
        assert!(recall.of(ShardId(0)).is_empty());
    }
}
