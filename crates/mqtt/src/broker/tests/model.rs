//! Random use of the core against a model that is too simple to be wrong:
//! clients with real QoS 1 and 2 state, sessions that are lists, and a crash
//! now and then.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::durable::Durability;
use super::cores::Cores;
use super::driver::*;
use super::packets::{Connect, Packet, Publish};
use crate::codec::{QualityOfService, TopicFilter, TopicName};

const CLIENTS: u32 = 4;
const TOPICS: [&str; 4] = ["a", "b", "a/b", "$x"];
const FILTERS: [&str; 5] = ["a", "#", "a/#", "+/b", "$x"];

#[derive(Debug, Clone, Copy)]
enum Action {
    /// Connect: clean or not, persistent or not.
    Connect(u32, bool, bool),
    Lose(u32),
    Subscribe(u32, usize, QualityOfService),
    Unsubscribe(u32, usize),
    /// Publish; `true`: a QoS 2 message is sent twice before it is released.
    Publish(u32, usize, QualityOfService, bool),
    /// The client answers, or stops answering, what it is sent.
    Answer(u32, bool),
    /// The process is killed and starts again.
    Crash,
}

fn matches(filter: &str, topic: &str) -> bool {
    let topic = TopicName::try_from(topic).unwrap();
    TopicFilter::try_from(filter).unwrap().matches(&topic)
}

fn action() -> impl Strategy<Value = Action> {
    let client = 0..CLIENTS;
    let qos = prop_oneof![Just(Q0), Just(Q1), Just(Q2)];
    prop_oneof![
        3 => (client.clone(), prop::bool::weighted(0.2), prop::bool::weighted(0.7))
            .prop_map(|(client, clean, stays)| Action::Connect(client, clean, stays)),
        2 => client.clone().prop_map(Action::Lose),
        3 => (client.clone(), 0..FILTERS.len(), qos.clone())
            .prop_map(|(client, filter, qos)| Action::Subscribe(client, filter, qos)),
        1 => (client.clone(), 0..FILTERS.len())
            .prop_map(|(client, filter)| Action::Unsubscribe(client, filter)),
        8 => (client.clone(), 0..TOPICS.len(), qos, any::<bool>())
            .prop_map(|(client, topic, qos, twice)| Action::Publish(client, topic, qos, twice)),
        2 => (client, any::<bool>()).prop_map(|(client, answers)| Action::Answer(client, answers)),
        1 => Just(Action::Crash),
    ]
}

/// A client: what it has got, by the rules of the receiver's side.
#[derive(Debug, Default)]
struct Client {
    answers: bool,
    online: bool,
    stays: bool,
    /// Identifiers of QoS 2 messages received and not released.
    unreleased: BTreeSet<u16>,
    /// Packets to be answered once it answers again.
    unanswered: Vec<(QualityOfService, u16)>,
    /// What the application got, in order. QoS 1 may come twice, QoS 2 not.
    got: Received,
}

/// Messages of QoS 0, which may pass the others, and of QoS 1 and 2.
type Received = [Vec<String>; 2];

/// The Receive Maximum of each client.
const WINDOWS: [Option<u16>; CLIENTS as usize] = [None, Some(1), Some(2), None];

/// A session as the model has it.
#[derive(Debug, Default, Clone)]
struct Session {
    subscriptions: BTreeMap<usize, QualityOfService>,
    /// Everything it is owed, from its beginning.
    owed: Received,
}

struct Model {
    cores: Cores,
    clients: Vec<Client>,
    sessions: BTreeMap<u32, Session>,
    published: u32,
}

impl Model {
    fn new(cores: u8) -> Self {
        Self {
            cores: Cores::of(cores, Durability::Stored),
            clients: (0..CLIENTS)
                .map(|_| Client {
                    answers: true,
                    ..Client::default()
                })
                .collect(),
            sessions: BTreeMap::new(),
            published: 0,
        }
    }

    fn client(&mut self, client: u32) -> &mut Client {
        &mut self.clients[client as usize]
    }

