#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::*;
use crate::local::block_on;

const LONG: RelayLimits = RelayLimits {
    idle: Duration::from_secs(60),
    total: None,
};

/// A peer and our end of the connection to it.
async fn pair() -> (TcpStream, Io) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).await;
    (
        far.unwrap(),
        Io::from_tcp(listener.accept().await.unwrap().0),
    )
}

#[test]
fn a_side_that_has_finished_sending_still_receives() {
    block_on(async {
        let ((mut client, first), (mut server, second)) = (pair().await, pair().await);
        let relaying = spawn_local(async move {
            let mut relay = Relay::new(first, second);
            relay.run(&LONG).await.map(|()| relay.relayed())
        });
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = Vec::new();
        server.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        server.write_all(b"the answer").await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"the answer");
        let relayed = relaying.await.unwrap().unwrap();
        assert_eq!((relayed.forth_bytes, relayed.back_bytes), (8, 10));
    });
}

#[test]
fn a_reset_is_not_passed_on_as_an_end() {
    block_on(async {
        let ((mut client, first), (mut server, second)) = (pair().await, pair().await);
        let relaying = spawn_local(async move { Relay::new(first, second).run(&LONG).await });
        server.write_all(b"half of i").await.unwrap();
        let mut half = [0; 9];
        client.read_exact(&mut half).await.unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        let failure = client.read(&mut half).await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionReset);
        assert!(matches!(
            relaying.await.unwrap(),
            Err(RelayError::Second(_))
        ));
    });
}

#[test]
fn silence_and_length_are_bounded_and_traffic_puts_off_the_first_alone() {
    block_on(async {
        let ((mut client, first), (mut server, second)) = (pair().await, pair().await);
        let limits = RelayLimits {
            idle: Duration::from_millis(400),
            total: Some(Duration::from_millis(900)),
        };
        let relaying = spawn_local(async move { Relay::new(first, second).run(&limits).await });
        // Talks until it is cut: idle it never is.
        let mut byte = [0];
        while client.write_all(b"x").await.is_ok() {
            match server.read(&mut byte).await {
                Ok(1) => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => break,
            }
        }
        assert!(matches!(relaying.await.unwrap(), Err(RelayError::Overdue)));

        let ((_client, first), (_server, second)) = (pair().await, pair().await);
        let ended = Relay::new(first, second).run(&limits).await;
        assert!(matches!(ended, Err(RelayError::Idle)));
    });
}
