//! Clients that keep to no rule: whatever they send, the core stands, and when
//! they are gone nothing of them is left.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{ConnectionId, Input};
use super::driver::*;
use super::packets::{Ack, Connect, Packet, Publish};
use crate::codec::{ProtocolVersion, ReasonCode};

const CONNECTIONS: u32 = 4;
const NAMES: [&str; 3] = ["a", "b", ""];
const FILTERS: [&str; 5] = ["t", "t/#", "+", "$share/g/t", "$share/h/#"];

#[derive(Debug, Clone)]
enum Action {
    Connect(u32, usize, bool, ProtocolVersion, Option<u32>),
    Lose(u32),
    Send(u32, Sent),
    Pass(u64),
    Kick(usize),
    Unread(u32),
    Read(u32),
    FailCommits,
    Commit,
    Crash,
}

#[derive(Debug, Clone)]
enum Sent {
    Publish(u8, u16, Option<u16>, bool),
    Subscribe(usize, u8),
    Unsubscribe(usize),
    PubAck(u16),
    PubRec(u16, bool),
    PubRel(u16),
    PubComp(u16),
    Ping,
    Disconnect(bool, Option<u32>),
    Auth,
    Connect,
    Garbage,
}

fn sent() -> impl Strategy<Value = Sent> {
    let id = 1..6_u16;
    prop_oneof![
        6 => (0..3_u8, id.clone(), prop::option::weighted(0.2, 1..40_u16), any::<bool>())
            .prop_map(|(qos, id, alias, retain)| Sent::Publish(qos, id, alias, retain)),
        4 => (0..FILTERS.len(), 0..3_u8).prop_map(|(filter, qos)| Sent::Subscribe(filter, qos)),
        1 => (0..FILTERS.len()).prop_map(Sent::Unsubscribe),
        2 => id.clone().prop_map(Sent::PubAck),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, refuses)| Sent::PubRec(id, refuses)),
        2 => id.clone().prop_map(Sent::PubRel),
        2 => id.prop_map(Sent::PubComp),
        1 => Just(Sent::Ping),
        1 => (any::<bool>(), prop::option::of(0..100_u32))
            .prop_map(|(with_will, expiry)| Sent::Disconnect(with_will, expiry)),
        1 => Just(Sent::Auth),
        1 => Just(Sent::Connect),
        1 => Just(Sent::Garbage),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let connection = 0..CONNECTIONS;
    let version = prop_oneof![3 => Just(ProtocolVersion::V5), 1 => Just(ProtocolVersion::V311)];
    let expiry = prop::option::of(prop_oneof![Just(5), Just(1_000), Just(u32::MAX)]);
    prop_oneof![
        6 => (connection.clone(), 0..NAMES.len(), any::<bool>(), version, expiry)
            .prop_map(|(at, name, clean, version, expiry)| {
                Action::Connect(at, name, clean, version, expiry)
            }),
        2 => connection.clone().prop_map(Action::Lose),
        20 => (connection.clone(), sent()).prop_map(|(at, sent)| Action::Send(at, sent)),
        2 => (0..20_000_u64).prop_map(Action::Pass),
        1 => (0..NAMES.len()).prop_map(Action::Kick),
        1 => connection.clone().prop_map(Action::Unread),
        1 => connection.prop_map(Action::Read),
        1 => Just(Action::FailCommits),
        2 => Just(Action::Commit),
        1 => Just(Action::Crash),
    ]
}

struct Disorder {
    driver: Driver,
    open: [bool; CONNECTIONS as usize],
}

