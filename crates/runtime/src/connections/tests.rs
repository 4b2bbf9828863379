#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::local;

const PEER: PeerAddr = PeerAddr::Unix;
const DEADLINE: Duration = Duration::from_secs(10);

fn handles(connections: &Connections, count: usize) -> Vec<ConnectionHandle> {
    (0..count)
        .map(|_| connections.register(PEER).unwrap())
        .collect()
}

/// Marks idle and makes sure that the next one to be marked has been idle for less long.
fn idle_before_the_next(handle: &ConnectionHandle) {
    handle.mark_idle();
    let marked = clock::now();
    while clock::now() == marked {
        std::hint::spin_loop();
    }
}

#[test]
fn draining_wakes_every_connection_and_catches_later_ones() {
    local::block_on(async {
        let connections = Connections::new();
        for _ in 0..3 {
            connections.spawn(PEER, None, |handle| async move {
                handle.draining().await;
                Ok::<(), Infallible>(())
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(connections.count(), 3);
        connections.drain();
        timeout(DEADLINE, connections.idle()).await.unwrap();
        assert!(connections.register(PEER).unwrap().is_draining());
    });
}

#[test]
fn aborting_drops_connections_that_do_not_leave_and_admits_no_more() {
    local::block_on(async {
        let connections = Connections::new();
        for _ in 0..3 {
            connections.spawn(PEER, None, |handle| async move {
                let _handle = handle;
                pending::<Result<(), Infallible>>().await
            });
        }
        connections.drain();
        tokio::task::yield_now().await;
        assert_eq!(connections.count(), 3);
        connections.abort_all();
        timeout(DEADLINE, connections.idle()).await.unwrap();
        assert!(connections.register(PEER).is_none());
    });
}

#[test]
fn a_panic_ends_one_connection_and_gives_its_place_back() {
    local::block_on(async {
        let connections = Connections::new();
        let other = connections.register(PEER).unwrap();
        connections.spawn(PEER, None, |handle| async move {
            assert!(handle.is_draining(), "this connection panics");
            Ok::<(), Infallible>(())
        });
        assert_eq!(connections.count(), 2);
        while connections.count() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(!other.is_draining());
    });
}

#[test]
fn the_longest_idle_is_asked_to_leave_first_and_only_once() {
    let connections = Connections::new();
    let handles = handles(&connections, 3);
    assert!(!connections.evict_oldest_idle(), "nobody idles");
    idle_before_the_next(&handles[1]);
    idle_before_the_next(&handles[0]);
    assert!(connections.evict_oldest_idle());
    assert!(handles[1].is_draining() && !handles[0].is_draining());
    assert!(connections.evict_oldest_idle());
    assert!(handles[0].is_draining() && !handles[2].is_draining());
    assert!(!connections.evict_oldest_idle());
}

#[test]
fn who_was_busy_since_the_search_is_not_taken_for_idle() {
    let connections = Connections::new();
    let handles = handles(&connections, 3);
    for handle in &handles {
        idle_before_the_next(handle);
    }
    assert!(
        connections.evict_oldest_idle(),
        "and the others are remembered"
    );
    handles[1].mark_busy();
    idle_before_the_next(&handles[1]);
    assert!(connections.evict_oldest_idle());
    assert!(handles[2].is_draining() && !handles[1].is_draining());
}

#[test]
fn a_search_remembers_a_bounded_number() {
    let connections = Connections::new();
    let handles = handles(&connections, 3 * EVICTION_CANDIDATES);
    handles.iter().for_each(ConnectionHandle::mark_idle);
    for _ in &handles {
        assert!(connections.evict_oldest_idle());
    }
    assert!(connections.group.candidates.borrow().capacity() <= 4 * EVICTION_CANDIDATES);
    assert!(!connections.evict_oldest_idle());
    assert!(handles.iter().all(ConnectionHandle::is_draining));
}

#[test]
fn eviction_wakes_a_connection_that_waits() {
    local::block_on(async {
        let connections = Connections::new();
        let handle = connections.register(PEER).unwrap();
        handle.mark_idle();
        let mut draining = pin!(handle.draining());
        assert!(futures_util::poll!(draining.as_mut()).is_pending());
        connections.evict_oldest_idle();
        timeout(DEADLINE, draining).await.unwrap();
    });
}

#[test]
fn a_connections_place_is_small() {
    assert!(size_of::<Slot>() <= 80, "{}", size_of::<Slot>());
    assert_eq!(size_of::<ConnectionHandle>(), 16);
}

#[test]
fn who_moves_to_another_group_leaves_with_that_one() {
    local::block_on(async {
        let (old, new) = (Connections::new(), Connections::new());
        let mut handle = old.register(PeerAddr::Unix).unwrap();
        old.drain();
        assert!(handle.is_draining());
        handle.move_to(&new);
        old.idle().await;
        assert!(!handle.is_draining());
        assert_eq!((old.count(), new.count()), (0, 1));
        new.drain();
        handle.draining().await;
        drop(handle);
        new.idle().await;
    });
}

#[test]
fn a_task_that_moved_is_aborted_with_its_new_group() {
    local::block_on(async {
        let (old, new) = (Connections::new(), Connections::new());
        let to = new.clone();
        old.spawn(PeerAddr::Unix, None, |mut handle| async move {
            tokio::task::yield_now().await;
            handle.move_to(&to);
            pending::<()>().await;
            drop(handle);
            Ok::<(), Infallible>(())
        });
        old.idle().await;
        old.abort_all();
        assert_eq!(new.count(), 1);
        new.abort_all();
        new.idle().await;
    });
}

#[test]
fn a_chain_being_made_finds_the_group_it_is_to_serve() {
    local::block_on(async {
        let group = Connections::of_generation(7);
        assert!(being_made().is_none());
        let found = group.while_made(async { being_made() }).await.unwrap();
        let handle = found.register(PeerAddr::Unix).unwrap();
        assert_eq!((group.count(), handle.generation()), (1, 7));
    });
}
