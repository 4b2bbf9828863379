//! MQTT clients of the real binary notice no update, and are told of a stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tidegate_mqtt::codec::{Packet, QualityOfService, ReasonCode};

use crate::harness::{Tidegate, eventually, free_address, thread};
use crate::mqtt_client::Client;
use crate::mqtt_sessions::{Receiver, Sender, Wire};

/// What waits for a client that is slower than all others together is not to be dropped.
fn settings(listen: SocketAddr, connections: usize) -> String {
    format!(
        r#"
[runtime]
workers = 2
pin = false
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
drain = "10s"
limits = {{ connections = {connections}, queue_messages = 1000000, queue_bytes = "1GiB" }}
"#
    )
}

#[test]
fn mqtt_clients_stay_through_updates_and_hear_of_the_stop() {
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, 100));
    // Enough that both workers accept some, and have sessions of others.
    let mut clients: Vec<_> = (0..12)
        .map(|number| Client::connect(listen, &format!("client-{number}")))
        .collect();
    for client in &mut clients {
        client.subscribe("news/#");
    }
    let mut sender = Client::connect(listen, "sender");
    // What a subscriber wants takes a moment to be known to the other worker.
    eventually("the first message everywhere", || {
        sender.publish("news/today", "hello");
        let heard = clients.iter_mut().all(|client| {
            client.stream.set_nonblocking(true).unwrap();
            let mut byte = [0];
            let heard = matches!(client.stream.peek(&mut byte), Ok(1));
            client.stream.set_nonblocking(false).unwrap();
            heard
        });
        heard.then_some(())
    });

    for round in 0..3 {
        process.update(&settings(listen, 200 + round));
        let text = format!("round {round}");
        sender.publish("news/today", &text);
        for client in &mut clients {
            loop {
                match client.receive() {
                    Some(Packet::Publish(publish)) if publish.payload == "hello" => {}
                    Some(Packet::Publish(publish)) => break assert_eq!(publish.payload, text),
                    other => panic!("a message is awaited, not {other:?}"),
                }
            }
        }
        // New ones come in as well.
        drop(Client::connect(listen, &format!("late-{round}")));
    }

    process.signal(Signal::TERM);
    for client in clients.iter_mut().chain([&mut sender]) {
        match client.receive() {
            Some(Packet::Disconnect(last)) => {
                assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
            }
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        }
        assert_eq!(client.receive(), None);
    }
    drop((clients, sender));
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
}

/// How often the settings change, and how many times.
const PACE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 10;

#[test]
fn settings_that_change_every_200_ms_cost_a_loaded_broker_no_connection_and_no_message() {
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, 100));
    let (mut wire, _) = Wire::connect_eventually(listen, "receiver");
    assert_eq!(wire.subscribe("load/#"), ReasonCode::GrantedQos2);
    drop(wire);
    let is_over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let qualities = [
        QualityOfService::AtLeastOnce,
        QualityOfService::ExactlyOnce,
        QualityOfService::AtLeastOnce,
        QualityOfService::ExactlyOnce,
    ];
    let senders = qualities.into_iter().enumerate().map(|(number, qos)| {
        let (is_over, acknowledged) = (Arc::clone(&is_over), Arc::clone(&acknowledged));
        thread("sender", move || {
            let topic = format!("load/{number}");
            let mut sender = Sender::new(&format!("sender-{number}"), &topic, qos);
            sender.run(listen, |count| {
                acknowledged.fetch_max(count, Ordering::Relaxed);
                is_over.load(Ordering::Relaxed)
            });
            (topic, sender)
        })
    });
    let senders: Vec<_> = senders.collect();
    let all_sent = Arc::new(AtomicBool::new(false));
    let receiver = {
        let all_sent = Arc::clone(&all_sent);
        thread("receiver", move || {
            let mut receiver = Receiver::new("receiver");
            receiver.run(listen, || all_sent.load(Ordering::Relaxed));
            receiver
        })
    };
    for round in 0..ROUNDS {
        let before = acknowledged.load(Ordering::Relaxed);
        process.update(&settings(listen, 200 + round));
        std::thread::sleep(PACE);
        eventually("acknowledgements", || {
            (acknowledged.load(Ordering::Relaxed) > before).then_some(())
        });
    }
    is_over.store(true, Ordering::Relaxed);
    let senders: Vec<_> = senders.into_iter().map(|it| it.join().unwrap()).collect();
    all_sent.store(true, Ordering::Relaxed);
    let receiver = receiver.join().unwrap();
    assert_eq!(receiver.connections, 1);
    for (topic, sender) in &senders {
        assert_eq!(sender.connections, 1, "{topic}");
        let got = receiver.got[topic].iter();
        let once = got.filter(|(_, times)| **times == 1).count();
        assert_eq!(once, sender.acknowledged.len(), "{topic}");
    }
    process.stop();
}
