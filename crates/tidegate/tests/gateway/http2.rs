//! HTTP/2 clients in front of the same chain and HTTP/1.1 upstreams.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::harness::{Authority, DEADLINE, Gate, Gateway, Launch, Origin, ok, proxy_to};

/// Runs a client to its end, or for as long as may be.
fn block_on(client: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let timed = runtime.block_on(async { tokio::time::timeout(DEADLINE, client).await });
    timed.expect("the client is not done in time");
}

struct Client {
    requests: SendRequest<Bytes>,
}

/// A response read to its end.
struct Reply {
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Client {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        // More than one stream's, so that a stream nobody reads holds up no other.
        builder.initial_connection_window_size(1 << 20);
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        // A runtime of one thread: what is spawned ends with the test.
        tokio::task::spawn_local(connection);
        Self { requests }
    }

    async fn plain(gateway: &Gateway) -> Self {
        Self::over(TcpStream::connect(gateway.address()).await.unwrap()).await
    }

    /// Begins a request; with `ends`, there is no body.
    async fn begin(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.requests.poll_ready(cx)).await.unwrap();
        self.requests.send_request(request, ends).unwrap()
    }

    async fn ask(&mut self, request: Request<()>) -> Reply {
        let (response, _) = self.begin(request, true).await;
        whole(response.await.unwrap()).await.unwrap()
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.ask(request("GET", path)).await
    }
}

fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("http://example.com{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

async fn whole(response: Response<RecvStream>) -> Result<Reply, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    Ok(Reply {
        head: Response::from_parts(head, ()),
        body,
        trailers: stream.trailers().await?,
    })
}

/// Sends all of a body, as far as the windows allow at a time.
async fn send_body(stream: &mut SendStream<Bytes>, mut body: Bytes, ends: bool) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = poll_fn(|cx| stream.poll_capacity(cx))
            .await
            .unwrap()
            .unwrap();
        let piece = body.split_to(capacity.min(body.len()));
        stream.send_data(piece, ends && body.is_empty()).unwrap();
    }
}

/// Runs `client` against a gateway in front of `origin`, by prior knowledge.
fn with_client<F: Future<Output = ()>>(
    origin: &Origin,
    more: &str,
    client: impl FnOnce(Client) -> F,
) {
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let local = tokio::task::LocalSet::new();
    block_on(local.run_until(async { client(Client::plain(&gateway).await).await }));
}

#[test]
fn prior_knowledge_reaches_the_same_chain() {
    let origin = Origin::answering(|request| {
        let answer = ok(request.path());
        answer.replacen(
            "\r\n",
            "\r\nConnection: x\r\nX: y\r\nKeep-Alive: a\r\nServer: z\r\n",
            1,
        )
    });
    with_client(&origin, "", async |mut client| {
        let mut asked = request("GET", "/a?b");
        let headers = asked.headers_mut();
        headers.append("cookie", "a=1".parse().unwrap());
        headers.append("cookie", "b=2".parse().unwrap());
        headers.append("te", "trailers".parse().unwrap());
        let reply = client.ask(asked).await;
        assert_eq!(
            (reply.head.status().as_u16(), reply.body.as_slice()),
            (200, b"/a?b".as_slice())
        );
        assert_eq!(reply.head.headers()["content-length"], "4");
        assert_eq!(reply.head.headers()["server"], "z");
        for name in ["connection", "x", "keep-alive", "transfer-encoding"] {
            assert!(!reply.head.headers().contains_key(name), "{name}");
        }
        assert_eq!(client.get("/b").await.body, b"/b");
    });
    let requests = origin.requests();
    let request = &requests[0];
    assert_eq!(request.head.line, "GET /a?b HTTP/1.1");
    assert_eq!(request.field("host"), Some("example.com"));
    assert_eq!(request.field("cookie"), Some("a=1; b=2"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-host"), Some("example.com"));
    assert!(request.field("via").unwrap().starts_with('2'));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn alpn_reaches_the_same_chain() {
    let origin = Origin::named("origin");
    let directory = Arc::new(TempDir::new().unwrap());
    let authority = Authority::new();
    let pair = authority.issue("a.example", directory.path());
    let (chain, key) = (&pair.chain, &pair.key);
    let more =
        format!("[servers.web.tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]");
    let settings = proxy_to(&[origin.address()], &more);
    let gateway = Gateway::launch(&settings, directory, Launch::default());
    let local = tokio::task::LocalSet::new();
    block_on(local.run_until(async {
        let connector = tokio_rustls::TlsConnector::from(authority.client(&["h2"]));
        let name = "a.example".try_into().unwrap();
        let socket = TcpStream::connect(gateway.address()).await.unwrap();
        let stream = connector.connect(name, socket).await.unwrap();
        let mut client = Client::over(stream).await;
        assert_eq!(client.get("/a").await.body, b"origin /a");
    }));
    assert_eq!(
        origin.requests()[0].field("x-forwarded-proto"),
        Some("https")
    );
}

#[test]
fn trailers_and_hints_go_on() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
        3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n";
    let origin = Origin::answering(move |_| answer);
    with_client(&origin, "", async |mut client| {
        let (mut response, mut stream) = client.begin(request("POST", "/"), false).await;
        send_body(&mut stream, Bytes::from_static(b"in"), false).await;
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "2".parse().unwrap())]);
        stream.send_trailers(trailers).unwrap();
        let hint = poll_fn(|cx| response.poll_informational(cx))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (hint.status().as_u16(), &hint.headers()["link"]),
            (103, &"</a.css>".parse().unwrap())
        );
        let reply = whole(response.await.unwrap()).await.unwrap();
        assert_eq!(reply.body, b"abc");
        assert_eq!(reply.trailers.unwrap()["grpc-status"], "0");
    });
    let request = origin.requests().remove(0);
    assert_eq!(
        (request.body.as_slice(), request.field("transfer-encoding")),
        (b"in".as_slice(), Some("chunked"))
    );
    assert_eq!(request.trailers, [("x-sum".to_owned(), "2".to_owned())]);
}

