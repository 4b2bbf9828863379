//! Several cores joined as one broker, without a thread.

use std::collections::VecDeque;

use super::super::durable::Durability;
use super::super::shard::{ShardId, shard_of};
use super::super::{ConnectionId, Input, Parcel, Settings};
use super::driver::*;
use super::packets::{Connect, Packet};

const CORES: u8 = 3;

pub(super) struct Cores {
    pub(super) cores: Vec<Driver>,
    /// What is on its way: from, to.
    mail: VecDeque<(ShardId, ShardId, Parcel)>,
}

impl Cores {
    fn new(durability: Durability) -> Self {
        Self::of(CORES, durability)
    }

    pub(super) fn of(count: u8, durability: Durability) -> Self {
        let core = |shard| {
            Driver::new(Settings {
                shard: ShardId(shard),
                shards: count,
                durability,
                ..Settings::default()
            })
        };
        Self {
            cores: (0..count).map(core).collect(),
            mail: VecDeque::new(),
        }
    }

    fn collect(&mut self) {
        for (from, core) in (0..).map(ShardId).zip(&mut self.cores) {
            for (to, parcel) in core.crossing.drain(..) {
                self.mail.push_back((from, to, parcel));
            }
        }
    }

    /// Brings all mail where it goes.
    pub(super) fn settle(&mut self) {
        self.collect();
        while let Some((from, to, parcel)) = self.mail.pop_front() {
            self.cores[usize::from(to.0)].input(Input::Shard { from, parcel });
            self.collect();
        }
    }

    /// Brings where it goes what one core has said to another, and nothing else.
    pub(super) fn pass_on(&mut self, from: ShardId, to: ShardId) {
        self.collect();
        let mail = std::mem::take(&mut self.mail);
        for (sender, receiver, parcel) in mail {
            if (sender, receiver) == (from, to) {
                let core = &mut self.cores[usize::from(to.0)];
                core.input(Input::Shard { from, parcel });
            } else {
                self.mail.push_back((sender, receiver, parcel));
            }
        }
        self.collect();
    }

    /// How many messages are in each parcel that one core has for another.
    fn on_the_way(&self, from: ShardId, to: ShardId) -> Vec<usize> {
        let between = |it: &&(ShardId, ShardId, Parcel)| (it.0, it.1) == (from, to);
        let mail = self.mail.iter().filter(between);
        mail.map(|(_, _, parcel)| parcel.len()).collect()
    }

    /// Loses what is on its way to a core and from it.
    pub(super) fn lose_mail(&mut self, shard: ShardId) {
        self.collect();
        self.mail
            .retain(|(from, to, _)| *from != shard && *to != shard);
    }

    /// The process is killed and starts again.
    pub(super) fn crash(&mut self) {
        self.mail.clear();
        for core in &mut self.cores {
            core.crash();
        }
        self.settle();
    }

    pub(super) fn core(&mut self, shard: u8) -> &mut Driver {
        &mut self.cores[usize::from(shard)]
    }

    fn join(&mut self, shard: u8, connection: u32, packet: Connect<'_>) {
        self.core(shard).join(connection, packet);
        self.settle();
    }

    fn subscribe(&mut self, shard: u8, connection: u32, name: &str) {
        // At once, if the other cores know of the filter already.
        let at_once = self.core(shard).subscribe(connection, &[filter(name, Q1)]);
        let got = [vec![at_once], self.got(shard, connection)].concat();
        let granted = got.iter().filter(|line| *line == "suback [GrantedQos1]");
        assert_eq!(granted.count(), 1, "{got:?}");
    }

    fn got(&mut self, shard: u8, connection: u32) -> Vec<String> {
        self.settle();
        self.core(shard).got(connection)
    }
}

