//! A connection behind a proxy is its client's; one that lies or stalls is nobody's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::convert::Infallible;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::connections::Connections;
use crate::local::block_on;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";

/// Notes who came, and reads to the end.
#[derive(Default)]
struct Behind {
    seen: RefCell<Vec<(PeerAddr, PeerAddr, Vec<u8>)>>,
}

impl Service<Accepted> for Behind {
    type Response = ();
    type Error = Infallible;

    async fn call(&self, mut accepted: Accepted) -> Result<(), Infallible> {
        let mut bytes = Vec::new();
        accepted.io.read_to_end(&mut bytes).await.unwrap();
        let seen = (accepted.peer, accepted.local, bytes);
        self.seen.borrow_mut().push(seen);
        Ok(())
    }
}

fn service(trust: &str, others: OtherPeers) -> ProxyProtocolService<Behind> {
    ProxyProtocolService {
        mode: Rc::new(ProxyProtocolMode::On(ProxyProtocolOptions {
            trust: vec![trust.parse().unwrap()],
            others,
            header_timeout: Duration::from_millis(50),
        })),
        inner: Behind::default(),
    }
}

async fn pair() -> (Accepted, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (far, (near, peer)) = (far.await.unwrap(), listener.accept().await.unwrap());
    let accepted = Accepted {
        local: near.local_addr().unwrap().into(),
        io: Io::from_tcp(near),
        peer: peer.into(),
        handle: Connections::new().register(peer.into()).unwrap(),
    };
    (accepted, far)
}

type Outcome = Result<(), ProxyProtocolServiceError<Infallible>>;

/// What becomes of a connection on which these pieces come, and then the end.
fn served(service: &ProxyProtocolService<Behind>, pieces: &[&[u8]]) -> Outcome {
    block_on(async {
        let (accepted, mut far) = pair().await;
        far.set_nodelay(true).unwrap();
        let sending = async {
            for piece in pieces {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            // It may be refused already.
            let _ = far.shutdown().await;
        };
        tokio::join!(service.call(accepted), sending).0
    })
}

fn seen(service: &ProxyProtocolService<Behind>) -> (String, String, Vec<u8>) {
    let (peer, local, bytes) = service.inner.seen.borrow_mut().pop().unwrap();
    (peer.to_string(), local.to_string(), bytes)
}

#[test]
fn what_comes_behind_the_header_is_the_clients_however_it_is_cut() {
    let service = service("127.0.0.0/8", OtherPeers::Refused);
    let whole = [HEADER, b"GET /"].concat();
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    for pieces in [&[&whole[..]][..], &[HEADER, b"GET /"], &bytes] {
        served(&service, pieces).unwrap();
        let expected = ("192.0.2.7:40000".into(), "198.51.100.1:443".into());
        let (peer, local, rest) = seen(&service);
        assert_eq!((peer, local), expected);
        assert_eq!(rest, b"GET /");
    }
}

#[test]
fn the_proxys_own_connections_are_its_own() {
    let service = service("127.0.0.0/8", OtherPeers::Refused);
    served(&service, &[b"PROXY UNKNOWN\r\nping"]).unwrap();
    let (peer, _, rest) = seen(&service);
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(rest, b"ping");
}

#[test]
fn whoever_is_not_trusted_is_refused_or_a_client() {
    let refusing = service("192.0.2.0/24", OtherPeers::Refused);
    let refused = served(&refusing, &[HEADER]);
    assert!(matches!(refused, Err(ProxyProtocolServiceError::Untrusted)));
    let direct = service("192.0.2.0/24", OtherPeers::Direct);
    served(&direct, &[HEADER]).unwrap();
    let (peer, _, bytes) = seen(&direct);
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    // Not a header: it is from nobody who may send one.
    assert_eq!(bytes, HEADER);
}

#[test]
fn a_client_beside_a_distant_proxy_is_not_beside_us() {
    let (near, far) = (
        PeerAddr::Tcp("127.0.0.1:1".parse().unwrap()),
        PeerAddr::Tcp("192.0.2.7:1".parse().unwrap()),
    );
    for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
        let client = loopback.parse().unwrap();
        assert!(is_within_the_proxy(&far, client), "{client}");
        assert!(!is_within_the_proxy(&near, client), "{client}");
        assert!(!is_within_the_proxy(&PeerAddr::Unix, client), "{client}");
    }
    assert!(!is_within_the_proxy(&far, "198.51.100.1".parse().unwrap()));
}

#[test]
fn no_header_half_a_header_and_none_at_all_end_the_connection() {
    let service = service("127.0.0.0/8", OtherPeers::Refused);
    let other = served(&service, &[b"GET / HTTP/1.1\r\n\r\n"]);
    let signature = ProxyHeaderError::Signature;
    assert!(matches!(other, Err(ProxyProtocolServiceError::Header(error)) if error == signature));
    let half = served(&service, &[&HEADER[..20]]);
    assert!(matches!(half, Err(ProxyProtocolServiceError::Io(_))));
    let late = block_on(async {
        let (accepted, far) = pair().await;
        let late = service.call(accepted).await;
        drop(far);
        late
    });
    assert!(matches!(
        late,
        Err(ProxyProtocolServiceError::HeaderTimeout)
    ));
    assert!(service.inner.seen.borrow().is_empty());
}
