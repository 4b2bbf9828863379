//! What was committed is there again, and nothing else.

use super::*;
use crate::broker::retained::Stamp;
use crate::broker::shard::shard_of;

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(directory.path());
    desk.commit(&[session(1, "a"), subscription(1, "x/#")]);
    desk.commit(&[message(1, "hello"), queued(1, 5, 1)]);
    let before = format!("{:?}", desk.load());
    drop(desk);
    let state = Desk::open(directory.path()).load();
    assert_eq!(format!("{state:?}"), before);
    assert_eq!(&*state.sessions[&SessionNumber(1)].client_id, "a");
    assert_eq!(&state.messages[&MessageNumber(1)].payload[..], b"hello");
    assert_eq!(state.queue.len(), 1);
}

#[test]
fn what_waits_when_the_last_handle_goes_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(directory.path());
    for number in 1..=500 {
        desk.hand_over(&[message(number, "x")]);
    }
    drop(desk);
    assert_eq!(Desk::open(directory.path()).load().messages.len(), 500);
}

#[test]
fn a_session_that_ends_takes_along_what_is_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(directory.path());
    desk.commit(&[
        session(1, "a"),
        session(2, "b"),
        subscription(1, "old"),
        subscription(2, "b"),
        queued(1, 1, 1),
    ]);
    // Some of it in the same commit as the end.
    desk.commit(&[
        subscription(1, "new"),
        queued(1, 2, 1),
        Record::SubscriptionDrop(SessionNumber(1), "old".into()),
        Record::SessionDrop(SessionNumber(1)),
    ]);
    let check = |state: Restored| {
        let left: Vec<_> = state.sessions.keys().collect();
        assert_eq!(left, [&SessionNumber(2)]);
        assert_eq!((state.subscriptions.len(), state.queue.len()), (1, 0));
    };
    check(desk.load());
    drop(desk);
    check(Desk::open(directory.path()).load());
}

#[test]
fn a_key_that_is_put_and_dropped_in_turns_ends_as_it_was_told_last() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(directory.path());
    desk.commit(&[message(1, "kept"), queued(1, 1, 1), queued(1, 2, 1)]);
    desk.commit(&[
        Record::QueueReleased(SessionNumber(1), Position(1)),
        Record::QueueDrop(SessionNumber(1), Position(1)),
        Record::QueueReleased(SessionNumber(1), Position(2)),
        message(2, "gone"),
        Record::MessageDrop(MessageNumber(2)),
        Record::MessageDrop(MessageNumber(1)),
        message(1, "new"),
    ]);
    drop(desk);
    let state = Desk::open(directory.path()).load();
    let queue: Vec<_> = state.queue.values().collect();
    assert!(matches!(queue[..], [None]), "{queue:?}");
    assert_eq!(state.messages.len(), 1);
    assert_eq!(&state.messages[&MessageNumber(1)].payload[..], b"new");
}

#[test]
fn a_core_starts_with_its_own_sessions_and_all_retained_messages() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::of_cores(directory.path(), 2);
    let retained = |topic| Record::RetainedPut(Stamp { at: 1, shard: 0 }, said(topic, "x"));
    desk.commit(&[session(1, "mine"), retained("here")]);
    desk.shard = ShardId(1);
    desk.commit(&[session(1, "other"), retained("there")]);
    let state = desk.load();
    assert_eq!(&*state.sessions[&SessionNumber(1)].client_id, "other");
    assert_eq!(state.retained.len(), 2);
}

#[test]
fn another_number_of_cores_finds_every_session_where_it_looks_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..20).map(|number| format!("client-{number}")).collect();
    let mut desk = Desk::of_cores(directory.path(), 2);
    for (number, name) in (1..).zip(&names) {
        desk.shard = shard_of(name, 2);
        desk.commit(&[
            session(number, name),
            message(number, name),
            queued(number, 1, number),
        ]);
    }
    drop(desk);
    for cores in [3, 1, 2] {
        let mut desk = Desk::of_cores(directory.path(), cores);
        let mut found = Vec::new();
        for shard in (0..cores).map(ShardId) {
            desk.shard = shard;
            let state = desk.load();
            for session in state.sessions.values() {
                assert_eq!(shard_of(&session.client_id, cores), shard);
                let entry = state.queue[&(session.number, Position(1))].as_ref();
                let payload = &state.messages[&entry.unwrap().message].payload;
                assert_eq!(payload[..], *session.client_id.as_bytes());
                found.push(session.client_id.to_string());
            }
        }
        found.sort();
        let mut names = names.clone();
        names.sort();
        assert_eq!(found, names, "with {cores} cores");
    }
}

#[test]
fn two_stores_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _desk = Desk::open(directory.path());
    let second = Store::open(directory.path(), Promise::Fsync, 1);
    assert!(
        matches!(second, Err(StoreError::InUse { .. })),
        "{second:?}"
    );
}
