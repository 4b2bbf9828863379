//! Settings that change every 200 ms under load: nobody is disconnected, no acknowledged
//! message is lost, none comes twice, and all stay in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_mqtt::codec::{Acknowledgement, Delivery, Packet, QualityOfService};

use crate::harness::{Tidegate, free_address, thread};
use crate::mqtt::{Client, published, tcp};

const RELOADS: u32 = 15;
const EVERY: Duration = Duration::from_millis(200);
const PUBLISHERS: usize = 4;
const SUBSCRIBERS: usize = 4;

/// Each time some other limit, and each time another one than before.
fn settings(listen: SocketAddr, round: u32) -> String {
    let (connections, inflight) = (100 + round, 100 + round % 3);
    let packet_kib = 64 + round % 5;
    format!(
        "[runtime]\nworkers = 2\npin = false\n[servers.broker]\nprotocol = \"mqtt\"\n\
         listen = \"{listen}\"\ndrain = \"1s\"\ntimeouts = {{ close = \"{}s\" }}\n\
         limits = {{ connections = {connections}, inflight = {inflight}, \
         packet_bytes = \"{packet_kib}KiB\" }}\n",
        1 + round % 2
    )
}

/// Publishes numbers, each once the one before is acknowledged; how many.
fn publisher(listen: SocketAddr, name: usize, done: Arc<AtomicBool>) -> JoinHandle<u64> {
    thread("publisher", move || {
        let mut client = Client::connected(tcp(listen), &format!("publisher-{name}"));
        let mut number = 0;
        loop {
            let last = done.load(Ordering::Relaxed);
            client.send(&published(
                "load",
                format!("{name} {number} {last}").into(),
                1,
            ));
            match client.receive() {
                Some(Packet::PublishAck(ack)) => assert!(!ack.reason.is_failure(), "{ack:?}"),
                other => panic!("PUBACK is awaited, not {other:?}"),
            }
            number += 1;
            if last {
                return number;
            }
        }
    })
}

/// Reads until the last number of every publisher; which comes next of each, and which
/// came first: what a subscriber wants takes a moment to be known to the other worker.
fn subscriber(mut client: Client) -> BTreeMap<usize, (u64, u64)> {
    let (mut next, mut ended) = (BTreeMap::new(), 0);
    while ended < PUBLISHERS {
        let Some(Packet::Publish(publish)) = client.receive() else {
            panic!("PUBLISH is awaited");
        };
        let text = String::from_utf8(publish.payload.to_vec()).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let (name, number) = (words[0].parse().unwrap(), words[1].parse::<u64>().unwrap());
        let (expected, _) = next.entry(name).or_insert((number, number));
        assert_eq!(number, *expected, "of publisher {name}");
        *expected += 1;
        ended += usize::from(words[2] == "true");
        if let Delivery::AtLeastOnce(packet) = publish.delivery {
            client.send(&Packet::PublishAck(Acknowledgement::success(packet)));
        }
    }
    next
}

#[test]
fn a_reload_every_200_ms_disconnects_nobody_and_loses_nothing() {
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, 0));
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|name| {
            let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
            let running = thread("subscriber", move || {
                let id = format!("subscriber-{name}");
                let mut client = Client::connected(tcp(listen), &id);
                client.subscribe("#", QualityOfService::AtLeastOnce);
                ready.send(()).unwrap();
                subscriber(client)
            });
            is_ready.recv().unwrap();
            running
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|name| publisher(listen, name, Arc::clone(&done)))
        .collect();
    let begun = Instant::now();
    for round in 1..=RELOADS {
        process.update(&settings(listen, round));
        let due = begun + EVERY * round;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    done.store(true, Ordering::Relaxed);
    let sent: BTreeMap<usize, u64> = publishers
        .into_iter()
        .map(|running| running.join().unwrap())
        .enumerate()
        .collect();
    for running in subscribers {
        for (name, (next, first)) in running.join().unwrap() {
            assert_eq!(next, sent[&name], "of publisher {name}");
            assert!(first < next / 4, "from {first} of {next} on");
        }
    }
    let least = sent.values().min().unwrap();
    assert!(*least > u64::from(RELOADS), "there was no load: {sent:?}");
    process.stop();
}
