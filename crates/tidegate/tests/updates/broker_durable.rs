//! What an MQTT broker with a store has acknowledged survives the end of its process,
//! however that comes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;
use tidegate_mqtt::broker::shard::{ShardId, shard_of};
use tidegate_mqtt::codec::{Acknowledgement, Packet, QualityOfService, ReasonCode};

use crate::admin::{Rig, ask, samples};
use crate::harness::{Tidegate, eventually, free_address, thread};
use crate::mqtt_sessions::{Receiver, Sender, Session, Wire};
use crate::upgrade::Successor;

/// A broker's address and state, which outlive its processes.
struct Broker {
    listen: SocketAddr,
    data: TempDir,
    durability: &'static str,
}

impl Broker {
    fn new(durability: &'static str) -> Self {
        Self {
            listen: free_address(),
            data: tempfile::tempdir().unwrap(),
            durability,
        }
    }

    fn settings(&self, workers: usize) -> String {
        format!(
            r#"
[runtime]
workers = {workers}
pin = false
[servers.broker]
protocol = "mqtt"
listen = "{}"
drain = "5s"
durability = "{}"
data_directory = "{}"
"#,
            self.listen,
            self.durability,
            self.data.path().display()
        )
    }

    fn start(&self, workers: usize) -> Tidegate {
        Tidegate::start(&self.settings(workers))
    }

    fn connect(&self, id: &str) -> (Wire, Session) {
        Wire::connect_eventually(self.listen, id)
    }

    /// Connects at the first attempt.
    fn connect_at_once(&self, id: &str) -> (Wire, Session) {
        let connected = Wire::connect(self.listen, id);
        connected.unwrap_or_else(|error| panic!("{id} was not let in: {error}"))
    }

    /// Makes a session that gets what is published to `filter`.
    fn subscribe(&self, id: &str, filter: &str) {
        let (mut wire, session) = self.connect(id);
        assert_eq!(session, Session::New);
        assert_eq!(wire.subscribe(filter), ReasonCode::GrantedQos2);
    }
}

/// Kills the process again and again while messages are published and delivered.
fn killed_under_load(durability: &'static str, qos: QualityOfService, rounds: usize) {
    let broker = Broker::new(durability);
    let mut process = broker.start(2);
    broker.subscribe("receiver", "load/#");
    let is_over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let (is_over, acknowledged) = (Arc::clone(&is_over), Arc::clone(&acknowledged));
            let address = broker.listen;
            thread("sender", move || {
                let topic = format!("load/{number}");
                let mut sender = Sender::new(&format!("sender-{number}"), &topic, qos);
                sender.run(address, |count| {
                    acknowledged.fetch_max(count, Ordering::Relaxed);
                    is_over.load(Ordering::Relaxed)
                });
                (topic, sender)
            })
        })
        .collect();
    let all_sent = Arc::new(AtomicBool::new(false));
    let receiver = {
        let (all_sent, address) = (Arc::clone(&all_sent), broker.listen);
        thread("receiver", move || {
            let mut receiver = Receiver::new("receiver");
            receiver.run(address, || all_sent.load(Ordering::Relaxed));
            receiver
        })
    };
    for round in 0..rounds {
        let before = acknowledged.load(Ordering::Relaxed);
        eventually("acknowledgements", || {
            let more = acknowledged.load(Ordering::Relaxed) - before;
            (more > 50 + round * 7).then_some(())
        });
        // Ends it by SIGKILL.
        drop(process);
        process = broker.start(2);
    }
    is_over.store(true, Ordering::Relaxed);
    let senders: Vec<_> = senders.into_iter().map(|it| it.join().unwrap()).collect();
    all_sent.store(true, Ordering::Relaxed);
    let receiver = receiver.join().unwrap();
    for (topic, sender) in &senders {
        let got = &receiver.got[topic];
        for number in &sender.acknowledged {
            let times = got.get(number).copied().unwrap_or(0);
            assert!(times > 0, "{topic} {number} was acknowledged and is lost");
            if qos == QualityOfService::ExactlyOnce {
                assert_eq!(times, 1, "{topic} {number} came more than once");
            }
        }
    }
    process.stop();
}

