//! Updates and ends.

use tidegate_runtime::connections::Connections;
use tidegate_runtime::local::block_on;
use tidegate_thrift::codec::{HeaderKey, Protocol, Transport, Wire};
use tidegate_thrift::server::ServerSettings;

use crate::rig::{Client, Doer, FRAMED, Server, call, in_time, serve};

async fn successor(server: &Server, group: &Connections) -> Server {
    group
        .while_made(async { server.successor(ServerSettings::default(), Doer::new("second")) })
        .await
}

#[test]
fn an_update_keeps_every_connection_and_serves_its_next_call_anew() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut idle = Client::connect(rig.address).await;
        let first = idle.ask(&call(FRAMED, "whoami", 1)).await;
        assert_eq!(&*first.envelope.method, "first");
        let mut busy = Client::connect(rig.address).await;
        busy.send(&call(FRAMED, "wait", 1)).await;
        let handler = rig.server.handler();
        in_time(async {
            while handler.calls.get() < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;

        let group = Connections::of_generation(2);
        let second = successor(&rig.server, &group).await;
        rig.connections.drain();
        let answer = idle.ask(&call(FRAMED, "whoami", 2)).await;
        assert_eq!(&*answer.envelope.method, "second");

        // The call that was under way ends where it began; the next one is served anew.
        handler.gate.notify_one();
        let answer = busy.receive().await.unwrap();
        assert_eq!(&*answer.envelope.method, "wait");
        in_time(rig.connections.idle()).await;
        assert_eq!(group.count(), 2);
        let answer = busy.ask(&call(FRAMED, "whoami", 3)).await;
        assert_eq!(&*answer.envelope.method, "second");
        drop(second);
    });
}

#[test]
fn a_successor_that_was_given_up_is_none() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        client.ask(&call(FRAMED, "echo", 1)).await;
        let aborted = Connections::of_generation(2);
        drop(successor(&rig.server, &aborted).await);
        rig.connections.drain();
        client.ask(&call(FRAMED, "echo", 2)).await;
        assert_eq!(client.receive().await, None);
        assert_eq!(aborted.count(), 0);
    });
}

#[test]
fn a_call_under_way_is_answered_before_its_connection_ends() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        client.send(&call(FRAMED, "wait", 1)).await;
        client.send(&call(FRAMED, "echo", 2)).await;
        let handler = rig.server.handler();
        in_time(async {
            while handler.calls.get() < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        rig.connections.hurry();
        handler.gate.notify_one();
        // The one that was sent ahead as well.
        for number in [1, 2] {
            let answer = client.receive().await.unwrap();
            assert_eq!(answer.envelope.sequence_id, number);
        }
        assert_eq!(client.receive().await, None);
        in_time(rig.connections.idle()).await;
    });
}

#[test]
fn idle_connections_end_at_once_when_hurried() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        client.ask(&call(FRAMED, "echo", 1)).await;
        rig.connections.hurry();
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn a_client_with_headers_is_told_that_its_connection_ends() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        let wire = Wire {
            transport: Transport::TtHeader,
            protocol: Protocol::Binary,
        };
        let closing = HeaderKey::Name(b"crrst");
        let answer = client.ask(&call(wire, "echo", 1)).await;
        assert_eq!(answer.headers.unwrap().get(closing), None);
        rig.connections.drain();
        let answer = client.ask(&call(wire, "echo", 2)).await;
        assert_eq!(answer.headers.unwrap().get(closing), Some(&b"1"[..]));
        assert_eq!(client.receive().await, None);
    });
}
