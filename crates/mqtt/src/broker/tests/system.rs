//! The broker's own topics.

use super::super::durable::Durability;
use super::super::{Input, system::SystemState};
use super::cores::Cores;
use super::driver::*;

fn state(connected: u64) -> Input {
    Input::System(Some(Box::new(SystemState {
        clients_connected: connected,
        clients_total: 9,
        ..SystemState::default()
    })))
}

const CONNECTED: &str = "$SYS/broker/clients/connected";

#[test]
fn they_reach_who_asks_for_them_when_they_change() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe(1, &[filter("#", Q0), filter("$SYS/broker/clients/+", Q0)]);
    driver.input(state(1));
    let got = driver.got(1);
    assert_eq!(got.len(), 5, "{got:?}");
    driver.input(state(1));
    driver.input(state(2));
    assert_eq!(
        driver.got(1),
        [
            "$SYS/broker/clients/connected 2 q0",
            "$SYS/broker/clients/disconnected 7 q0"
        ]
    );
    driver.subscribe(1, &[filter(CONNECTED, Q0)]);
    assert_eq!(driver.got(1), ["$SYS/broker/clients/connected 2 q0 retain"]);
    // And nobody else may speak there.
    driver.publish(1, CONNECTED, "9", Q1);
    assert_eq!(driver.got(1), ["puback 3 NotAuthorized"]);
}

#[test]
fn a_core_wants_them_while_somebody_subscribes_to_some_and_keeps_them_no_longer() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.join(2, connect_packet("b"));
    driver.subscribe(1, &[filter("#", Q0), filter("$SYSTEM/a", Q0)]);
    assert!(!driver.broker.wants_system());
    driver.input(state(1));
    assert_eq!(driver.broker.retained_size().0, 0, "nobody wants them");
    driver.subscribe(1, &[filter("$SYS/#", Q0)]);
    driver.subscribe(2, &[filter("$share/g/$SYS/#", Q0)]);
    driver.input(state(1));
    assert!(driver.broker.retained_size().0 > 10);
    driver.unsubscribe(1, &["$SYS/#"]);
    assert!(driver.broker.wants_system(), "the group does");
    driver.lose(2);
    assert!(!driver.broker.wants_system());
    assert_eq!(driver.broker.retained_size().0, 0, "they would grow old");
    // Told late, it does not take them up again.
    driver.input(state(3));
    assert_eq!(driver.broker.retained_size().0, 0);
    driver.subscribe(1, &[filter(CONNECTED, Q0)]);
    driver.input(state(3));
    driver.input(Input::System(None));
    assert_eq!(driver.broker.retained_size().0, 0, "not told any longer");
}

#[test]
fn who_share_them_get_each_once_on_whatever_core_they_are() {
    let mut cores = Cores::of(3, Durability::None);
    for shard in 0..3 {
        cores
            .core(shard)
            .join(1, connect_packet(&format!("c{shard}")));
    }
    for shard in [1, 2] {
        cores
            .core(shard)
            .subscribe(1, &[filter("$share/g/$SYS/broker/clients/connected", Q0)]);
    }
    cores.settle();
    for shard in 0..3 {
        cores.core(shard).got(1);
        cores.core(shard).input(state(5));
    }
    cores.settle();
    let got: Vec<_> = (0..3).flat_map(|shard| cores.core(shard).got(1)).collect();
    assert_eq!(got, ["$SYS/broker/clients/connected 5 q0"]);
    cores.core(1).lose(1);
    cores.settle();
    for shard in 0..3 {
        cores.core(shard).input(state(6));
    }
    assert_eq!(cores.core(2).got(1), ["$SYS/broker/clients/connected 6 q0"]);
}
