//! Who a session belongs to, and until when.

use std::rc::Rc;
use std::time::Duration;

use super::super::{
    ConnectOrigin, ConnectionId, Input, Settings,
    access::{Access, AccessRules, Client, Identity, ProofMark, Validity},
};
use super::driver::{Driver, Q0, Q1, connect_packet, filter, persistent, will};
use super::packets::Connect;
use crate::codec::{ProtocolVersion, QualityOfService, TopicName};

/// Everybody has the topic with their name, and no other.
#[derive(Debug)]
struct Own;

impl Own {
    fn is_of(client: Client<'_>, topic: &str) -> Access {
        match client.identity.user.as_deref() == Some(topic) {
            true => Access::Allow,
            false => Access::Deny,
        }
    }
}

impl AccessRules for Own {
    fn may_publish(
        &self,
        client: Client<'_>,
        topic: &TopicName,
        _: QualityOfService,
        _: bool,
    ) -> Access {
        Self::is_of(client, topic.as_str())
    }

    fn may_subscribe(&self, client: Client<'_>, filter: &str) -> Access {
        Self::is_of(client, filter)
    }
}

fn owned() -> Driver {
    Driver::new(Settings {
        access: Rc::new(Own),
        ..Settings::default()
    })
}

fn connect_as(driver: &mut Driver, number: u32, packet: Connect<'_>, identity: Identity) {
    driver.input(Input::Connect {
        connection: ConnectionId(number),
        packet: packet.build(),
        origin: ConnectOrigin { identity },
    });
    assert!(driver.got(number)[0].starts_with("connack Success"));
}

fn named(user: &str) -> Identity {
    Identity {
        user: Some(user.into()),
        ..Identity::default()
    }
}

#[test]
fn a_session_that_another_user_comes_to_does_not_keep_what_is_not_theirs() {
    let mut driver = owned();
    connect_as(&mut driver, 1, persistent("id"), named("ann"));
    driver.subscribe(1, &[filter("ann", Q0), filter("$share/g/ann", Q0)]);
    driver.lose(1);
    connect_as(&mut driver, 2, persistent("id"), named("bob"));
    assert_eq!(driver.broker.filter_count(), 0);
    connect_as(&mut driver, 3, connect_packet("other"), named("ann"));
    driver.publish(3, "ann", "x", Q1);
    assert!(driver.got(2).is_empty());
}

#[test]
fn its_own_user_finds_the_session_as_it_was() {
    let mut driver = owned();
    connect_as(&mut driver, 1, persistent("id"), named("ann"));
    driver.subscribe(1, &[filter("ann", Q0)]);
    driver.lose(1);
    // New rules while it is away ask about it as well, and find nothing wrong.
    driver.input(Input::Rules(Rc::new(Own)));
    connect_as(&mut driver, 2, persistent("id"), named("ann"));
    assert_eq!(driver.broker.filter_count(), 1);
}

#[test]
fn new_rules_end_a_will_that_they_do_not_allow() {
    let mut driver = Driver::plain();
    connect_as(&mut driver, 1, connect_packet("watcher"), named("x"));
    driver.subscribe(1, &[filter("x", Q0)]);
    for (number, user) in [(2, "x"), (3, "y")] {
        let packet = Connect {
            will: Some(will("x", 0)),
            ..connect_packet(user)
        };
        connect_as(&mut driver, number, packet, named(user));
    }
    driver.input(Input::Rules(Rc::new(Own)));
    driver.lose(3);
    assert!(driver.got(1).is_empty());
    driver.lose(2);
    assert_eq!(driver.got(1).len(), 1);
}

#[test]
fn who_proved_it_for_a_time_is_sent_away_when_it_is_over() {
    let mut driver = Driver::plain();
    let until = Identity {
        expires_at: Some(driver.now + Duration::from_secs(60)),
        ..named("ann")
    };
    let versions = [(1, ProtocolVersion::V5), (2, ProtocolVersion::V311)];
    for (number, version) in versions {
        let id = format!("client-{number}");
        let packet = Connect {
            version,
            ..connect_packet(&id)
        };
        connect_as(&mut driver, number, packet, until.clone());
    }
    connect_as(&mut driver, 3, connect_packet("for-ever"), named("ann"));
    driver.pass(Duration::from_secs(59));
    assert!(driver.got(1).is_empty());
    driver.pass(Duration::from_secs(1));
    assert_eq!(driver.got(1), ["disconnect NotAuthorized", "close"]);
    assert_eq!(driver.got(2), ["close"]);
    driver.pass(Duration::from_secs(100_000));
    assert!(driver.got(3).is_empty());
    assert_eq!(driver.broker.counters().proofs_expired, 2);
}

/// Only these marks hold.
#[derive(Debug)]
struct Marks(&'static [u64]);

impl Validity for Marks {
    fn holds(&self, identity: &Identity) -> bool {
        identity.mark.is_none_or(|mark| self.0.contains(&mark.0))
    }
}

fn marked(user: &str, mark: u64) -> Identity {
    Identity {
        mark: Some(ProofMark(mark)),
        ..named(user)
    }
}

#[test]
fn who_proved_it_by_what_is_taken_back_is_sent_away_and_nobody_else() {
    let mut driver = Driver::plain();
    connect_as(&mut driver, 1, persistent("gone"), marked("ann", 1));
    connect_as(&mut driver, 2, persistent("stays"), marked("bob", 2));
    connect_as(&mut driver, 3, persistent("other"), named("cid"));
    connect_as(&mut driver, 4, persistent("away"), marked("ann", 1));
    driver.lose(4);
    driver.input(Input::Validity(Rc::new(Marks(&[2]))));
    assert_eq!(driver.got(1), ["disconnect NotAuthorized", "close"]);
    assert!(driver.got(2).is_empty() && driver.got(3).is_empty());
    assert_eq!(driver.broker.counters().proofs_revoked, 1);
    // What waits for them waits on: the session is as it was.
    assert_eq!(driver.broker.session_count(), 4);
}

#[test]
fn what_is_taken_back_while_it_is_proved_lets_nobody_in() {
    let mut driver = Driver::new(Settings {
        validity: Rc::new(Marks(&[2])),
        ..Settings::default()
    });
    driver.input(Input::Connect {
        connection: ConnectionId(1),
        packet: connect_packet("late").build(),
        origin: ConnectOrigin {
            identity: marked("ann", 1),
        },
    });
    assert_eq!(driver.got(1), ["connack NotAuthorized", "close"]);
    assert_eq!(driver.broker.session_count(), 0);
}

#[test]
fn a_session_outlives_the_proof_of_its_owner() {
    let mut driver = Driver::plain();
    let until = Identity {
        expires_at: Some(driver.now + Duration::from_secs(60)),
        ..named("ann")
    };
    connect_as(&mut driver, 1, persistent("id"), until);
    driver.lose(1);
    driver.pass(Duration::from_secs(120));
    assert_eq!(driver.broker.session_count(), 1);
    assert_eq!(driver.broker.counters().proofs_expired, 0);
}
