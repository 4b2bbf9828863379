//! A core dies and another is in its place: nothing that was acknowledged is lost with it.

use super::super::Input;
use super::super::durable::Durability;
use super::super::shard::ShardId;
use super::cores::Cores;
use super::driver::*;
use crate::codec::QualityOfService;

/// Core 1 dies with what is on its way to it and from it; the others hear of the new one.
fn restart(cores: &mut Cores) {
    cores.lose_mail(ShardId(1));
    cores.core(1).crash();
    for other in [0, 2] {
        cores
            .core(other)
            .input(Input::NeighbourRestarted(ShardId(1)));
    }
}

fn subscribed(durability: Durability) -> Cores {
    let mut cores = Cores::of(3, durability);
    cores.core(0).join(1, persistent("pub"));
    cores.core(1).join(1, persistent("sub"));
    cores.settle();
    cores.core(1).subscribe(1, &[filter("a", Q2)]);
    cores.settle();
    cores.core(1).got(1);
    cores
}

#[test]
fn what_was_lost_with_a_core_is_refused_and_can_come_again() {
    let mut cores = subscribed(Durability::Stored);
    cores.core(0).publish(1, "a", "lost", Q1);
    cores.core(0).publish(1, "a", "lost", Q2);
    restart(&mut cores);
    let refused = ["puback 1 UnspecifiedError", "pubrec 2 UnspecifiedError"];
    let got = cores.core(0).got(1);
    assert!(
        got.iter().zip(refused).all(|(got, refused)| {
            got.split(' ').next() == refused.split(' ').next() && got.ends_with("UnspecifiedError")
        }) && got.len() == 2,
        "{got:?}"
    );
    cores.settle();
    cores.core(0).publish(1, "a", "again", Q1);
    cores.settle();
    let got = cores.core(0).got(1);
    assert!(got[0].ends_with("Success"), "{got:?}");
    let got = cores.core(1).connect(1, persistent("sub"));
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[1].starts_with("a again q1"), "{got:?}");
}

#[test]
fn a_message_before_the_first_word_of_a_restarted_core_reaches_its_sessions() {
    let mut cores = subscribed(Durability::Stored);
    restart(&mut cores);
    // Its word is on its way still.
    cores.core(0).publish(1, "a", "early", Q1);
    cores.settle();
    let got = cores.core(0).got(1);
    assert!(got[0].ends_with("Success"), "{got:?}");
    let got = cores.core(1).connect(1, persistent("sub"));
    assert!(got[1].starts_with("a early q1"), "{got:?}");
}

#[test]
fn a_restarted_core_without_a_store_wants_nothing_and_has_what_all_have() {
    let mut cores = subscribed(Durability::None);
    cores.core(0).subscribe(1, &[filter("b", Q1)]);
    cores.core(0).retain(1, "kept", "r");
    cores.settle();
    cores.core(0).got(1);
    cores.lose_mail(ShardId(1));
    cores.core(1).begin_anew();
    for other in [0, 2] {
        cores
            .core(other)
            .input(Input::NeighbourRestarted(ShardId(1)));
    }
    cores.settle();
    assert_eq!(cores.core(1).broker.retained_size().0, 1);
    // It knows what the others want.
    cores.core(1).join(2, connect_packet("new"));
    cores.core(1).publish(2, "b", "x", Q1);
    cores.settle();
    let got = cores.core(0).got(1);
    assert!(got[0].starts_with("b x q1"), "{got:?}");
    // And is known to want nothing, once it has said something.
    cores.core(0).publish(1, "a", "nobody", Q1);
    cores.settle();
    let got = cores.core(0).got(1);
    assert!(got[0].ends_with("NoMatchingSubscribers"), "{got:?}");
}

