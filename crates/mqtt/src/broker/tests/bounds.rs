//! What each limit does when it bites.

use std::rc::Rc;
use std::time::Duration;

use super::super::access::{Access, AccessRules, Client};
use super::super::limits::{Limits, OverRate};
use super::super::rate::Rate;
use super::super::retained::RetainedLimits;
use super::super::{Input, Settings, StoreState};
use super::driver::*;
use super::packets::{Packet, Publish};
use crate::codec::{QualityOfService, TopicName};

fn limited(change: impl Fn(&mut Limits)) -> Driver {
    let mut limits = Limits::default();
    change(&mut limits);
    Driver::new(Settings {
        limits,
        ..Settings::default()
    })
}

#[test]
fn a_client_that_does_not_read_costs_no_more_than_its_queue() {
    let mut driver = limited(|limits| limits.queue_messages = 10);
    driver.join(1, connect_packet("slow"));
    driver.join(2, connect_packet("fast"));
    driver.subscribe(1, &[filter("a", Q0)]);
    driver.subscribe(2, &[filter("a", Q0)]);
    driver.unread.push(1);
    for _ in 0..100 {
        driver.publish(2, "a", "x", Q0);
    }
    assert_eq!(driver.got(2).len(), 100);
    driver.read(1);
    assert_eq!(driver.got(1).len(), 10);
    assert_eq!(driver.broker.counters().queue_messages_dropped, 90);
}

#[test]
fn replies_that_are_not_read_end_the_connection() {
    let mut driver = limited(|limits| limits.replies = 10);
    driver.join(1, connect_packet("a"));
    driver.unread.push(1);
    for _ in 0..11 {
        driver.packet(1, Packet::PingReq);
    }
    driver.read(1);
    assert_eq!(driver.got(1), ["disconnect QuotaExceeded", "close"]);
    assert_eq!(driver.broker.counters().replies_exceeded, 1);
}

#[test]
fn sessions_subscriptions_and_levels_are_bounded() {
    let mut driver = limited(|limits| {
        limits.sessions = 1;
        limits.subscriptions = 2;
        limits.filter_levels = 3;
        limits.topic_levels = 3;
    });
    driver.join(1, connect_packet("a"));
    assert_eq!(
        driver.connect(2, connect_packet("b")),
        ["connack QuotaExceeded", "close"]
    );
    let filters = [
        filter("1/2/3/4", Q0),
        filter("x", Q0),
        filter("y", Q0),
        filter("z", Q0),
        filter("x", Q1),
    ];
    assert_eq!(
        driver.subscribe(1, &filters),
        "suback [QuotaExceeded, Success, Success, QuotaExceeded, GrantedQos1]"
    );
    driver.publish(1, "1/2/3/4", "x", Q1);
    assert_eq!(driver.got(1), ["puback 2 TopicNameInvalid"]);
    assert_eq!(driver.broker.counters().levels_exceeded, 2);
}

#[test]
fn a_client_may_not_pass_the_receive_maximum_it_was_told() {
    let mut driver = limited(|limits| limits.receive_maximum = 2);
    driver.join(1, connect_packet("a"));
    for id in [1, 2, 2] {
        driver.packet(1, Packet::Publish(publish_packet("t", "x", Q2, id)));
    }
    let got = driver.got(1);
    assert_eq!(got.len(), 3, "{got:?}");
    driver.packet(1, Packet::Publish(publish_packet("t", "x", Q2, 3)));
    assert_eq!(
        driver.got(1),
        ["disconnect ReceiveMaximumExceeded", "close"]
    );
}

#[test]
fn rates_refuse_or_disconnect_as_set() {
    let rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let mut driver = limited(|limits| limits.publish_rate = rate);
    driver.join(1, connect_packet("a"));
    driver.publish(1, "t", "x", Q1);
    driver.publish(1, "t", "x", Q1);
    driver.pass(Duration::from_secs(1));
    driver.publish(1, "t", "x", Q1);
    let expected = [
        "puback 1 NoMatchingSubscribers",
        "puback 2 QuotaExceeded",
        "puback 3 NoMatchingSubscribers",
    ];
    assert_eq!(driver.got(1), expected);

    let mut driver = limited(|limits| {
        limits.publish_rate = rate;
        limits.publish_over_rate = OverRate::Disconnect;
        limits.connect_rate = rate;
    });
    driver.join(1, connect_packet("a"));
    assert_eq!(
        driver.connect(2, connect_packet("b")),
        ["connack ConnectionRateExceeded", "close"]
    );
    driver.publish(1, "t", "x", Q0);
    driver.publish(1, "t", "x", Q0);
    assert_eq!(driver.got(1), ["disconnect MessageRateTooHigh", "close"]);
}

