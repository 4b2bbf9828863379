//! A core dies and another is in its place: nothing that was acknowledged is lost with it.

use super::super::Input;
use super::super::durable::Durability;
use super::super::shard::ShardId;
use super::cores::Cores;
use super::driver::*;

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