#[test]
fn a_message_crosses_only_to_cores_that_want_it() {
    let mut cores = Cores::new(Durability::None);
    for shard in 0..CORES {
        cores.join(shard, 1, connect_packet(&format!("c{shard}")));
    }
    cores.subscribe(1, 1, "a/+");
    cores.core(0).publish(1, "a/b", "x", Q1);
    assert!(
        cores.core(0).got(1).is_empty(),
        "the other core has not taken it yet"
    );
    assert_eq!(cores.got(0, 1), ["puback 1 Success"]);
    assert_eq!(cores.got(1, 1), ["a/b x q1 #1"]);
    assert_eq!(cores.core(2).broker.counters().forwards_received, 0);
    cores.core(0).publish(1, "b", "x", Q1);
    assert_eq!(cores.core(0).got(1), ["puback 2 NoMatchingSubscribers"]);
    cores.core(1).unsubscribe(1, &["a/+"]);
    cores.settle();
    cores.core(0).publish(1, "a/b", "x", Q1);
    assert_eq!(cores.core(0).got(1), ["puback 3 NoMatchingSubscribers"]);
}

#[test]
fn what_came_together_leaves_together_and_is_answered_once() {
    let mut cores = Cores::of(2, Durability::None);
    cores.join(0, 1, connect_packet("pub"));
    cores.join(1, 1, connect_packet("sub"));
    cores.subscribe(1, 1, "a");
    let publisher = cores.core(0);
    for id in 1..=3 {
        let packet = Packet::Publish(publish_packet("a", "x", Q1, id)).build();
        let connection = ConnectionId(1);
        let input = Input::Packet { connection, packet };
        publisher.broker.handle(publisher.now, input);
    }
    publisher.run();
    let lengths = |core: &Driver| -> Vec<usize> {
        core.crossing
            .iter()
            .map(|(_, parcel)| parcel.len())
            .collect()
    };
    assert_eq!(lengths(publisher), [3]);
    cores.pass_on(ShardId(0), ShardId(1));
    assert_eq!(cores.on_the_way(ShardId(1), ShardId(0)), [1]);
    let acknowledged = ["puback 1 Success", "puback 2 Success", "puback 3 Success"];
    assert_eq!(cores.got(0, 1), acknowledged);
    assert_eq!(cores.got(1, 1).len(), 3);
}

#[test]
fn what_nobody_waits_for_is_not_answered() {
    let mut cores = Cores::of(2, Durability::None);
    cores.join(0, 1, connect_packet("pub"));
    cores.join(1, 1, connect_packet("sub"));
    cores.subscribe(1, 1, "a");
    cores.core(0).publish(1, "a", "x", Q0);
    cores.pass_on(ShardId(0), ShardId(1));
    assert!(cores.on_the_way(ShardId(1), ShardId(0)).is_empty());
    assert_eq!(cores.got(1, 1), ["a x q0"]);
}

#[test]
fn suback_waits_until_every_core_knows() {
    let mut cores = Cores::new(Durability::None);
    cores.join(0, 1, connect_packet("a"));
    cores.join(0, 2, connect_packet("b"));
    assert_eq!(cores.core(0).subscribe(1, &[filter("t", Q1)]), "");
    // Not even a second subscriber's, for whom nothing new is told.
    assert_eq!(cores.core(0).subscribe(2, &[filter("t", Q1)]), "");
    cores.settle();
    assert_eq!(cores.core(0).got(1), ["suback [GrantedQos1]"]);
    assert_eq!(cores.core(0).got(2), ["suback [GrantedQos1]"]);
}

#[test]
fn an_acknowledgement_waits_for_the_store_of_the_other_core() {
    let mut cores = Cores::new(Durability::Stored);
    cores.join(0, 1, connect_packet("pub"));
    cores.join(1, 1, persistent("sub"));
    cores.subscribe(1, 1, "a");
    cores.core(1).lose(1);
    cores.core(1).holds_commits = true;
    cores.core(0).publish(1, "a", "x", Q1);
    assert!(cores.got(0, 1).is_empty());
    cores.core(1).commit();
    assert_eq!(cores.got(0, 1), ["puback 1 Success"]);
}

