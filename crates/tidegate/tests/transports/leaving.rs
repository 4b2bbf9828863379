//! How a broker ends: nobody new comes in, everybody gets what was sent to him, then is
//! told to go, and not all at once, for they come back somewhere else.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::process::Signal;
use tidegate_mqtt::codec::{
    Decoder, PACKET_BYTES_LARGEST, Packet, ProtocolVersion, QualityOfService, ReasonCode,
};

use crate::harness::{DEADLINE, Tidegate, free_address};
use crate::mqtt::{Client, tcp};

const CLIENTS: usize = 500;
const PER_SECOND: usize = 250;

/// A subscriber that is looked at without waiting.
struct Subscriber {
    stream: TcpStream,
    decoder: Decoder,
    unread: BytesMut,
    heard: usize,
    told: Option<Instant>,
    ended: bool,
}

impl Subscriber {
    fn new(listen: SocketAddr, number: usize) -> Self {
        let stream = tcp(listen);
        let mut client =
            Client::connected(stream.try_clone().unwrap(), &format!("subscriber-{number}"));
        client.subscribe("last/#", QualityOfService::AtLeastOnce);
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            decoder: Decoder::client(ProtocolVersion::V5, PACKET_BYTES_LARGEST),
            unread: BytesMut::new(),
            heard: 0,
            told: None,
            ended: false,
        }
    }

    /// Takes what has come. A reset instead of an end is a failure.
    fn look(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("not in order: {error}"),
            }
            while let Some(packet) = self.decoder.decode(&mut self.unread).unwrap() {
                assert_eq!(self.told, None, "nothing comes behind DISCONNECT");
                match packet {
                    Packet::Publish(_) => self.heard += 1,
                    Packet::Disconnect(last) => {
                        assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
                        self.told = Some(Instant::now());
                    }
                    other => panic!("not expected: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn paced_drain_rate_bounded() {
    let listen = free_address();
    let mut process = Tidegate::start(&format!(
        "[runtime]\nworkers = 2\npin = false\n[servers.broker]\nprotocol = \"mqtt\"\n\
         listen = \"{listen}\"\ndrain = \"20s\"\n\
         limits = {{ disconnects_per_second = {PER_SECOND} }}\n"
    ));
    let mut sender = Client::connected(tcp(listen), "sender");
    let mut subscribers: Vec<_> = (0..CLIENTS).map(|at| Subscriber::new(listen, at)).collect();
    // Every worker knows of every subscriber when all have heard one message.
    let begun = Instant::now();
    let mut rounds = 0;
    while subscribers.iter().any(|it| it.heard == 0) {
        assert!(begun.elapsed() < DEADLINE, "a first message");
        sender.publish("last/first", "first");
        rounds += 1;
        subscribers.iter_mut().for_each(Subscriber::look);
    }
    assert!(rounds > 0);
    let before: Vec<_> = {
        // All of the first have come when their last has.
        sender.publish("last/fence", "fence");
        subscribers.iter().map(|it| it.heard).collect()
    };

    for number in 0..20 {
        sender.publish("last/words", format!("{number}"));
    }
    process.signal(Signal::TERM);
    let begun = Instant::now();
    let mut refused = false;
    while !subscribers.iter().all(|it| it.ended) {
        assert!(begun.elapsed() < DEADLINE, "the end of all connections");
        subscribers.iter_mut().for_each(Subscriber::look);
        if !refused && subscribers.iter().any(|it| it.told.is_some()) {
            // Accepting has stopped before anybody is told.
            refused = TcpStream::connect(listen).is_err();
            assert!(refused, "a newcomer is accepted");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(refused);

    let mut told: Vec<_> = subscribers
        .iter()
        .map(|it| it.told.unwrap() - begun)
        .collect();
    told.sort();
    let most = told.iter().enumerate().map(|(at, start)| {
        let end = *start + Duration::from_secs(1);
        told[at..].iter().take_while(|it| **it < end).count()
    });
    let most = most.max().unwrap();
    // What is late because the machine is busy comes together with what is not.
    assert!(most <= PER_SECOND * 3 / 2, "{most} in a second");
    let whole = *told.last().unwrap() - told[0];
    assert!(whole >= Duration::from_millis(1500), "all within {whole:?}");
    for (subscriber, before) in subscribers.iter().zip(before) {
        let heard = subscriber.heard - before;
        assert!(heard >= 20, "{heard} of the last words");
    }
    drop((subscribers, sender));
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
    let stopped = process.logged("stopped");
    assert_eq!(stopped[0]["dropped"], 0, "{stopped:?}");
}