    /// The core that a client is on.
    fn core(&mut self, client: u32) -> &mut Driver {
        let core = client as usize % self.cores.cores.len();
        &mut self.cores.cores[core]
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(client, clean, stays) => self.connect(client, clean, stays),
            Action::Lose(client) if self.client(client).online => {
                self.core(client).lose(client);
                self.left(client);
            }
            Action::Subscribe(client, at, qos) if self.client(client).online => {
                self.core(client)
                    .subscribe(client, &[filter(FILTERS[at], qos)]);
                self.session(client).subscriptions.insert(at, qos);
            }
            Action::Unsubscribe(client, at) if self.client(client).online => {
                let lines = self.core(client).unsubscribe(client, &[FILTERS[at]]);
                self.session(client).subscriptions.remove(&at);
                self.take(client, lines);
            }
            Action::Publish(client, topic, qos, twice) if self.client(client).online => {
                self.publish(client, TOPICS[topic], qos, twice);
            }
            Action::Answer(client, answers) => {
                self.client(client).answers = answers;
                self.answer(client);
            }
            Action::Crash => {
                self.cores.crash();
                for client in 0..CLIENTS {
                    if self.client(client).online {
                        self.left(client);
                    }
                }
            }
            _ => {}
        }
        self.read_all();
    }

    fn session(&mut self, client: u32) -> &mut Session {
        self.sessions.get_mut(&client).unwrap()
    }

    fn connect(&mut self, client: u32, clean: bool, stays: bool) {
        if self.client(client).online {
            self.core(client).lose(client);
            self.left(client);
        }
        let name = format!("c{client}");
        let packet = Connect {
            clean_start: clean,
            session_expiry: stays.then_some(3_600),
            receive_maximum: WINDOWS[client as usize],
            ..connect_packet(&name)
        };
        let lines = self.core(client).connect(client, packet);
        let present = self.sessions.contains_key(&client) && !clean;
        let expected = if present {
            "connack Success present"
        } else {
            "connack Success"
        };
        assert_eq!(lines[0], expected);
        if !present {
            self.sessions.insert(client, Session::default());
            self.client(client).unreleased.clear();
            self.client(client).got = Received::default();
        }
        let state = self.client(client);
        state.online = true;
        state.stays = stays;
        state.unanswered.clear();
        self.take(client, lines);
    }

    fn left(&mut self, client: u32) {
        self.client(client).online = false;
        self.client(client).unanswered.clear();
        if !self.client(client).stays {
            self.sessions.remove(&client);
        }
    }

    fn publish(&mut self, client: u32, topic: &str, qos: QualityOfService, twice: bool) {
        if topic.starts_with('$') {
            return;
        }
        self.published += 1;
        let payload = self.published.to_string();
        let packet_id = self.published as u16;
        for (owner, session) in &mut self.sessions {
            let matching = session
                .subscriptions
                .iter()
                .filter(|(at, _)| matches(FILTERS[**at], topic))
                .map(|(_, granted)| *granted);
            let Some(granted) = matching.max() else {
                continue;
            };
            let granted = granted.min(qos);
            if self.clients[*owner as usize].online || granted > Q0 {
                session.owed[usize::from(granted > Q0)].push(payload.clone());
            }
        }
        let packet = publish_packet(topic, &payload, qos, packet_id);
        self.core(client).packet(client, Packet::Publish(packet));
        if qos == Q2 {
            if twice {
                self.core(client).packet(
                    client,
                    Packet::Publish(Publish {
                        dup: true,
                        ..packet
                    }),
                );
            }
            self.core(client).ack(client, Packet::PubRel, packet_id);
        }
    }

    /// Lets every client read and answer until nobody has anything more.
    fn read_all(&mut self) {
        loop {
            self.cores.settle();
            let mut busy = false;
            for client in 0..CLIENTS {
                let lines = self.core(client).got(client);
                busy |= !lines.is_empty();
                self.take(client, lines);
            }
            if !busy {
                return;
            }
        }
    }

    fn take(&mut self, client: u32, lines: Vec<String>) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            if words[0] == "pubrel" {
                let id: u16 = words[1].parse().unwrap();
                self.client(client).unreleased.remove(&id);
                self.core(client).ack(client, Packet::PubComp, id);
            } else if TOPICS.contains(&words[0]) {
                self.take_message(client, &words);
            } else {
                let known = [
                    "connack", "puback", "pubrec", "pubcomp", "suback", "unsuback",
                ];
                assert!(known.contains(&words[0]), "{line}");
            }
        }
        self.answer(client);
    }

    fn take_message(&mut self, client: u32, words: &[&str]) {
        let payload = words[1].to_owned();
        let id = words
            .get(3)
            .and_then(|id| id.strip_prefix('#')?.parse().ok());
        let state = self.client(client);
        match (words[2], id) {
            ("q1", Some(id)) => {
                if !state.got[1].contains(&payload) {
                    state.got[1].push(payload);
                }
                state.unanswered.push((Q1, id));
            }
            ("q2", Some(id)) => {
                if state.unreleased.insert(id) {
                    assert!(!state.got[1].contains(&payload), "{payload} came twice");
                    state.got[1].push(payload);
                }
                state.unanswered.push((Q2, id));
            }
            _ => state.got[0].push(payload),
        }
    }

    fn answer(&mut self, client: u32) {
        let state = self.client(client);
        if !state.answers || !state.online {
            return;
        }
        for (qos, id) in std::mem::take(&mut state.unanswered) {
            match qos {
                QualityOfService::ExactlyOnce => self.core(client).ack(client, Packet::PubRec, id),
                _ => self.core(client).ack(client, Packet::PubAck, id),
            }
        }
    }

    /// Whoever is connected has got all it is owed, in order; whoever is not
    /// gets it once it is back.
    fn check(&mut self) {
        for client in 0..CLIENTS {
            self.act(Action::Answer(client, true));
        }
        for client in 0..CLIENTS {
            let Some(session) = self.sessions.get(&client).cloned() else {
                continue;
            };
            if !self.client(client).online {
                self.connect(client, false, true);
                self.read_all();
            }
            assert_eq!(self.client(client).got, session.owed, "client {client}");
        }
    }
}

proptest! {
    #[test]
    fn every_client_gets_what_it_is_owed(
        cores in 1..4_u8,
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let mut model = Model::new(cores);
        for client in 0..CLIENTS {
            model.act(Action::Connect(client, false, true));
        }
        for action in actions {
            model.act(action);
        }
        model.check();
        // Everything is acknowledged: nothing is left in the store but sessions.
        for core in &model.cores.cores {
            let store = &core.store;
            prop_assert!(store.queue.is_empty(), "{:?}", store.queue);
            prop_assert!(store.messages.is_empty(), "{:?}", store.messages);
            prop_assert!(store.received.is_empty());
        }
    }
}
