//! What several cores change as one is kept of all of them or of none.

use super::*;
use crate::broker::durable::{Joint, JointNumber};
use crate::broker::shard::ShardSet;

const NUMBER: JointNumber = JointNumber(ShardId(0), 7);

/// Two cores' ends of one store.
struct Two {
    store: Store,
    ends: [(Reports, watch::Receiver<Progress>); 2],
}

impl Two {
    fn open(directory: &Path) -> Self {
        Self {
            store: Store::open(directory, Promise::Os, 2).unwrap(),
            ends: [Reports::new(), Reports::new()],
        }
    }

    fn commit(&self, core: u8, token: u64, joints: Vec<Joint>) {
        let records = [message(token, "x")];
        let batch = Batch::of(ShardId(core), &records).with_joints(joints);
        let (reports, _) = &self.ends[usize::from(core)];
        self.store.commit(Token(token), batch, reports).unwrap();
    }

    fn committed(&self, core: u8) -> Token {
        self.ends[usize::from(core)].1.borrow().committed
    }

    fn wait(&mut self, core: u8, token: u64) {
        let progress = &mut self.ends[usize::from(core)].1;
        run(async {
            let done = progress.wait_for(|it| it.committed == Token(token));
            done.await.unwrap();
        });
    }
}

/// The part of the core that begins it, and of the other.
fn parts() -> [Joint; 2] {
    let others = Some(ShardSet::all_but(ShardId(0), 2));
    [others, None].map(|others| Joint {
        number: NUMBER,
        others,
    })
}

#[test]
fn a_part_waits_for_the_other_and_holds_its_core_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut two = Two::open(directory.path());
    let [first, second] = parts();
    two.commit(0, 1, vec![first]);
    two.commit(0, 2, Vec::new());
    two.commit(1, 1, Vec::new());
    two.wait(1, 1);
    assert_eq!(two.committed(0), Token(0));
    two.commit(1, 2, vec![second]);
    two.wait(1, 2);
    two.wait(0, 2);
}

#[test]
fn parts_that_wait_for_each_other_crosswise_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut two = Two::open(directory.path());
    let [first, second] = parts();
    let back = JointNumber(ShardId(1), 7);
    let others = Some(ShardSet::all_but(ShardId(1), 2));
    two.commit(0, 1, vec![first]);
    let begun = Joint {
        number: back,
        others,
    };
    two.commit(1, 1, vec![begun]);
    let answer = Joint {
        number: back,
        others: None,
    };
    two.commit(0, 2, vec![answer]);
    two.commit(1, 2, vec![second]);
    two.wait(0, 2);
    two.wait(1, 2);
}

#[test]
fn half_a_change_is_not_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let two = Two::open(directory.path());
    let [first, _] = parts();
    two.commit(0, 1, vec![first]);
    drop(two);
    let desk = Desk::of_cores(directory.path(), 2);
    assert!(desk.load().messages.is_empty());
}

#[test]
fn a_core_that_is_restarted_is_waited_for_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let mut two = Two::open(directory.path());
    let [first, second] = parts();
    two.commit(0, 1, vec![first]);
    let later = Moment::from_millis(1);
    run(two.store.load(ShardId(1), later)).unwrap();
    two.wait(0, 1);
    // Neither is one that began something and was restarted.
    run(two.store.load(ShardId(0), later)).unwrap();
    two.commit(1, 1, vec![second]);
    two.wait(1, 1);
}
