//! Messages that a core dies over and that are nobody's but the broker's: wills, and those
//! of shared subscriptions.

use std::time::Duration;

use proptest::prelude::*;

use super::super::durable::Durability;
use super::super::handed::PLACINGS_MAX;
use super::super::shard::ShardId;
use super::super::{Input, Published, Receipt};
use super::cores::Cores;
use super::driver::*;
use super::packets::{Connect, Packet, Will};
use crate::codec::QualityOfService;

const VICTIM: ShardId = ShardId(1);

/// Core 1 has died; the others hear of the one in its place.
fn hear_of_restart(cores: &mut Cores) {
    for other in [0, 2] {
        cores.core(other).input(Input::NeighbourRestarted(VICTIM));
    }
}

/// Core 1 dies with what is on its way to it and from it.
fn restart(cores: &mut Cores) {
    cores.lose_mail(VICTIM);
    cores.core(1).crash();
    hear_of_restart(cores);
}

fn subscribe(cores: &mut Cores, shard: u8, connection: u32, name: &str, qos: QualityOfService) {
    cores
        .core(shard)
        .subscribe(connection, &[filter(name, qos)]);
    cores.settle();
    cores.core(shard).got(connection);
}

fn count(got: &[String], start: &str) -> usize {
    got.iter().filter(|line| line.starts_with(start)).count()
}

/// A subscriber on core 1 whose session stays, and a client on core 0 with a will.
fn with_will(qos: QualityOfService) -> Cores {
    let mut cores = Cores::of(3, Durability::Stored);
    cores.core(1).join(1, persistent("sub"));
    cores.settle();
    subscribe(&mut cores, 1, 1, "w", Q2);
    let mortal = Connect {
        will: Some(Will {
            qos,
            ..will("w", 0)
        }),
        ..persistent("mortal")
    };
    cores.core(0).join(1, mortal);
    cores.settle();
    cores
}

/// Once the core that died is back, its subscriber gets the will, of this QoS, and once.
fn gets_the_will_once(mut cores: Cores, qos: QualityOfService) {
    restart(&mut cores);
    cores.settle();
    let got = cores.core(1).connect(1, persistent("sub"));
    assert_eq!(count(&got, "w gone"), 1, "{qos:?} {got:?}");
}

#[test]
fn a_will_that_a_core_dies_over_reaches_its_subscribers() {
    for qos in [Q1, Q2] {
        let mut cores = with_will(qos);
        cores.core(0).lose(1);
        gets_the_will_once(cores, qos);
    }
}

#[test]
fn a_will_that_a_core_had_stored_when_it_died_comes_once() {
    let mut cores = with_will(Q2);
    cores.core(0).lose(1);
    // It has it in its store, and its word of that is lost.
    cores.pass_on(ShardId(0), VICTIM);
    gets_the_will_once(cores, Q2);
}

#[test]
fn a_will_and_its_end_are_stored_in_one_change_with_what_others_keep_of_it() {
    let mut cores = with_will(Q1);
    for core in [0, 1] {
        cores.core(core).holds_commits = true;
    }
    cores.core(0).lose(1);
    cores.pass_on(ShardId(0), VICTIM);
    let joints = [0, 1].map(|core| {
        let commits = &cores.core(core).commits;
        let joints: Vec<_> = commits.iter().flat_map(|it| it.joints.clone()).collect();
        joints
    });
    assert_eq!(joints[0][0].number, joints[1][0].number);
    assert!(joints[0][0].others.is_some_and(|it| it.contains(VICTIM)));
}

#[test]
fn after_a_crash_of_all_a_will_reaches_subscribers_of_other_cores() {
    let mut cores = with_will(Q1);
    cores.crash();
    cores.core(0).pass(Duration::from_secs(1));
    cores.settle();
    let got = cores.core(1).connect(1, persistent("sub"));
    assert_eq!(count(&got, "w gone"), 1, "{got:?}");
}

