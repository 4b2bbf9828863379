//! When a will is published, and when it is not.

use std::time::Duration;

use super::driver::*;
use super::packets::{Connect, Will};
use crate::codec::ReasonCode;

/// A watcher on connection 9, and a client with a will on connection 1.
fn with_will(packet: Connect<'_>) -> Driver {
    let mut driver = Driver::plain();
    driver.join(9, connect_packet("watcher"));
    driver.subscribe(9, &[filter("wills/#", Q0)]);
    driver.join(1, packet);
    driver
}

fn immediate() -> Connect<'static> {
    Connect {
        will: Some(will("wills/a", 0)),
        ..persistent("a")
    }
}

fn delayed() -> Connect<'static> {
    Connect {
        will: Some(will("wills/a", 60)),
        ..persistent("a")
    }
}

#[test]
fn a_lost_connection_publishes_it() {
    let mut driver = with_will(immediate());
    driver.lose(1);
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
    // And once only.
    driver.join(1, persistent("a"));
    driver.lose(1);
    assert!(driver.got(9).is_empty());
}

#[test]
fn an_orderly_disconnect_does_not_but_one_with_will_does() {
    let mut driver = with_will(immediate());
    driver.disconnect(1, ReasonCode::Success);
    assert!(driver.got(9).is_empty());
    assert_eq!(driver.got(1), ["close"]);
    driver.join(1, immediate());
    driver.disconnect(1, ReasonCode::DisconnectWithWill);
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
}

#[test]
fn delay_waits_and_a_client_that_is_back_in_time_has_none() {
    let mut driver = with_will(delayed());
    driver.lose(1);
    driver.pass(Duration::from_secs(59));
    assert!(driver.got(9).is_empty());
    driver.join(1, persistent("a"));
    driver.pass(Duration::from_secs(60));
    assert!(driver.got(9).is_empty());
    driver.join(2, delayed());
    driver.got(1);
    driver.lose(2);
    driver.pass(Duration::from_secs(60));
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
}

#[test]
fn the_end_of_the_session_does_not_wait_for_the_delay() {
    let mut driver = with_will(Connect {
        session_expiry: Some(10),
        ..delayed()
    });
    driver.lose(1);
    driver.pass(Duration::from_secs(10));
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
    assert_eq!(driver.broker.session_count(), 1);
}

#[test]
fn takeover_publishes_it_unless_the_delay_lets_the_client_be_back() {
    let mut driver = with_will(immediate());
    driver.join(2, persistent("a"));
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
    let mut driver = with_will(delayed());
    driver.join(2, persistent("a"));
    driver.pass(Duration::from_secs(100));
    assert!(driver.got(9).is_empty());
    let mut driver = with_will(delayed());
    driver.join(2, connect_packet("a"));
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
}

#[test]
fn silence_publishes_it() {
    let mut driver = with_will(Connect {
        keep_alive: 10,
        ..immediate()
    });
    driver.pass(Duration::from_secs(15));
    assert_eq!(driver.got(9), ["wills/a gone q0"]);
}

#[test]
fn a_retained_will_is_retained_and_its_expiry_begins_when_it_is_published() {
    let retained = Will {
        retain: true,
        message_expiry: Some(100),
        ..will("wills/a", 60)
    };
    let mut driver = with_will(Connect {
        will: Some(retained),
        ..persistent("a")
    });
    driver.lose(1);
    driver.pass(Duration::from_secs(60));
    assert_eq!(driver.got(9), ["wills/a gone q0 expiry=100"]);
    driver.join(2, connect_packet("late"));
    driver.subscribe(2, &[filter("wills/a", Q0)]);
    assert_eq!(driver.got(2), ["wills/a gone q0 retain expiry=100"]);
}