#[test]
fn trailers_are_dropped_where_there_is_no_place_for_them() {
    let origin = Origin::answering(|request| ok(&request.text()));
    with_client(&origin, "", async |mut client| {
        let mut asked = request("POST", "/");
        asked.headers_mut().insert("content-length", 2.into());
        let (response, mut stream) = client.begin(asked, false).await;
        send_body(&mut stream, Bytes::from_static(b"in"), false).await;
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "2".parse().unwrap())]);
        stream.send_trailers(trailers).unwrap();
        assert_eq!(whole(response.await.unwrap()).await.unwrap().body, b"in");
    });
}

#[test]
fn leave_to_send_a_body_reaches_the_client() {
    let origin = Origin::start(|visit| {
        let head = visit.peer.head().unwrap();
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        let framing = head.framing(None);
        assert_eq!(visit.peer.body(head, framing).unwrap().body, b"hello");
        visit.send(ok("thanks"));
    });
    with_client(&origin, "", async |mut client| {
        let mut asked = request("POST", "/");
        let headers = asked.headers_mut();
        headers.insert("content-length", 5.into());
        headers.insert("expect", "100-continue".parse().unwrap());
        let (mut response, mut stream) = client.begin(asked, false).await;
        let leave = poll_fn(|cx| response.poll_informational(cx))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(leave.status().as_u16(), 100);
        send_body(&mut stream, Bytes::from_static(b"hello"), true).await;
        assert_eq!(
            whole(response.await.unwrap()).await.unwrap().body,
            b"thanks"
        );
    });
}

#[test]
fn a_hundred_requests_are_under_way_at_once() {
    let all = Gate::default();
    let (arrived, answered) = (std::sync::atomic::AtomicUsize::new(0), all.clone());
    let origin = Origin::answering(move |request| {
        if arrived.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == 100 {
            answered.open();
        }
        answered.wait();
        ok(request.path())
    });
    with_client(&origin, "", async |mut client| {
        let mut under_way = Vec::new();
        for turn in 0..100 {
            under_way.push((
                turn,
                client
                    .begin(request("GET", &format!("/{turn}")), true)
                    .await
                    .0,
            ));
        }
        for (turn, response) in under_way {
            let reply = whole(response.await.unwrap()).await.unwrap();
            assert_eq!(String::from_utf8(reply.body).unwrap(), format!("/{turn}"));
        }
    });
    assert_eq!(origin.connections(), 100);
}

#[test]
fn bodies_of_any_size_pass() {
    let origin = Origin::answering(|request| ok(&request.text()));
    with_client(&origin, "", async |mut client| {
        for length in [0, 1, 16_384, 16_385, 65_536, 3_000_000] {
            let body: Bytes = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
            let mut asked = request("POST", "/");
            if length % 2 == 0 {
                asked.headers_mut().insert("content-length", length.into());
            }
            let (response, mut stream) = client.begin(asked, length == 0).await;
            let (reply, ()) = tokio::join!(
                async { whole(response.await.unwrap()).await.unwrap() },
                send_body(&mut stream, body.clone(), true)
            );
            assert!(reply.body == body, "{length}");
        }
    });
}