/// A member on core 0 is away, and messages wait for it.
fn away_with_messages(cores: &mut Cores, qos: QualityOfService) {
    cores.core(2).join(1, persistent("pub"));
    cores.core(0).join(1, persistent("first"));
    cores.settle();
    cores.core(0).subscribe(1, &[filter("$share/g/a", qos)]);
    cores.settle();
    cores.core(0).got(1);
    cores.core(0).lose(1);
    cores.settle();
    for payload in ["1", "2", "3"] {
        cores.core(2).publish(1, "a", payload, qos);
        cores.settle();
    }
    let got = cores.core(2).got(1);
    let acknowledged = got.iter().filter(|line| line.ends_with("Success"));
    assert_eq!(acknowledged.count(), 3, "{got:?}");
}

/// A client on core 1 is a member as well, and is given them: they are on their way.
fn come_and_take(cores: &mut Cores, qos: QualityOfService) {
    cores.core(1).subscribe(1, &[filter("$share/g/a", qos)]);
    cores.pass_on(ShardId(1), ShardId(0));
    assert_eq!(cores.core(0).broker.counters().shared_redelivered, 3);
}

fn handed_over(durability: Durability, qos: QualityOfService) -> Cores {
    let mut cores = Cores::of(3, durability);
    away_with_messages(&mut cores, qos);
    cores.core(1).join(1, persistent("second"));
    come_and_take(&mut cores, qos);
    cores
}

fn payloads(got: &[String]) -> Vec<&str> {
    let messages = got.iter().filter(|line| line.starts_with("a "));
    messages.map(|line| &line[2..3]).collect()
}

#[test]
fn what_a_core_had_not_taken_when_it_died_goes_to_another_member() {
    for durability in [Durability::None, Durability::Stored] {
        for qos in [Q1, Q2] {
            let mut cores = handed_over(durability, qos);
            cores.lose_mail(ShardId(1));
            match durability {
                Durability::None => cores.core(1).begin_anew(),
                Durability::Stored => cores.core(1).crash(),
            }
            for other in [0, 2] {
                cores
                    .core(other)
                    .input(Input::NeighbourRestarted(ShardId(1)));
            }
            cores.settle();
            assert_eq!(cores.core(0).broker.counters().crossings_recovered, 3);
            let got = cores.core(0).connect(1, persistent("first"));
            assert_eq!(payloads(&got), ["1", "2", "3"], "{durability:?} {qos:?}");
        }
    }
}

#[test]
fn what_a_core_has_taken_is_not_given_to_another_as_well() {
    let mut cores = handed_over(Durability::Stored, Q2);
    cores.settle();
    let mut taken = payloads(&cores.core(1).got(1)).len();
    assert_eq!(taken, 3);
    cores.core(1).lose(1);
    restart(&mut cores);
    cores.settle();
    assert_eq!(cores.core(0).broker.counters().crossings_recovered, 0);
    let got = cores.core(0).connect(1, persistent("first"));
    taken = payloads(&got).len();
    assert_eq!(taken, 0, "{got:?}");
    let got = cores.core(1).connect(1, persistent("second"));
    assert_eq!(payloads(&got), ["1", "2", "3"], "they are in its store");
}

#[test]
fn what_changes_hands_is_dropped_and_kept_in_one_change_of_both_stores() {
    let mut cores = Cores::of(3, Durability::Stored);
    away_with_messages(&mut cores, Q2);
    cores.core(1).join(1, persistent("second"));
    for core in [0, 1] {
        cores.core(core).holds_commits = true;
    }
    come_and_take(&mut cores, Q2);
    cores.pass_on(ShardId(0), ShardId(1));
    let mut joints = [0, 1].map(|core| {
        let commits = &cores.core(core).commits;
        let joints: Vec<_> = commits.iter().flat_map(|it| it.joints.clone()).collect();
        joints
    });
    let (from, to) = (joints[0].remove(0), joints[1].remove(0));
    assert_eq!(from.number, to.number);
    assert!(
        from.others
            .is_some_and(|others| others.contains(ShardId(1)))
    );
    let rest = joints.concat();
    assert!(
        rest.iter().all(|joint| joint.number == from.number),
        "one for all of them"
    );
    // Killed before either is written: all is as it was.
    for core in [0, 1] {
        cores.core(core).holds_commits = false;
    }
    cores.crash();
    let first = cores.core(0).connect(1, persistent("first"));
    assert_eq!(payloads(&first), ["1", "2", "3"]);
}