/// Members of a group on cores 1 and 2, and a publisher on core 0.
fn group(durability: Durability) -> Cores {
    let mut cores = Cores::of(3, durability);
    cores.core(0).join(1, persistent("pub"));
    for shard in [1, 2] {
        cores.core(shard).join(1, persistent(&format!("m{shard}")));
        cores.settle();
        subscribe(&mut cores, shard, 1, "$share/g/a", Q2);
    }
    cores
}

#[test]
fn a_message_for_a_group_that_a_core_dies_over_goes_to_another_member() {
    for durability in [Durability::None, Durability::Stored] {
        for qos in [Q1, Q2] {
            let mut cores = group(durability);
            for payload in ["1", "2", "3", "4"] {
                cores.core(0).publish(1, "a", payload, qos);
            }
            cores.lose_mail(VICTIM);
            match durability {
                Durability::None => cores.core(1).begin_anew(),
                Durability::Stored => cores.core(1).crash(),
            }
            hear_of_restart(&mut cores);
            cores.settle();
            let acknowledged = cores.core(0).got(1);
            assert_eq!(acknowledged.len(), 4, "{acknowledged:?}");
            assert!(
                acknowledged.iter().all(|line| line.ends_with("Success")),
                "{durability:?} {qos:?} {acknowledged:?}"
            );
            let got = cores.core(2).got(1);
            assert_eq!(count(&got, "a "), 4, "{durability:?} {qos:?} {got:?}");
        }
    }
}

#[test]
fn a_message_that_core_after_core_dies_over_is_refused_in_the_end() {
    let mut cores = Cores::of(3, Durability::Stored);
    cores.core(0).join(1, persistent("pub"));
    cores.core(1).join(1, persistent("only"));
    cores.settle();
    subscribe(&mut cores, 1, 1, "$share/g/a", Q1);
    cores.core(0).publish(1, "a", "x", Q1);
    for _ in 0..PLACINGS_MAX {
        restart(&mut cores);
        // The new one says what it wants and remembers, and dies over what it is given then.
        cores.pass_on(VICTIM, ShardId(0));
        assert!(cores.core(0).got(1).is_empty());
    }
    restart(&mut cores);
    let got = cores.core(0).got(1);
    assert!(got[0].ends_with("UnspecifiedError"), "{got:?}");
    cores.settle();
    let got = cores.core(1).connect(1, persistent("only"));
    assert_eq!(count(&got, "a "), 0, "{got:?}");
}

#[test]
fn whoever_runs_the_broker_hears_of_the_second_place() {
    let mut cores = group(Durability::Stored);
    for number in [1, 2] {
        cores.core(0).input(super::receipts::own(number, Q1, false));
    }
    restart(&mut cores);
    cores.settle();
    let mut published = cores.core(0).published.clone();
    published.sort_unstable_by_key(|(number, _)| *number);
    let done = |number| (Receipt(number).0, Published::Done);
    assert_eq!(published, [done(1), done(2)]);
    assert_eq!(count(&cores.core(2).got(1), "a x"), 2);
}

/// What may happen while messages of QoS 2 change hands between cores 0 and 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    /// What core 0 has said reaches core 1.
    There,
    /// What core 1 has said reaches core 0.
    Back,
    /// Core 1's store has what it was given.
    Commit,
    /// Core 1 dies, with what it has not stored and what it has said and nobody has heard.
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        3 => Just(Step::There),
        2 => Just(Step::Back),
        2 => Just(Step::Commit),
        1 => Just(Step::Die),
    ]
}

fn take(cores: &mut Cores, step: Step, published: &mut u32) {
    match step {
        Step::Publish => {
            *published += 1;
            cores.core(0).publish(1, "a", &format!("{published}."), Q2);
        }
        Step::There => cores.pass_on(ShardId(0), VICTIM),
        Step::Back => cores.pass_on(VICTIM, ShardId(0)),
        Step::Commit => cores.core(1).commit(),
        Step::Die => restart(cores),
    }
}

