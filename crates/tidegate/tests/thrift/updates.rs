//! Connections and updates, and the stop.

use rustix::process::Signal;

use crate::harness::{Tidegate, eventually, free_address};
use crate::peers::{Backend, FRAMED, Peer, call, gateway};

#[test]
fn an_update_keeps_connections_on_both_sides_and_serves_the_next_call_anew() {
    let (old, new) = (Backend::start(), Backend::start());
    let listen = free_address();
    let process = Tidegate::start(&gateway(listen, &[old.address], "", ""));
    let mut client = Peer::connect(listen);
    client.ask(&call(FRAMED, "get", 1));
    // The pool outlives an update of something else.
    let server = "limits = { depth = 10 }";
    process.update(&gateway(listen, &[old.address], server, ""));
    client.ask(&call(FRAMED, "get", 2));
    assert_eq!(old.connections(), 1);
    process.update(&gateway(listen, &[new.address], server, ""));
    client.ask(&call(FRAMED, "get", 3));
    assert_eq!((old.calls(2).len(), new.calls(1).len()), (2, 1));
}

#[test]
fn a_call_under_way_is_answered_through_an_update() {
    let (old, new) = (Backend::start(), Backend::start());
    let listen = free_address();
    let process = Tidegate::start(&gateway(listen, &[old.address], "", ""));
    let mut client = Peer::connect(listen);
    client.send(&call(FRAMED, "stall", 1));
    old.calls(1);
    process.update(&gateway(listen, &[new.address], "", ""));
    old.release();
    assert_eq!(client.receive().unwrap().envelope.sequence_id, 1);
    client.ask(&call(FRAMED, "get", 2));
    assert_eq!(new.calls(1).len(), 1);
}

#[test]
fn calls_under_constant_updates_are_all_answered() {
    let backends = [Backend::start(), Backend::start()];
    let listen = free_address();
    let text = |turn: usize| {
        let server = format!("limits = {{ depth = {} }}", 10 + turn);
        gateway(listen, &[backends[turn % 2].address], &server, "")
    };
    let process = Tidegate::start(&text(0));
    let mut client = Peer::connect(listen);
    let mut number = 0;
    for turn in 1..=10 {
        let before = process.logged("reloaded").len();
        process.place.write(&text(turn));
        process.signal(Signal::HUP);
        eventually("an update under load", || {
            number += 1;
            let answer = client.ask(&call(FRAMED, "get", number));
            assert_eq!(answer.envelope.sequence_id, number);
            (process.logged("reloaded").len() > before).then_some(())
        });
    }
}

#[test]
fn a_stop_answers_the_call_under_way_and_closes_who_idles() {
    let backend = Backend::start();
    let listen = free_address();
    let mut process = Tidegate::start(&gateway(listen, &[backend.address], "", ""));
    let mut idle = Peer::connect(listen);
    idle.ask(&call(FRAMED, "get", 1));
    let mut busy = Peer::connect(listen);
    busy.send(&call(FRAMED, "stall", 2));
    backend.calls(2);
    process.signal(Signal::TERM);
    assert!(idle.receive().is_none());
    assert!(process.runs());
    backend.release();
    assert_eq!(busy.receive().unwrap().envelope.sequence_id, 2);
    assert!(busy.receive().is_none());
    assert_eq!(process.ended().code(), Some(0));
}