#[test]
fn responses_without_body_end_at_once() {
    let origin = Origin::answering(|request| match request.path() {
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
        "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
    });
    with_client(&origin, "", async |mut client| {
        for (method, path, status, length) in [
            ("HEAD", "/", 200, Some("1234")),
            ("GET", "/204", 204, None),
            ("GET", "/304", 304, None),
        ] {
            let (response, _) = client.begin(request(method, path), true).await;
            let response = response.await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            let declared = response.headers().get("content-length");
            assert_eq!(declared.map(|it| it.to_str().unwrap()), length);
            assert!(response.body().is_end_stream());
        }
    });
}

#[test]
fn a_response_cut_short_resets_its_stream_only() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            if request.path() == "/cut" {
                return visit
                    .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
            }
            visit.send(ok("whole"));
        }
    });
    with_client(&origin, "", async |mut client| {
        let (response, _) = client.begin(request("GET", "/cut"), true).await;
        let cut = match response.await {
            Ok(response) => whole(response).await.map(|reply| reply.body),
            Err(error) => Err(error),
        };
        assert!(cut.unwrap_err().is_reset());
        assert_eq!(client.get("/").await.body, b"whole");
    });
}

#[test]
fn a_stream_the_client_resets_is_given_up_upstream() {
    let given_up = Gate::default();
    let seen = given_up.clone();
    let origin = Origin::start(move |visit| {
        if visit.request().is_some_and(|request| request.path() == "/") {
            return visit.send(ok("other"));
        }
        visit.peer.ended();
        seen.open();
    });
    with_client(&origin, "", async |mut client| {
        let (response, mut stream) = client.begin(request("GET", "/slow"), true).await;
        while origin.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stream.send_reset(Reason::CANCEL);
        drop(response);
        assert_eq!(client.get("/").await.body, b"other");
        given_up.wait();
    });
}

#[test]
fn limits_hold_for_http_2_too() {
    let origin = Origin::answering(|request| ok(&request.body.len().to_string()));
    let more = "[servers.web.limits]\nbody_bytes = 1000\nheader_count = 20";
    with_client(&origin, more, async |mut client| {
        let mut said = request("POST", "/");
        said.headers_mut().insert("content-length", 1001.into());
        let (response, _stream) = client.begin(said, false).await;
        assert_eq!(response.await.unwrap().status().as_u16(), 413);
        let (response, mut stream) = client.begin(request("POST", "/"), false).await;
        send_body(&mut stream, Bytes::from(vec![b'x'; 1001]), false).await;
        assert_eq!(response.await.unwrap().status().as_u16(), 413);
        let mut many = request("GET", "/");
        for at in 0..30_u32 {
            let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
            many.headers_mut().insert(name, at.into());
        }
        assert_eq!(client.ask(many).await.head.status().as_u16(), 431);
        assert_eq!(client.get("/").await.body, b"0");
    });
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn nothing_is_tunnelled_on_a_stream() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        visit.peer.rest();
    });
    with_client(&origin, "retries = 0", async |mut client| {
        assert_eq!(client.get("/").await.head.status().as_u16(), 502);
    });
}

#[test]
fn a_slow_stream_holds_up_no_other() {
    let stuck = Gate::default();
    let sees_stuck = stuck.clone();
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.path() != "/large" {
                visit.send(ok("small"));
                continue;
            }
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
            let wait = Some(Duration::from_millis(300));
            visit.peer.socket().set_write_timeout(wait).unwrap();
            while visit.peer.try_send([b'x'; 65536]).is_ok() {}
            sees_stuck.open();
            return;
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let local = tokio::task::LocalSet::new();
    block_on(local.run_until(async {
        let mut client = Client::plain(&gateway).await;
        let before = gateway.resident_bytes();
        let (response, _) = client.begin(request("GET", "/large"), true).await;
        let unread = response.await.unwrap();
        assert_eq!(client.get("/").await.body, b"small");
        let waiting = tokio::task::spawn_blocking(move || stuck.wait());
        waiting.await.unwrap();
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(
            grown < 4 << 20,
            "{grown} bytes are held for a stream nobody reads"
        );
        assert_eq!(client.get("/").await.body, b"small");
        drop(unread);
    }));
}

#[test]
fn http_2_may_be_off() {
    let origin = Origin::named("origin");
    let settings = proxy_to(&[origin.address()], "");
    let settings = settings.replace("protocol = \"http\"", "protocol = \"http\"\nhttp2 = false");
    let gateway = Gateway::start(&settings);
    let mut client = gateway.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.reply().status(), 505);
}