proptest! {
    /// Of the messages that are acknowledged, each comes once; of those that are refused,
    /// none comes twice.
    #[test]
    fn whenever_a_core_dies_a_message_of_qos_2_comes_once(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut cores = Cores::of(3, Durability::Stored);
        cores.core(0).join(1, persistent("pub"));
        cores.core(1).join(1, persistent("only"));
        cores.settle();
        subscribe(&mut cores, 1, 1, "$share/g/a", Q2);
        cores.core(1).lose(1);
        cores.settle();
        cores.core(1).holds_commits = true;
        let mut published = 0;
        for step in steps {
            take(&mut cores, step, &mut published);
        }
        cores.core(1).holds_commits = false;
        cores.core(1).commit();
        cores.settle();
        let answers = cores.core(0).got(1);
        prop_assert_eq!(answers.len(), published as usize, "{:?}", answers);
        let mut got = cores.core(1).connect(1, persistent("only"));
        // All that waits, in steps of what the client takes at a time.
        loop {
            let ids: Vec<u16> = got
                .iter()
                .filter(|line| line.starts_with("a "))
                .filter_map(|line| line.split('#').nth(1)?.split(' ').next()?.parse().ok())
                .collect();
            let before = got.len();
            for id in ids {
                cores.core(1).ack(1, Packet::PubRec, id);
                cores.core(1).ack(1, Packet::PubComp, id);
            }
            let more = cores.core(1).got(1);
            got.extend(more.into_iter().filter(|line| line.starts_with("a ")));
            if got.len() == before {
                break;
            }
        }
        for (number, answer) in (1..).zip(&answers) {
            let times = count(&got, &format!("a {number}. "));
            match answer.ends_with("Success") {
                true => prop_assert_eq!(times, 1, "{} of {:?}", number, got),
                false => prop_assert!(times <= 1, "{} of {:?}", number, got),
            }
        }
    }
}

/// A group with a member on core 1, whose session is as `member` says, and one on core 2 that
/// comes later; a message of QoS 2 for it that core 1 has taken, and its client has got. Core 1
/// dies, and what it had said before is heard or lost. How often the message came to either.
fn taken_and_died(durability: Durability, member: Connect<'_>, is_heard: bool) -> usize {
    let mut cores = Cores::of(3, durability);
    cores.core(0).join(1, connect_packet("pub"));
    cores.core(1).join(1, member.clone());
    cores.settle();
    subscribe(&mut cores, 1, 1, "$share/g/a", Q2);
    cores.core(0).publish(1, "a", "x", Q2);
    cores.pass_on(ShardId(0), VICTIM);
    assert_eq!(cores.core(1).got(1), ["a x q2 #1"]);
    let mut times = 1;
    if is_heard {
        cores.pass_on(VICTIM, ShardId(0));
    }
    cores.core(2).join(1, persistent("other"));
    cores.core(2).subscribe(1, &[filter("$share/g/a", Q2)]);
    cores.pass_on(ShardId(2), ShardId(0));
    cores.lose_mail(VICTIM);
    match durability {
        Durability::None => cores.core(1).begin_anew(),
        Durability::Stored => cores.core(1).crash(),
    }
    hear_of_restart(&mut cores);
    cores.settle();
    times += count(&cores.core(2).got(1), "a x");
    let again = cores.core(1).connect(1, member);
    // Under its number it is the same message, sent again.
    times + count(&again, "a x") - count(&again, "a x q2 #1")
}

#[test]
fn what_two_members_may_get_is_what_a_core_took_and_could_neither_store_nor_say() {
    let stays = || persistent("member");
    let ends = || connect_packet("member");
    assert_eq!(taken_and_died(Durability::Stored, stays(), false), 1);
    assert_eq!(taken_and_died(Durability::Stored, stays(), true), 1);
    assert_eq!(taken_and_died(Durability::Stored, ends(), true), 1);
    assert_eq!(taken_and_died(Durability::None, stays(), true), 1);
    // The case that the guide tells of.
    assert_eq!(taken_and_died(Durability::None, stays(), false), 2);
    assert_eq!(taken_and_died(Durability::Stored, ends(), false), 2);
}
