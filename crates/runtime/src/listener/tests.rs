#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use std::{fs, io};

use socket2::{Domain, Socket, Type};
use tidegate_service::MakeService;
use tokio::time::timeout;

use super::*;
use crate::local;
use crate::worker::WorkerIndex;

const DEADLINE: Duration = Duration::from_secs(10);
const FIRST: WorkerIndex = WorkerIndex(0);
const SECOND: WorkerIndex = WorkerIndex(1);

fn listen(address: &str) -> ListenerBuilder {
    ListenerBuilder::try_from(address).unwrap()
}

fn tcp(set: &ListenerSet) -> SocketAddr {
    set.local_addresses()[0].tcp().unwrap()
}

fn only(listeners: Result<Vec<Listener>, BindError>) -> Listener {
    let mut listeners = listeners.unwrap();
    assert_eq!(listeners.len(), 1);
    listeners.remove(0)
}

async fn accepted(listener: &mut Listener) -> Incoming {
    let incoming = timeout(DEADLINE, listener.accept()).await;
    incoming.unwrap().expect("a connection is there")
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|it| it.kind() == io::ErrorKind::ConnectionRefused)
}

#[test]
fn a_port_in_use_is_an_error_even_if_its_user_would_share_it() {
    for shares in [false, true] {
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        other.set_reuse_port(shares).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        other.bind(&any.into()).unwrap();
        other.listen(1).unwrap();
        let taken = other.local_addr().unwrap().as_socket().unwrap();

        let error = listen(&taken.to_string()).make().unwrap_err();
        assert_eq!(error.address, ListenAddr::Tcp(taken));
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }
}

#[test]
fn the_same_address_twice_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ListenAddr::Tcp(free.local_addr().unwrap());
    drop(free);
    let twice = ListenerBuilder::from(vec![address.clone(), address]);
    assert!(twice.make().is_err());
}

#[test]
fn every_worker_joins_the_port_the_kernel_chose() {
    local::block_on(async {
        let set = listen("127.0.0.1:0").make().unwrap();
        set.spread(2).unwrap();
        assert_ne!(tcp(&set).port(), 0);
        let first = only(set.for_worker(FIRST));
        let second = only(set.for_worker(SECOND));
        assert_eq!(first.local_address(), second.local_address());
    });
}

#[test]
fn a_wildcard_can_replace_one_of_its_addresses() {
    let first = listen("127.0.0.1:0").make().unwrap();
    let port = tcp(&first).port();
    let second = listen(&format!("0.0.0.0:{port}"));
    assert!(second.make().is_err(), "without a predecessor it is in use");
    let second = second.make_via_ref(Some(&first)).unwrap();
    drop(first);
    assert_eq!(second.local_addresses().len(), 1);
}

#[test]
fn ipv6_and_ipv4_wildcards_stand_side_by_side() {
    // Another program may have the port in the other family, but not every time.
    let stand_together = (0..8).any(|_| {
        let Ok(first) = listen("[::]:0").make() else {
            return true; // A machine without IPv6.
        };
        listen(&format!("0.0.0.0:{}", tcp(&first).port()))
            .make()
            .is_ok()
    });
    assert!(stand_together);
}

#[test]
fn what_is_queued_outlives_a_worker_and_a_replacement() {
    local::block_on(async {
        let builder = listen("127.0.0.1:0");
        let first = builder.make().unwrap();
        let lost = only(first.for_worker(FIRST));
        let client = TcpStream::connect(tcp(&first)).unwrap();
        drop(lost);
        let second = builder.make_via_ref(Some(&first)).unwrap();
        drop(first);
        let mut successor = only(second.for_worker(FIRST));
        let incoming = accepted(&mut successor).await;
        assert_eq!(incoming.peer(), client.local_addr().unwrap().into());
    });
}

#[test]
fn a_closed_address_is_emptied_first_and_a_kept_one_is_left_to_others() {
    local::block_on(async {
        let set = listen("127.0.0.1:0").make().unwrap();
        set.spread(2).unwrap();
        let address = tcp(&set);
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address)).collect();

        let mut kept = only(set.for_worker(FIRST));
        kept.close();
        assert!(kept.accept().await.is_none(), "the address is still wanted");

        let mut listeners = [only(set.for_worker(FIRST)), only(set.for_worker(SECOND))];
        drop((set, kept));
        let mut served = Vec::new();
        for listener in &mut listeners {
            listener.close();
            while let Some(incoming) = timeout(DEADLINE, listener.accept()).await.unwrap() {
                served.push(incoming);
            }
        }
        assert_eq!(served.len(), clients.len());
        drop(listeners);
        assert!(is_refused(address));
    });
}

#[test]
fn at_a_closed_address_who_is_connected_is_served_and_nobody_joins_the_queue() {
    local::block_on(async {
        let set = listen("127.0.0.1:0").make().unwrap();
        set.spread(2).unwrap();
        let address = tcp(&set);
        let mut listeners = [only(set.for_worker(FIRST)), only(set.for_worker(SECOND))];
        let clients: Vec<_> = (0..20)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        drop(set);
        // Neither connected, which would end in a reset, nor refused while others are served.
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut served = 0;
        for listener in &mut listeners {
            listener.close();
            while listener.accept().await.is_some() {
                served += 1;
            }
        }
        assert_eq!(served, clients.len());
        drop(listeners);
        assert!(is_refused(address));
    });
}