#[test]
fn killed_again_and_again_no_acknowledged_message_of_qos_1_is_lost() {
    killed_under_load("os", QualityOfService::AtLeastOnce, 10);
}

#[test]
fn killed_again_and_again_each_message_of_qos_2_comes_exactly_once() {
    killed_under_load("os", QualityOfService::ExactlyOnce, 10);
}

#[test]
fn killed_under_load_with_fsync_no_acknowledged_message_is_lost() {
    killed_under_load("fsync", QualityOfService::AtLeastOnce, 3);
}

/// The payloads of what a session is sent at QoS 1 until nothing more comes.
fn drained(wire: &mut Wire) -> Vec<String> {
    let mut payloads = Vec::new();
    while let Some(packet) = wire.receive().unwrap() {
        if let Packet::Publish(publish) = packet {
            payloads.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            let id = publish.delivery.packet_identifier().unwrap();
            let ack = Acknowledgement::success(id);
            wire.send(&Packet::PublishAck(ack)).unwrap();
        }
    }
    payloads
}

#[test]
fn sessions_and_retained_messages_are_found_by_any_number_of_workers() {
    let broker = Broker::new("os");
    let process = broker.start(2);
    let names: Vec<_> = (0..8).map(|number| format!("client-{number}")).collect();
    for name in &names {
        broker.subscribe(name, "news/+");
    }
    let (mut sender, _) = broker.connect("sender");
    assert_eq!(
        sender.publish("kept", "retained", true),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(
        sender.publish("news/1", "first", false),
        ReasonCode::Success
    );
    drop((sender, process));
    for (workers, payload) in [(1, "second"), (3, "third"), (2, "fourth")] {
        let process = broker.start(workers);
        let (mut sender, session) = broker.connect("sender");
        assert_eq!(session, Session::Present);
        // The subscriptions are in force from the first message on.
        assert_eq!(
            sender.publish("news/1", payload, false),
            ReasonCode::Success
        );
        drop((sender, process));
    }
    let mut process = broker.start(2);
    for name in &names {
        let (mut wire, session) = broker.connect(name);
        assert_eq!(session, Session::Present);
        assert_eq!(
            drained(&mut wire),
            ["first", "second", "third", "fourth"],
            "{name}"
        );
    }
    let (mut wire, _) = broker.connect("late");
    assert_eq!(wire.subscribe("kept"), ReasonCode::GrantedQos2);
    assert_eq!(drained(&mut wire), ["retained"]);
    process.stop();
}

#[test]
fn while_files_may_not_grow_publishes_are_refused_and_afterwards_taken() {
    let broker = Broker::new("os");
    let mut process = Tidegate::start_with_limits(&broker.settings(2));
    broker.subscribe("receiver", "news");
    let (mut sender, _) = broker.connect("sender");
    assert_eq!(sender.publish("news", "before", false), ReasonCode::Success);
    // As on a full disk, but for the error's number.
    process.limit_files(Some(0));
    for _ in 0..20 {
        let refused = sender.publish("news", "refused", false);
        assert_eq!(refused, ReasonCode::QuotaExceeded);
    }
    process.limit_files(None);
    eventually("room again", || {
        (sender.publish("news", "after", false) == ReasonCode::Success).then_some(())
    });
    drop(sender);
    // Killed: what was acknowledged is in the store for certain.
    drop(process);
    process = broker.start(2);
    let (mut wire, session) = broker.connect("receiver");
    assert_eq!(session, Session::Present);
    let got = drained(&mut wire);
    assert_eq!(got.first().map(String::as_str), Some("before"), "{got:?}");
    assert_eq!(got.last().map(String::as_str), Some("after"), "{got:?}");
    // One may have been on its way to the disk when it was full; it was refused only.
    let refused = got.iter().filter(|payload| *payload == "refused").count();
    assert!(refused <= 2, "{got:?}");
    assert!(
        process
            .logged("the end of a journal is damaged and was set aside; what it said is lost")
            .is_empty()
    );
    process.stop();
}

#[test]
fn what_another_worker_cannot_store_is_refused_and_not_waited_for() {
    let broker = Broker::new("os");
    let mut process = Tidegate::start_with_limits(&broker.settings(2));
    // The sender's worker has nothing to store.
    broker.subscribe(&at_home(1, "receiver"), "news");
    let (mut sender, _) = broker.connect(&at_home(0, "sender"));
    assert_eq!(sender.publish("news", "before", false), ReasonCode::Success);
    process.limit_files(Some(0));
    for _ in 0..5 {
        let refused = sender.publish("news", "refused", false);
        assert_eq!(refused, ReasonCode::QuotaExceeded);
    }
    process.limit_files(None);
    eventually("room again", || {
        (sender.publish("news", "after", false) == ReasonCode::Success).then_some(())
    });
    process.stop();
}

/// A figure of the broker's store.
fn figure(admin: SocketAddr, name: &str) -> f64 {
    let metrics = samples(&ask(admin, "GET", "/metrics", "").body);
    metrics[&format!("tidegate_mqtt_store_{name}{{server=\"broker\"}}")]
}

#[test]
fn metrics_tell_what_the_store_has_written_and_what_it_could_not() {
    let (broker, admin) = (Broker::new("os"), free_address());
    let settings = broker.settings(2) + &format!("[admin]\nlisten = \"{admin}\"\n");
    let mut process = Tidegate::start_with_limits(&settings);
    // All on one worker: another would have nothing to write, and hear of nothing.
    let topic = at_home(0, "news");
    broker.subscribe(&at_home(0, "receiver"), &topic);
    let (mut sender, _) = broker.connect(&at_home(0, "sender"));
    let payload = "x".repeat(5_000);
    assert_eq!(sender.publish(&topic, &payload, false), ReasonCode::Success);
    let (commits, writes) = (
        figure(admin, "commits_total"),
        figure(admin, "writes_total"),
    );
    assert!(writes >= 1.0 && commits >= writes, "{commits} {writes}");
    assert!(figure(admin, "written_bytes_total") > 5_000.0);
    assert_eq!(figure(admin, "failures_total"), 0.0);
    assert_eq!(figure(admin, "records_set_aside_total"), 0.0);
    process.limit_files(Some(0));
    let refused = sender.publish(&topic, "refused", false);
    assert_eq!(refused, ReasonCode::QuotaExceeded);
    assert!(figure(admin, "failures_total") >= 1.0);
    // Nor does whoever runs the broker hear that it was published.
    let publish = |what: &str| {
        ask(
            admin,
            "POST",
            &format!("/mqtt/publish?topic={topic}&{what}"),
            "",
        )
    };
    assert_eq!(publish("qos=1").status, 507);
    assert_eq!(publish("retain=true").status, 507);
    assert_eq!(publish("qos=0").status, 200);
    assert!(figure(admin, "waiting_commits") >= 1.0);
    process.limit_files(None);
    eventually("room again", || {
        (sender.publish(&topic, "after", false) == ReasonCode::Success).then_some(())
    });
    eventually("nothing waits", || {
        (figure(admin, "waiting_commits") == 0.0).then_some(())
    });
    let before = figure(admin, "commits_total");
    assert_eq!(publish("qos=1").status, 200);
    assert!(figure(admin, "commits_total") > before, "and it is written");
    process.stop();
}

/// A name whose session is on this of two workers.
fn at_home(worker: u8, name: &str) -> String {
    (0..)
        .map(|number| format!("{name}-{number}"))
        .find(|id| shard_of(id, 2) == ShardId(worker))
        .unwrap()
}

#[test]
fn a_worker_that_dies_has_its_sessions_again_and_gets_messages_of_the_others() {
    let broker = Broker::new("os");
    let settings = broker.settings(2);
    let rig = Rig::with("drills = true\n", &settings);
    let (receiver, sender) = (at_home(1, "receiver"), at_home(0, "sender"));
    broker.subscribe(&receiver, "news");
    let (mut wire, _) = broker.connect(&sender);
    assert_eq!(wire.publish("news", "one", false), ReasonCode::Success);
    let reply = rig.ask("POST", "/drill?worker=1", "");
    assert_eq!(reply.status, 202, "{}", reply.body);
    rig.process.next("a worker died and is started again");
    // What was on its way to the dead worker is refused, and a connection that it had
    // accepted is gone.
    eventually("an acknowledgement", || {
        let (mut wire, session) = broker.connect(&sender);
        assert_eq!(session, Session::Present);
        (wire.try_publish("news", "two").ok()? == ReasonCode::Success).then_some(())
    });
    let (mut wire, session) = broker.connect(&receiver);
    assert_eq!(session, Session::Present);
    let got = drained(&mut wire);
    assert_eq!(got.first().map(String::as_str), Some("one"), "{got:?}");
    assert_eq!(got.last().map(String::as_str), Some("two"), "{got:?}");
}

#[test]
fn an_upgrade_takes_over_the_store_and_refuses_nobody_meanwhile() {
    let (broker, admin) = (Broker::new("os"), free_address());
    let settings = broker.settings(2) + &format!("[admin]\nlisten = \"{admin}\"\n");
    let mut process = Tidegate::start(&settings);
    broker.subscribe("reader", "news");
    let (mut sender, _) = broker.connect("sender");
    assert_eq!(sender.publish("news", "before", false), ReasonCode::Success);
    drop(sender);
    let reply = ask(admin, "POST", "/upgrade", "").json();
    let pid = i32::try_from(reply["pid"].as_i64().expect("a process")).unwrap();
    let successor = Successor(pid);
    // Before or after the old one is gone: who connects is served, at the latest by the other.
    // By the old one it may be sent away before it has published anything.
    eventually("an acknowledgement", || {
        let (mut sender, session) = broker.connect_at_once("sender");
        assert_eq!(session, Session::Present);
        (sender.try_publish("news", "after").ok()? == ReasonCode::Success).then_some(())
    });
    assert_eq!(process.ended().code(), Some(0));
    let (mut reader, session) = broker.connect("reader");
    assert_eq!(session, Session::Present);
    let mut got = drained(&mut reader);
    got.dedup();
    assert_eq!(got, ["before", "after"]);
    drop(reader);
    successor.stop();
}

/// How many clients come and go during an upgrade, as fast as they can: at any moment some are
/// about to say who they are, and some have just.
const COMERS: usize = 4;

#[test]
fn whoever_comes_during_an_upgrade_is_let_in_with_its_first_connect() {
    let (broker, admin) = (Broker::new("os"), free_address());
    let settings = broker.settings(2) + &format!("[admin]\nlisten = \"{admin}\"\n");
    let mut process = Tidegate::start(&settings);
    let broker = Arc::new(broker);
    let is_over = Arc::new(AtomicBool::new(false));
    let counts: Vec<_> = (0..COMERS).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let comers: Vec<_> = (0..COMERS)
        .map(|number| {
            let id = format!("comer-{number}");
            broker.subscribe(&id, "news");
            let (broker, is_over) = (Arc::clone(&broker), Arc::clone(&is_over));
            let count = Arc::clone(&counts[number]);
            thread("comer", move || {
                while !is_over.load(Ordering::Relaxed) {
                    let (_wire, session) = broker.connect_at_once(&id);
                    assert_eq!(session, Session::Present, "{id} was forgotten");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let all_come = |what: &str| {
        let before: Vec<_> = counts.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        eventually(what, || {
            let mut both = counts.iter().zip(&before);
            let came = both.all(|(count, before)| count.load(Ordering::Relaxed) > before + 3);
            let failed = comers.iter().any(|comer| comer.is_finished());
            (came || failed).then_some(())
        });
    };
    all_come("clients at the old process");
    let reply = ask(admin, "POST", "/upgrade", "").json();
    let pid = i32::try_from(reply["pid"].as_i64().expect("a process")).unwrap();
    let successor = Successor(pid);
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
    all_come("clients at the new process");
    is_over.store(true, Ordering::Relaxed);
    comers.into_iter().for_each(|comer| comer.join().unwrap());
    successor.stop();
}

fn journal(data: &Path) -> PathBuf {
    let entries = fs::read_dir(data.join("store")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let journals = paths.filter(|path| path.extension().is_some_and(|it| it == "jnl"));
    journals.max().unwrap()
}

#[test]
fn a_damaged_tail_is_reported_and_the_broker_starts() {
    let broker = Broker::new("os");
    let process = broker.start(2);
    broker.subscribe("receiver", "news");
    let (mut sender, _) = broker.connect("sender");
    assert_eq!(sender.publish("news", "kept", false), ReasonCode::Success);
    drop((sender, process));
    let path = journal(broker.data.path());
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end + 10..end + 20].fill(0xa5);
    fs::write(&path, bytes).unwrap();

    let admin = free_address();
    let settings = broker.settings(2) + &format!("[admin]\nlisten = \"{admin}\"\n");
    let mut process = Tidegate::start(&settings);
    assert!(figure(admin, "damaged_bytes_total") > 0.0);
    process.next("the end of a journal is damaged and was set aside; what it said is lost");
    let (mut wire, session) = broker.connect("receiver");
    assert_eq!(session, Session::Present);
    assert_eq!(drained(&mut wire), ["kept"]);
    process.stop();
}

#[test]
fn a_directory_of_two_servers_is_refused_and_so_is_another_directory() {
    let broker = Broker::new("os");
    let mut process = broker.start(1);
    let text = broker.settings(1);
    let other = free_address();
    let second = text[text.find("[servers.broker]").unwrap()..]
        .replace("[servers.broker]", "[servers.second]")
        .replace(&broker.listen.to_string(), &other.to_string());
    let error = process.update_refused(&format!("{text}\n{second}"));
    assert!(error.contains("in use by another server"), "{error}");
    let error = process.update_refused(&text.replace("\"os\"", "\"fsync\""));
    assert!(
        error.contains("cannot change while the server runs"),
        "{error}"
    );
    // Whoever was there is served still.
    broker.subscribe("receiver", "news");
    process.stop();
}

#[test]
fn a_worker_that_dies_while_messages_change_hands_costs_none_of_them() {
    const MESSAGES: usize = 2_000;
    let broker = Broker::new("os");
    let rig = Rig::with("drills = true\n", &broker.settings(2));
    let (away, comer) = (at_home(0, "away"), at_home(1, "comer"));
    broker.subscribe(&away, "$share/group/news");
    let (mut sender, _) = broker.connect(&at_home(0, "sender"));
    for number in 0..MESSAGES {
        let reason = sender.publish("news", &number.to_string(), false);
        assert_eq!(reason, ReasonCode::Success);
    }
    // Who comes is handed all that waits for who is away; meanwhile its worker dies.
    let (mut wire, _) = broker.connect(&comer);
    let subscribing = thread("comer", move || {
        // Its connection may end before it hears of it.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wire.subscribe("$share/group/news")
        }));
    });
    let reply = rig.ask("POST", "/drill?worker=1", "");
    assert_eq!(reply.status, 202, "{}", reply.body);
    rig.process.next("a worker died and is started again");
    subscribing.join().unwrap();
    let mut got = std::collections::BTreeSet::new();
    eventually("every message", || {
        for id in [&away, &comer] {
            let (mut wire, _) = broker.connect(id);
            got.extend(drained(&mut wire));
        }
        (got.len() == MESSAGES).then_some(())
    });
}