#[test]
fn retained_messages_are_everywhere_and_end_alike() {
    let mut cores = Cores::new(Durability::None);
    for shard in 0..CORES {
        cores.join(shard, 1, connect_packet(&format!("c{shard}")));
    }
    // Set on two cores at once: all end with the same.
    cores.core(0).retain(1, "a", "zero");
    cores.core(1).retain(1, "a", "one");
    cores.settle();
    let mut seen = Vec::new();
    for shard in 0..CORES {
        cores.core(shard).subscribe(1, &[filter("a", Q0)]);
        seen.extend(
            cores
                .got(shard, 1)
                .into_iter()
                .filter(|line| line.starts_with("a ")),
        );
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|line| *line == seen[0]), "{seen:?}");
    cores.core(2).retain(1, "a", "");
    cores.settle();
    assert!((0..CORES).all(|shard| cores.core(shard).broker.retained_size().0 == 0));
}

#[test]
fn a_group_shares_over_cores_and_strands_nothing() {
    let mut cores = Cores::new(Durability::None);
    cores.join(0, 9, connect_packet("pub"));
    for (shard, name) in [(1, "m1"), (2, "m2")] {
        cores.join(shard, 1, persistent(name));
        cores.subscribe(shard, 1, "$share/g/a");
    }
    for _ in 0..4 {
        cores.core(0).publish(9, "a", "x", Q1);
    }
    assert_eq!((cores.got(1, 1).len(), cores.got(2, 1).len()), (2, 2));
    for (shard, ids) in [(1, [1, 2]), (2, [1, 2])] {
        for id in ids {
            cores.core(shard).ack(1, Packet::PubAck, id);
        }
        cores.core(shard).lose(1);
        cores.settle();
    }
    // Nobody is there; then one comes, on another core than half of them.
    for _ in 0..4 {
        cores.core(0).publish(9, "a", "y", Q1);
    }
    cores.settle();
    cores.join(2, 1, persistent("m2"));
    let got = cores.got(2, 1);
    assert_eq!(
        got.iter().filter(|line| line.starts_with("a y")).count(),
        4,
        "{got:?}"
    );
}

#[test]
fn another_number_of_cores_finds_every_session_and_message() {
    use super::super::Restored;

    let mut cores = Cores::new(Durability::Stored);
    let clients: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    for (at, name) in (0..).zip(&clients) {
        let shard = shard_of(name, CORES).0;
        cores.join(shard, at, persistent(name));
        cores.subscribe(shard, at, "a");
    }
    cores.join(0, 99, connect_packet("pub"));
    cores.core(0).publish(99, "a", "one", Q1);
    cores.core(0).retain(99, "kept", "r");
    let got = cores.got(0, 99);
    assert!(
        got[0].starts_with("puback") && got[0].ends_with("Success"),
        "{got:?}"
    );
    let stored: Vec<_> = cores.cores.iter().map(|core| core.store.clone()).collect();
    for count in [1, 2, 5] {
        let mut after = Cores::of(count, Durability::Stored);
        let dealt = Restored::redistribute(&stored, count);
        for ((shard, core), state) in (0..).zip(&mut after.cores).zip(dealt) {
            for record in state.records(ShardId(shard), count) {
                core.store.apply(record);
            }
            core.broker.restore(core.now, state);
            core.run();
        }
        after.settle();
        for (at, name) in (0..).zip(&clients) {
            let core = after.core(shard_of(name, count).0);
            let got = core.connect(at, persistent(name));
            assert_eq!(
                got,
                ["connack Success present", "a one q1 #1 dup"],
                "{name} of {count}"
            );
            core.ack(at, Packet::PubAck, 1);
            core.subscribe(at, &[filter("kept", Q0)]);
            let got = after.got(shard_of(name, count).0, at);
            assert!(got.contains(&"kept r q0 retain".to_owned()), "{got:?}");
        }
        for core in &after.cores {
            assert!(core.store.messages.is_empty() && core.store.queue.is_empty());
        }
    }
}

#[test]
fn assigned_ids_fall_to_the_core_that_gave_them() {
    let mut cores = Cores::new(Durability::None);
    for connection in 0..20 {
        cores.join(1, connection, persistent(""));
    }
    let core = cores.core(1);
    assert_eq!(core.broker.session_count(), 20);
    let ids = core
        .broker
        .sessions
        .iter()
        .map(|(_, session)| session.client_id.clone());
    assert!(ids.into_iter().all(|id| shard_of(&id, CORES) == ShardId(1)));
}