impl Disorder {
    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(at, name, clean, version, expiry) if !self.is_open(at) => {
                let packet = Connect {
                    version,
                    clean_start: clean,
                    keep_alive: 10,
                    session_expiry: expiry,
                    receive_maximum: Some(2),
                    will: expiry.map(|delay| will("t", delay % 7)),
                    topic_alias_maximum: 2,
                    ..connect_packet(NAMES[name])
                };
                self.open[at as usize] = true;
                let got = self.driver.connect(at, packet);
                self.driver.wire.insert(at, got);
            }
            Action::Lose(at) if self.is_open(at) => {
                self.driver.lose(at);
                self.open[at as usize] = false;
            }
            Action::Send(at, sent) if self.is_open(at) => self.send(at, &sent),
            Action::Pass(millis) => self.driver.pass(Duration::from_millis(millis)),
            Action::Kick(name) => self.driver.input(Input::Kick {
                client_id: NAMES[name].into(),
                reason: ReasonCode::AdministrativeAction,
            }),
            Action::Unread(at) => self.driver.unread.push(at),
            Action::Read(at) => self.driver.read(at),
            Action::FailCommits => {
                let tokens: Vec<_> = self
                    .driver
                    .commits
                    .iter()
                    .map(|commit| commit.token)
                    .collect();
                for token in tokens {
                    self.driver.input(Input::CommitFailed(token));
                }
            }
            Action::Commit => self.driver.commit(),
            Action::Crash => {
                self.driver.crash();
                self.open = [false; CONNECTIONS as usize];
            }
            _ => {}
        }
        // What the core has closed is closed.
        for at in 0..CONNECTIONS {
            let closed = |lines: &Vec<String>| lines.iter().any(|line| line == "close");
            if self.driver.wire.get(&at).is_some_and(closed) {
                self.driver.got(at);
                self.open[at as usize] = false;
            }
        }
    }

    fn is_open(&self, at: u32) -> bool {
        self.open[at as usize]
    }

    fn send(&mut self, at: u32, sent: &Sent) {
        let ack = |packet_id, refuses| Ack {
            packet_id,
            reason: match refuses {
                true => ReasonCode::UnspecifiedError,
                false => ReasonCode::Success,
            },
        };
        let qos = |qos| [Q0, Q1, Q2][usize::from(qos)];
        let packet = match *sent {
            Sent::Publish(level, id, topic_alias, retain) => Packet::Publish(Publish {
                topic_alias,
                retain,
                message_expiry: topic_alias.map(u32::from),
                ..publish_packet(if id > 3 { "t" } else { "t/u" }, "x", qos(level), id)
            }),
            Sent::Subscribe(name, level) => {
                Packet::Subscribe(1, Some(7), vec![filter(FILTERS[name], qos(level))])
            }
            Sent::Unsubscribe(name) => Packet::Unsubscribe(vec![FILTERS[name]]),
            Sent::PubAck(id) => Packet::PubAck(ack(id, false)),
            Sent::PubRec(id, refuses) => Packet::PubRec(ack(id, refuses)),
            Sent::PubRel(id) => Packet::PubRel(ack(id, false)),
            Sent::PubComp(id) => Packet::PubComp(ack(id, false)),
            Sent::Ping => Packet::PingReq,
            Sent::Disconnect(with_will, expiry) => {
                let reason = match with_will {
                    true => ReasonCode::DisconnectWithWill,
                    false => ReasonCode::Success,
                };
                Packet::Disconnect(reason, expiry)
            }
            Sent::Auth => Packet::Auth(ReasonCode::ReAuthenticate, "m", ""),
            Sent::Connect => Packet::Connect(connect_packet("a")),
            Sent::Garbage => {
                let connection = ConnectionId(at);
                let reason = ReasonCode::MalformedPacket;
                self.driver.input(Input::Malformed { connection, reason });
                return;
            }
        };
        self.driver.packet(at, packet);
    }
}

proptest! {
    #[test]
    fn nothing_is_left_of_clients_that_break_every_rule(
        holds_commits in any::<bool>(),
        actions in prop::collection::vec(action(), 1..150),
    ) {
        let mut disorder = Disorder {
            driver: Driver::durable(),
            open: [false; CONNECTIONS as usize],
        };
        disorder.driver.holds_commits = holds_commits;
        for action in actions {
            disorder.act(action);
            let broker = &disorder.driver.broker;
            prop_assert!(broker.connected_count() <= broker.session_count());
        }
        for at in 0..CONNECTIONS {
            disorder.act(Action::Lose(at));
        }
        let driver = &mut disorder.driver;
        driver.commit();
        driver.holds_commits = false;
        prop_assert_eq!(driver.broker.connected_count(), 0);
        driver.pass(Duration::from_secs(8 * 24 * 3_600));
        prop_assert_eq!(driver.broker.session_count(), 0);
        prop_assert_eq!(driver.broker.filter_count(), 0);
        let store = &driver.store;
        prop_assert!(store.sessions.is_empty() && store.subscriptions.is_empty());
        prop_assert!(store.queue.is_empty() && store.messages.is_empty(), "{:?}", store);
        prop_assert!(store.received.is_empty() && store.sent.is_empty());
    }
}
