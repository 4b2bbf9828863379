//! Connecting, leaving, coming back.

use std::time::Duration;

use super::driver::*;
use super::packets::{Connect, Packet};
use crate::codec::{ProtocolVersion, ReasonCode};

#[test]
fn a_message_goes_from_client_to_client() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("sub"));
    driver.join(2, connect_packet("pub"));
    assert_eq!(
        driver.subscribe(1, &[filter("a/+", Q2)]),
        "suback [GrantedQos2]"
    );
    driver.publish(2, "a/b", "x", Q0);
    driver.publish(2, "a/b", "y", Q1);
    driver.publish(2, "b", "z", Q1);
    assert_eq!(driver.got(1), ["a/b x q0", "a/b y q1 #1"]);
    assert_eq!(
        driver.got(2),
        ["puback 3 Success", "puback 4 NoMatchingSubscribers"]
    );
}

#[test]
fn a_second_client_with_the_id_takes_the_session_over() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("a"));
    driver.subscribe(1, &[filter("t", Q1)]);
    let got = driver.connect(2, persistent("a"));
    assert_eq!(got, ["connack Success present"]);
    assert_eq!(driver.got(1), ["disconnect SessionTakenOver", "close"]);
    driver.publish(2, "t", "x", Q1);
    assert_eq!(driver.got(2), ["puback 2 Success", "t x q1 #1"]);
    assert_eq!(driver.broker.session_count(), 1);
    assert_eq!(driver.broker.connected_count(), 1);
}

#[test]
fn clean_start_forgets_what_was() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("a"));
    driver.subscribe(1, &[filter("t", Q1)]);
    driver.lose(1);
    let clean = Connect {
        clean_start: true,
        ..persistent("a")
    };
    assert_eq!(driver.connect(2, clean), ["connack Success"]);
    driver.publish(2, "t", "x", Q1);
    assert_eq!(driver.got(2), ["puback 2 NoMatchingSubscribers"]);
}

#[test]
fn a_session_ends_when_its_expiry_interval_has_passed() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("a"));
    driver.lose(1);
    driver.pass(Duration::from_secs(3_599));
    assert_eq!(driver.broker.session_count(), 1);
    driver.pass(Duration::from_secs(2));
    assert_eq!(driver.broker.session_count(), 0);
    assert_eq!(driver.broker.counters().sessions_expired, 1);
    assert_eq!(driver.connect(1, persistent("a")), ["connack Success"]);
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe(1, &[filter("t/#", Q1), filter("$share/g/t", Q1)]);
    driver.lose(1);
    assert_eq!(driver.broker.session_count(), 0);
    assert_eq!(driver.broker.filter_count(), 0);
}

#[test]
fn silence_past_one_and_a_half_keep_alives_ends_the_connection() {
    let mut driver = Driver::plain();
    driver.join(
        1,
        Connect {
            keep_alive: 10,
            ..persistent("a")
        },
    );
    driver.pass(Duration::from_secs(14));
    driver.packet(1, Packet::PingReq);
    assert_eq!(driver.got(1), ["pingresp"]);
    driver.pass(Duration::from_secs(14));
    assert_eq!(driver.got(1), Vec::<String>::new());
    driver.pass(Duration::from_secs(1));
    assert_eq!(driver.got(1), ["disconnect KeepAliveTimeout", "close"]);
    assert_eq!(driver.broker.connected_count(), 0);
}

#[test]
fn mqtt_3_1_1_is_closed_without_a_word() {
    let mut driver = Driver::plain();
    let old = Connect {
        version: ProtocolVersion::V311,
        keep_alive: 10,
        ..connect_packet("a")
    };
    driver.join(1, old);
    driver.pass(Duration::from_secs(15));
    assert_eq!(driver.got(1), ["close"]);
}

#[test]
fn a_client_without_an_id_is_given_one_of_its_own() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet(""));
    driver.join(2, connect_packet(""));
    assert_eq!(driver.broker.session_count(), 2);
    let old = Connect {
        version: ProtocolVersion::V311,
        clean_start: false,
        ..connect_packet("")
    };
    assert_eq!(
        driver.connect(3, old),
        ["connack ClientIdentifierNotValid", "close"]
    );
}

#[test]
fn disconnect_may_shorten_the_session_but_not_begin_one() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("a"));
    let leave = |secs| Packet::Disconnect(ReasonCode::Success, Some(secs));
    driver.packet(1, leave(0));
    assert_eq!(driver.got(1), ["close"]);
    assert_eq!(driver.broker.session_count(), 0);
    driver.join(1, connect_packet("b"));
    driver.packet(1, leave(5));
    assert_eq!(driver.got(1), ["disconnect ProtocolError", "close"]);
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.packet(1, Packet::Connect(connect_packet("a")));
    assert_eq!(driver.got(1), ["disconnect ProtocolError", "close"]);
}