#[test]
fn retained_messages_are_bounded() {
    let mut driver = limited(|limits| {
        limits.retained = RetainedLimits {
            topics: 1,
            bytes: 1_000,
        }
    });
    driver.join(1, connect_packet("a"));
    for (id, topic) in [(1, "t"), (2, "u"), (3, "t")] {
        let packet = Publish {
            retain: true,
            ..publish_packet(topic, "x", Q1, id)
        };
        driver.packet(1, Packet::Publish(packet));
    }
    let expected = [
        "puback 1 NoMatchingSubscribers",
        "puback 2 QuotaExceeded",
        "puback 3 NoMatchingSubscribers",
    ];
    assert_eq!(driver.got(1), expected);
    assert_eq!(driver.broker.counters().retained_exceeded, 1);
}

#[test]
fn a_full_store_refuses_what_would_have_to_be_stored() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("a"));
    driver.input(Input::Store(StoreState::Full));
    driver.publish(1, "t", "x", Q1);
    assert_eq!(driver.got(1), ["puback 1 QuotaExceeded"]);
    assert_eq!(
        driver.subscribe(1, &[filter("t", Q0)]),
        "suback [QuotaExceeded]"
    );
    assert_eq!(
        driver.connect(2, persistent("b")),
        ["connack QuotaExceeded", "close"]
    );
    driver.input(Input::Store(StoreState::Open));
    driver.publish(1, "t", "x", Q1);
    assert_eq!(driver.got(1), ["puback 3 NoMatchingSubscribers"]);
}

/// Allows only what begins with one word.
#[derive(Debug)]
struct Only(&'static str);

impl AccessRules for Only {
    fn may_publish(
        &self,
        _: Client<'_>,
        topic: &TopicName,
        _: QualityOfService,
        _: bool,
    ) -> Access {
        self.may(topic.as_str())
    }

    fn may_subscribe(&self, _: Client<'_>, filter: &str) -> Access {
        self.may(filter)
    }
}

impl Only {
    fn may(&self, text: &str) -> Access {
        match text.starts_with(self.0) {
            true => Access::Allow,
            false => Access::Deny,
        }
    }
}

#[test]
fn new_rules_hold_for_live_sessions_and_disconnect_nobody() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe(
        1,
        &[
            filter("old", Q0),
            filter("new", Q0),
            filter("$share/g/old", Q0),
        ],
    );
    driver.input(Input::Rules(Rc::new(Only("new"))));
    driver.publish(1, "old", "x", Q1);
    driver.publish(1, "new", "x", Q1);
    assert_eq!(
        driver.got(1),
        ["puback 2 NotAuthorized", "puback 3 Success", "new x q0"]
    );
    assert_eq!(
        driver.subscribe(1, &[filter("old", Q0)]),
        "suback [NotAuthorized]"
    );
    assert_eq!(driver.broker.filter_count(), 1);
    let denied = super::packets::Connect {
        will: Some(will("old", 0)),
        ..connect_packet("b")
    };
    assert_eq!(
        driver.connect(2, denied),
        ["connack NotAuthorized", "close"]
    );
}

#[test]
fn expired_messages_make_room_in_a_full_queue() {
    let mut driver = limited(|limits| limits.queue_messages = 2);
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.join(2, connect_packet("pub"));
    driver.lose(1);
    for (id, expiry) in [(1, Some(10)), (2, None), (3, None)] {
        let packet = Publish {
            message_expiry: expiry,
            ..publish_packet("a", "x", Q1, id)
        };
        driver.packet(2, Packet::Publish(packet));
    }
    assert_eq!(driver.broker.counters().queue_messages_dropped, 1);
    driver.pass(Duration::from_secs(10));
    driver.publish(2, "a", "y", Q1);
    assert_eq!(driver.broker.counters().messages_expired, 1);
    let got = driver.connect(1, persistent("sub"));
    assert_eq!(got, ["connack Success present", "a x q1 #2", "a y q1 #3"]);
}

#[test]
fn new_limits_do_not_break_what_a_client_was_told() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.input(Input::Limits(Box::new(Limits {
        receive_maximum: 1,
        ..Limits::default()
    })));
    for id in 1..=5 {
        driver.packet(1, Packet::Publish(publish_packet("t", "x", Q2, id)));
    }
    assert_eq!(driver.got(1).len(), 5);
    driver.join(2, connect_packet("b"));
    for id in 1..=2 {
        driver.packet(2, Packet::Publish(publish_packet("t", "x", Q2, id)));
    }
    assert!(
        driver
            .got(2)
            .contains(&"disconnect ReceiveMaximumExceeded".to_owned())
    );
}

#[test]
fn a_client_that_takes_not_even_connack_is_closed() {
    let mut driver = Driver::plain();
    let tiny = super::packets::Connect {
        maximum_packet_size: Some(4),
        ..connect_packet("a")
    };
    assert_eq!(driver.connect(1, tiny), ["close"]);
    assert_eq!(driver.broker.connected_count(), 0);
}