#[test]
fn an_address_passes_from_one_site_to_another_without_closing() {
    let (old, unrelated) = (listen("127.0.0.1:0"), listen("127.0.0.1:0"));
    let (old, unrelated) = (old.make().unwrap(), unrelated.make().unwrap());
    let address = tcp(&old);
    let predecessor = ListenerSet::predecessor(Some(&unrelated), [&old]).unwrap();
    let new = listen(&address.to_string());
    let new = new.make_via_ref(Some(&predecessor)).unwrap();
    assert_eq!(new.shared_address(&old), Some(ListenAddr::Tcp(address)));
    drop((predecessor, old));
    assert!(!is_refused(address));
    assert!(new.shared_address(&unrelated).is_none());
}

#[test]
fn any_port_is_never_another_sites_port() {
    let other = listen("127.0.0.1:0").make().unwrap();
    let predecessor = ListenerSet::predecessor(None, [&other]).unwrap();
    let new = listen("127.0.0.1:0").make_via_ref(Some(&predecessor));
    assert_ne!(tcp(&new.unwrap()), tcp(&other));
}

fn unix(path: &Path) -> ListenerBuilder {
    ListenerBuilder::bind_unix(path, ListenerOptions::default())
}

#[test]
fn a_unix_socket_replaces_a_stale_file_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");

    let living = UnixListener::bind(&path).unwrap();
    let error = unix(&path).make().unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    drop(living);
    let set = unix(&path).make().unwrap();
    UnixStream::connect(&path).unwrap();
    drop(set);
    assert!(!path.exists(), "removed with its last holder");

    fs::write(&path, "precious").unwrap();
    let error = unix(&path).make().unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_unix_socket_file_that_is_not_ours_any_more_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let set = unix(&path).make().unwrap();
    // Moved, not removed, so that the successor cannot get the same inode.
    fs::rename(&path, directory.path().join("elsewhere")).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    drop(set);
    assert!(path.exists());
}

#[test]
fn connections_go_to_the_worker_with_notably_fewer() {
    const ALONE: usize = 40;
    const LATER: usize = 20;
    local::block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.sock");
        let set = unix(&path).make().unwrap();
        set.spread(2).unwrap();
        let mut clients = Vec::new();
        let mut connect = |count| {
            clients.extend((0..count).map(|_| UnixStream::connect(&path).unwrap()));
        };

        let mut first = only(set.for_worker(FIRST));
        let mut held = Vec::new();
        connect(ALONE);
        for _ in 0..ALONE {
            held.push(accepted(&mut first).await);
        }
        let mut second = only(set.for_worker(SECOND));
        // It serves its mailbox from its first turn on.
        let idle = futures_util::poll!(pin!(second.accept()));
        assert!(idle.is_pending());
        let mut gained = Vec::new();
        connect(LATER);
        while gained.len() < LATER {
            tokio::select! {
                incoming = accepted(&mut first) => panic!("kept {incoming:?}"),
                incoming = accepted(&mut second) => gained.push(incoming),
            }
        }
        let counters = set.counters().remove(0).1;
        assert_eq!(counters[0].open, ALONE);
        assert_eq!(counters[1].open, LATER);
        drop((held, gained));
        assert_eq!(set.counters().remove(0).1[0].open, 0);
    });
}

#[test]
fn a_crowd_is_spread_within_the_threshold() {
    const CROWD: usize = 300;
    local::block_on(async {
        let set = listen("127.0.0.1:0").make().unwrap();
        set.spread(2).unwrap();
        let mut first = only(set.for_worker(FIRST));
        let mut second = only(set.for_worker(SECOND));
        let address = tcp(&set);
        let mut held = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            clients.push(TcpStream::connect(address).unwrap());
            held.push(tokio::select! {
                incoming = accepted(&mut first) => incoming,
                incoming = accepted(&mut second) => incoming,
            });
        }
        let counters = set.counters().remove(0).1;
        let (least, most) = (
            counters[0].open.min(counters[1].open),
            counters[0].open.max(counters[1].open),
        );
        assert_eq!(least + most, CROWD);
        assert!(
            most <= least + HANDOVER_SLACK + least / 8,
            "{least} and {most}"
        );
    });
}

#[test]
fn a_site_has_no_more_connections_than_it_may() {
    let options = ListenerOptions {
        connections_max: 2,
        ..ListenerOptions::default()
    };
    let address = vec!["127.0.0.1:0".parse().unwrap()];
    let builder = ListenerBuilder::new(address, options);
    let first = builder.make().unwrap();
    let successor = builder.make_via_ref(Some(&first)).unwrap();
    let passes = [first.admission().enter(), successor.admission().enter()];
    assert!(passes.iter().all(Option::is_some));
    assert!(successor.admission().enter().is_none(), "old and new count");
    drop(passes);
    assert_eq!(successor.admission().open(), 0);
}
