//! MQTT clients of the real binary notice no update, and are told of a stop.

use std::net::SocketAddr;

use rustix::process::Signal;
use tidegate_mqtt::codec::{Packet, ReasonCode};

use crate::harness::{Tidegate, eventually, free_address};
use crate::mqtt_client::Client;

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
limits = {{ connections = {connections} }}
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
