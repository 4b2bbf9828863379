//! An `axum::Router` as the last service of a chain, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body::Frame;
use tidegate_http::server::{HttpServerFactory, ServerSettings};
use tidegate_orchestrator::{Change, RuntimeConfig, WorkerManager};
use tidegate_runtime::io::PeerAddr;
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_tower::http::{Connection, TowerHandlerFactory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

type Chain = HttpServerFactory<TowerHandlerFactory<Router>>;

/// What the application keeps: shared by its routers, old and new.
type Visits = Arc<AtomicU32>;

/// One chunk, and then an error.
struct Broken(bool);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(Some(match std::mem::replace(&mut self.0, true) {
            false => Ok(Frame::data("half".into())),
            true => Err("broke"),
        }))
    }
}

fn router(name: &'static str, visits: &Visits) -> Router {
    let visit = async move |State(visits): State<Visits>| {
        format!("{name} {}", visits.fetch_add(1, Ordering::Relaxed) + 1)
    };
    Router::new()
        .route("/visit", get(visit))
        .route(
            "/echo",
            post(async |request: Request| Response::new(request.into_body())),
        )
        .route("/text", post(async |text: String| text))
        .route("/unread", post(async || "no, thanks"))
        .route(
            "/broken",
            get(async || Response::new(Body::new(Broken(false)))),
        )
        .route("/who", get(who))
        .with_state(visits.clone())
}

async fn who(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    ConnectInfo(peer): ConnectInfo<PeerAddr>,
    Extension(connection): Extension<Connection>,
) -> String {
    format!(
        "{address} {peer} {} {}",
        connection.peer, connection.generation
    )
}

struct Served {
    manager: WorkerManager<Chain, ListenerBuilder>,
    address: SocketAddr,
}

impl Served {
    async fn start(router: Router) -> Self {
        let mut manager = WorkerManager::new(RuntimeConfig::of_workers(1));
        manager.spawn_workers_async();
        manager.apply(vec![change(router)]).await.unwrap();
        let address = manager.local_addresses("web")[0].tcp().unwrap();
        Self { manager, address }
    }

    async fn connect(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    async fn stop(self) {
        let report = self.manager.shutdown(Duration::from_secs(5)).await;
        assert_eq!(report.connections_dropped, 0);
    }
}

fn change(router: Router) -> Change<Chain, ListenerBuilder> {
    let handlers = TowerHandlerFactory::new(router);
    let chain = HttpServerFactory::new(ServerSettings::default(), handlers);
    Change::deploy("web", chain, "127.0.0.1:0".try_into().unwrap())
}

struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Takes what comes up to and including `end`.
    async fn take(&mut self, end: &str) -> String {
        let find = |read: &[u8]| read.windows(end.len()).position(|it| it == end.as_bytes());
        timeout(PATIENCE, async {
            loop {
                if let Some(start) = find(&self.read) {
                    let rest = self.read.split_off(start + end.len());
                    let taken = std::mem::replace(&mut self.read, rest);
                    return String::from_utf8(taken).unwrap();
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap();
                assert!(
                    count > 0,
                    "{end:?} never came: {}",
                    String::from_utf8_lossy(&self.read)
                );
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{end:?} does not come"))
    }

    async fn rest(&mut self) -> String {
        let ended = timeout(PATIENCE, self.stream.read_to_end(&mut self.read)).await;
        // A connection that was broken off ends in an error, which is an end all the same.
        let _ = ended.expect("the connection ends");
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Asks for a page on this connection and gives its text.
    async fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let head = self.take("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        while self.read.len() < length {
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0);
        }
        let rest = self.read.split_off(length);
        String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap()
    }
}

const POST_ECHO: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\
                         Transfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn bodies_stream_both_ways_and_an_update_lets_them_finish() {
    let visits = Visits::default();
    let served = Served::start(router("first", &visits)).await;
    let mut early = served.connect().await;
    assert_eq!(early.get("/visit").await, "first 1");

    // Each chunk comes back before the next one is sent: nothing waits for the whole body.
    early.send(POST_ECHO).await;
    let head = {
        early.send("5\r\nhello\r\n").await;
        early.take("5\r\nhello\r\n").await
    };
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    served
        .manager
        .apply(vec![change(router("second", &visits))])
        .await
        .unwrap();
    let mut late = served.connect().await;
    assert_eq!(late.get("/visit").await, "second 2");

    early.send("6\r\n world\r\n").await;
    assert_eq!(early.take("6\r\n world\r\n").await, "6\r\n world\r\n");
    early.send("0\r\nsum: 11\r\n\r\n").await;
    assert_eq!(early.take("\r\n\r\n").await, "0\r\nsum: 11\r\n\r\n");
    drop((early, late));
    served.stop().await;
}

#[tokio::test]
async fn handlers_know_who_asks() {
    let served = Served::start(router("web", &Visits::default())).await;
    let mut client = served.connect().await;
    let own = client.stream.local_addr().unwrap();
    assert_eq!(client.get("/who").await, format!("{own} {own} {own} 1"));
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn bodies_stream_both_ways_in_http2() {
    let served = Served::start(router("web", &Visits::default())).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let conversation = async {
        let request = Request::post("http://a/echo").body(()).unwrap();
        let (response, mut sending) = client.send_request(request, false).unwrap();
        sending.send_data("one".into(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "one");
        sending.send_data("two".into(), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "two");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("sum", 2.into());
        sending.send_trailers(trailers.clone()).unwrap();
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.unwrap(), Some(trailers));
    };
    tokio::select! {
        ended = connection => panic!("the connection ended: {ended:?}"),
        talked = timeout(PATIENCE, conversation) => talked.unwrap(),
    }
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_for_leave_gets_it_when_the_body_is_read_and_not_before() {
    let served = Served::start(router("web", &Visits::default())).await;
    let expecting = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
    };
    let mut client = served.connect().await;
    client.send(&expecting("/text")).await;
    assert_eq!(
        client.take("\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hi").await;
    assert!(client.take("\r\n\r\nhi").await.starts_with("HTTP/1.1 200"));

    let mut client = served.connect().await;
    client.send(&expecting("/unread")).await;
    assert!(client.take("no, thanks").await.starts_with("HTTP/1.1 200"));
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_ends_the_response_and_only_that() {
    let served = Served::start(router("web", &Visits::default())).await;
    let mut client = served.connect().await;
    client.send("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = client.rest().await;
    assert!(
        !response.ends_with("0\r\n\r\n"),
        "passed for whole: {response}"
    );

    let mut other = served.connect().await;
    assert_eq!(other.get("/visit").await, "web 1");
    drop(other);
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_fails_its_request_only() {
    let served = Served::start(router("web", &Visits::default())).await;
    let mut client = served.connect().await;
    client
        .send("POST /text HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        .await;
    let response = client.rest().await;
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");

    let mut other = served.connect().await;
    assert_eq!(other.get("/visit").await, "web 1");
    drop(other);
    served.stop().await;
}
