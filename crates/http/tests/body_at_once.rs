//! How many reads a request body takes, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http_body_util::BodyExt;
use tidegate_http::body::Body;
use tidegate_http::exchange::Exchange;
use tidegate_http::fault::Fault;
use tidegate_http::message::Response;
use tidegate_http::server::{HttpServer, ServerSettings};
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::io::{Io, PeerAddr};
use tidegate_runtime::local;
use tidegate_service::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers with the number of pieces that a request's body came in, and its bytes.
struct CountPieces;

impl Service<Exchange> for CountPieces {
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        let mut body = exchange.request.into_body();
        let (mut pieces, mut bytes) = (0, 0);
        while let Some(frame) = body.frame().await {
            pieces += 1;
            bytes += frame?.data_ref().map_or(0, bytes::Bytes::len);
        }
        Ok(Response::new(Body::from(format!("{pieces} {bytes}"))))
    }
}

/// What the handler says to a request with a body, sent in one write.
async fn post(client: &mut TcpStream, body_bytes: usize) -> String {
    let mut request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {body_bytes}\r\n\r\n");
    request.push_str(&"x".repeat(body_bytes));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&response);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && head.contains(&format!("content-length: {}", body.len()))
        {
            return body.to_owned();
        }
        assert_ne!(client.read_buf(&mut response).await.unwrap(), 0);
    }
}

#[test]
fn a_client_that_sends_bodies_has_them_read_together_with_their_heads() {
    local::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = async {
            let mut client = TcpStream::connect(address).await.unwrap();
            assert_eq!(post(&mut client, 100).await, "1 100");
            // It does not fit into what a head is read into.
            let first = post(&mut client, 10_000).await;
            assert!(first.ends_with(" 10000") && first != "1 10000", "{first}");
            assert_eq!(post(&mut client, 10_000).await, "1 10000");
            assert_eq!(post(&mut client, 20_000).await, "1 20000");
        };
        let server = HttpServer::new(ServerSettings::default(), CountPieces);
        let serve = async {
            let (stream, peer) = listener.accept().await.unwrap();
            let peer = PeerAddr::from(peer);
            let accepted = Accepted {
                io: Io::from_tcp(stream),
                peer,
                local: PeerAddr::from(address),
                handle: Connections::new().register(peer).unwrap(),
            };
            server.call(accepted).await.unwrap();
        };
        let both = async { tokio::join!(client, serve) };
        timeout(PATIENCE, both).await.unwrap();
    });
}
