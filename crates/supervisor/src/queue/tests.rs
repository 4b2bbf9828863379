#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

const fn limits(soft: usize, hard: usize, burst: usize) -> QueueLimits {
    QueueLimits { soft, hard, burst }
}

/// Whether it is still not done.
fn waits(mut future: impl Future + Unpin) -> bool {
    (&mut future).now_or_never().is_none()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

#[test]
fn items_come_out_in_order_and_a_closed_queue_gives_out_the_rest() {
    let queue = Queue::new(limits(4, 4, 0));
    for item in 0..4 {
        queue.try_submit(item).unwrap();
    }
    assert_eq!(queue.try_submit(4), Err((4, QueueError::Full)));
    queue.close();
    assert_eq!(queue.try_submit(5), Err((5, QueueError::Closed)));
    runtime().block_on(async {
        for item in 0..4 {
            assert_eq!(queue.receive().await, Some(item));
        }
        assert_eq!(queue.receive().await, None);
    });
}

#[test]
fn who_waits_to_put_in_gets_in_as_others_leave() {
    let queue = Queue::new(limits(1, 1, 0));
    runtime().block_on(async {
        let submitting = join_all((0..20).map(|item| queue.submit(item)));
        let receiving = async {
            let mut items = Vec::new();
            while items.len() < 20 {
                items.push(queue.receive().await.unwrap());
            }
            items
        };
        let (submitted, mut items) = tokio::join!(submitting, receiving);
        assert!(submitted.into_iter().all(|it| it.is_ok()));
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn one_that_leaves_lets_in_all_it_has_earned_room_for() {
    let queue = Queue::new(limits(2, 4, 0));
    runtime().block_on(async {
        queue.submit(0).await.unwrap();
        queue.submit(1).await.unwrap();
        let mut third = pin!(queue.submit(2));
        let mut fourth = pin!(queue.submit(3));
        let mut fifth = pin!(queue.submit(4));
        assert!(waits(&mut third) && waits(&mut fourth) && waits(&mut fifth));
        // Half a credit for each that leaves: a whole one with the second.
        queue.receive().await;
        assert!(!waits(&mut third) && waits(&mut fourth) && waits(&mut fifth));
        queue.receive().await;
        assert!(!waits(&mut fourth) && !waits(&mut fifth));
    });
}

#[test]
fn closing_wakes_all_who_wait() {
    let (full, empty) = (
        Queue::new(limits(1, 1, 0)),
        Queue::<u8>::new(limits(1, 1, 0)),
    );
    full.try_submit(0).unwrap();
    runtime().block_on(async {
        let mut submitting = join_all((1..4).map(|item| full.submit(item)));
        let mut receiving = join_all((0..3).map(|_| empty.receive()));
        assert!(waits(&mut submitting) && waits(&mut receiving));
        full.close();
        empty.close();
        let refused = submitting.now_or_never().unwrap();
        let refused: Vec<_> = refused.into_iter().map(Result::unwrap_err).collect();
        assert_eq!(refused, [1, 2, 3].map(|item| (item, QueueError::Closed)));
        assert_eq!(receiving.now_or_never().unwrap(), [None; 3]);
    });
}

#[test]
fn a_receiver_that_gives_up_passes_its_item_on() {
    let queue = Queue::new(limits(1, 1, 0));
    runtime().block_on(async {
        let mut first = Box::pin(queue.receive());
        let mut second = Box::pin(queue.receive());
        assert!(waits(&mut first) && waits(&mut second));
        queue.try_submit(7).unwrap();
        drop(first);
        assert_eq!(second.now_or_never(), Some(Some(7)));
    });
}

/// Submits to the queue it was in when it is dropped.
struct Reentrant(Queue<Self>);

impl Drop for Reentrant {
    fn drop(&mut self) {
        assert!(self.0.is_empty());
    }
}

#[test]
fn what_is_discarded_is_dropped_and_counted() {
    let queue = Queue::new(limits(4, 4, 0));
    for _ in 0..3 {
        let submitted = queue.try_submit(Reentrant(queue.clone()));
        assert!(submitted.is_ok());
    }
    assert_eq!(queue.discard(), 3);
    assert_eq!((queue.len(), queue.discard()), (0, 0));
    assert!(runtime().block_on(queue.receive()).is_none());
}

#[test]
fn receivers_on_other_threads_are_woken() {
    const ROUNDS: usize = 2_000;
    let queue = Queue::new(limits(2, 2, 0));
    let (done, told) = mpsc::sync_channel(2);
    let (go, start): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::sync_channel(1)).unzip();
    let threads: Vec<_> = start
        .into_iter()
        .map(|start| {
            let (queue, done) = (queue.clone(), done.clone());
            let receive_one_a_round = move || {
                while start.recv().is_ok() {
                    done.send(runtime().block_on(queue.receive())).unwrap();
                }
            };
            let thread = std::thread::Builder::new().name("receiver".into());
            thread.spawn(receive_one_a_round).unwrap()
        })
        .collect();
    for round in 0..ROUNDS {
        for go in &go {
            go.send(()).unwrap();
        }
        queue.try_submit(round).unwrap();
        queue.try_submit(round).unwrap();
        // Each takes one; one that is not woken leaves an item in the queue.
        for _ in 0..2 {
            assert_eq!(told.recv_timeout(DEADLINE), Ok(Some(round)));
        }
    }
    drop(go);
    for thread in threads {
        thread.join().unwrap();
    }
}
