//! The client's end of a connection.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_runtime::io::Io;
use tidegate_runtime::local::block_on;
use tidegate_thrift::FaultKind;
use tidegate_thrift::client::{ClientConnection, ClientSettings, Progress, Readiness};
use tidegate_thrift::codec::{Message, MessageKind, Protocol, Transport, Wire, encode};
use tidegate_thrift::server::ServerSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{FRAMED, call, in_time, serve};

async fn connect(address: SocketAddr) -> ClientConnection {
    ClientConnection::new(Io::connect_tcp(address).await.unwrap())
}

/// A connection, and its other end.
async fn pair() -> (ClientConnection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = connect(listener.local_addr().unwrap()).await;
    (client, listener.accept().await.unwrap().0)
}

fn reply(sequence_id: i32) -> Message {
    let mut reply = call(FRAMED, "echo", sequence_id);
    reply.envelope.kind = MessageKind::Reply;
    reply
}

#[test]
fn a_connection_carries_call_after_call_in_every_transport() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let settings = ClientSettings::default();
        for transport in [
            Transport::Unframed,
            Transport::Framed,
            Transport::TtHeader,
            Transport::TtHeaderFramed,
        ] {
            let mut connection = connect(rig.address).await;
            for number in 0..3 {
                let wire = Wire {
                    transport,
                    protocol: Protocol::Compact,
                };
                let asked = call(wire, "echo", number);
                let answered = in_time(connection.call(&asked, &settings)).await.unwrap();
                assert_eq!(answered.message.unwrap().wire, wire);
                connection = answered.connection.unwrap();
                assert_eq!(connection.readiness(), Readiness::Ready);
            }
            assert_eq!(connection.calls(), 3);
        }
    });
}

#[test]
fn a_one_way_call_waits_for_nothing() {
    block_on(async {
        let (connection, mut server) = pair().await;
        let mut one_way = call(FRAMED, "echo", 1);
        one_way.envelope.kind = MessageKind::OneWay;
        let answered = in_time(connection.call(&one_way, &ClientSettings::default())).await;
        let answered = answered.unwrap();
        assert_eq!(answered.message, None);
        let mut bytes = vec![0; encode(&one_way).unwrap().len()];
        server.read_exact(&mut bytes).await.unwrap();
        // An answer all the same: nobody can use the connection any more.
        let answer = encode(&reply(1)).unwrap();
        server.write_all(&answer).await.unwrap();
        let mut connection = answered.connection.unwrap();
        in_time(async {
            while connection.readiness() == Readiness::Ready {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

#[test]
fn a_broken_connection_says_how_far_the_call_had_come() {
    block_on(async {
        let settings = ClientSettings::default();
        let whole = encode(&reply(1)).unwrap();
        for (answer, progress) in [
            (&whole[..0], Progress::NoAnswer),
            (&whole[..6], Progress::Begun),
        ] {
            let (connection, mut server) = pair().await;
            let asked = call(FRAMED, "echo", 1);
            let calling = connection.call(&asked, &settings);
            let answering = async {
                let mut bytes = vec![0; encode(&asked).unwrap().len()];
                server.read_exact(&mut bytes).await.unwrap();
                server.write_all(answer).await.unwrap();
                drop(server);
            };
            let (called, ()) = in_time(async { tokio::join!(calling, answering) }).await;
            let failure = called.unwrap_err();
            assert_eq!(failure.fault.kind(), FaultKind::UpstreamReset);
            assert_eq!(failure.progress, progress);
        }
    });
}

#[test]
fn the_answer_to_another_call_is_not_taken_for_ones_own() {
    block_on(async {
        let (connection, mut server) = pair().await;
        let answer = encode(&reply(2)).unwrap();
        server.write_all(&answer).await.unwrap();
        let asked = call(FRAMED, "echo", 1);
        let called = in_time(connection.call(&asked, &ClientSettings::default())).await;
        let failure = called.unwrap_err();
        assert_eq!(failure.fault.kind(), FaultKind::UpstreamSequence);
        assert_eq!(failure.progress, Progress::Begun);
    });
}

#[test]
fn a_connection_with_more_than_the_answer_carries_no_other_call() {
    block_on(async {
        let (connection, mut server) = pair().await;
        let answer = encode(&reply(1)).unwrap().repeat(2);
        server.write_all(&answer).await.unwrap();
        let asked = call(FRAMED, "echo", 1);
        let called = in_time(connection.call(&asked, &ClientSettings::default())).await;
        assert!(called.unwrap().connection.is_none());
    });
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    block_on(async {
        let (connection, _server) = pair().await;
        let settings = ClientSettings {
            response_timeout: Duration::from_millis(40),
            ..ClientSettings::default()
        };
        let asked = call(FRAMED, "echo", 1);
        let called = in_time(connection.call(&asked, &settings)).await;
        let failure = called.unwrap_err();
        assert_eq!(failure.fault.kind(), FaultKind::UpstreamTimeout);
        assert_eq!(failure.progress, Progress::Begun);
    });
}
