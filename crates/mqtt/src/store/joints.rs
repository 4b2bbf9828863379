//! Which of the batches that wait may be written: none without all the others that its
//! joint changes have parts in, and none before an earlier one of its core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Batch;
use super::writer::Write;
use crate::broker::durable::JointNumber;
use crate::broker::shard::{ShardId, ShardSet};
use crate::broker::time::Moment;

/// What is known of a joint change.
#[derive(Default)]
struct Known {
    /// Cores whose part is there.
    here: ShardSet,
    /// The others, once the part of the one that began it is there.
    others: Option<ShardSet>,
}

impl Known {
    fn is_complete(&self) -> bool {
        let is_here = |shard| self.here.contains(shard);
        self.others.is_some_and(|others| others.iter().all(is_here))
    }
}

/// Takes out what may be written, in its order.
pub(super) fn take_ready(kept: &mut Vec<Write>) -> Vec<Write> {
    if kept.iter().all(|write| write.batch.joints().is_empty()) {
        return std::mem::take(kept);
    }
    let blocked = blocked(kept);
    let (mut ready, mut left) = (Vec::new(), Vec::new());
    for (write, is_blocked) in kept.drain(..).zip(blocked) {
        match is_blocked {
            true => left.push(write),
            false => ready.push(write),
        }
    }
    *kept = left;
    ready
}

fn blocked(kept: &[Write]) -> Vec<bool> {
    let mut joints: BTreeMap<JointNumber, Known> = BTreeMap::new();
    for batch in kept.iter().map(|write| &write.batch) {
        for joint in batch.joints() {
            let known = joints.entry(joint.number).or_default();
            known.here.insert(batch.shard());
            known.others = known.others.or(joint.others);
        }
    }
    let mut stuck: BTreeSet<JointNumber> = joints
        .iter()
        .filter(|(_, known)| !known.is_complete())
        .map(|(number, _)| *number)
        .collect();
    let mut blocked = vec![false; kept.len()];
    loop {
        let before = stuck.len();
        // Told apart by where they are told: a restarted core has nothing to wait for.
        let mut cores = BTreeSet::new();
        for (write, blocked) in kept.iter().zip(&mut blocked) {
            let core = Arc::as_ptr(&write.progress);
            let joints = write.batch.joints().iter().map(|joint| joint.number);
            if cores.contains(&core) || joints.clone().any(|number| stuck.contains(&number)) {
                *blocked = true;
                cores.insert(core);
                stuck.extend(joints);
            }
        }
        if stuck.len() == before {
            return blocked;
        }
    }
}

/// Cores that were restarted, and before when.
#[derive(Default)]
pub(super) struct Restarts(BTreeMap<ShardId, Moment>);

impl Restarts {
    /// Waits no longer for what `shard` was to do before `at`.
    pub(super) fn note(&mut self, shard: ShardId, at: Moment, kept: &mut [Write]) {
        self.0.insert(shard, at);
        for write in kept {
            self.forgive(&mut write.batch);
            for joint in write.batch.joints_mut() {
                if let Some(others) = &mut joint.others {
                    others.remove(shard);
                }
            }
        }
    }

    /// Takes out parts in what a restarted core began, and may not have told.
    pub(super) fn forgive(&self, batch: &mut Batch) {
        if !self.0.is_empty() {
            batch.joints_mut().retain(|joint| {
                let restart = self.0.get(&joint.number.0);
                restart.is_none_or(|at| joint.number.1 >= JointNumber::first_at(*at))
            });
        }
    }
}
