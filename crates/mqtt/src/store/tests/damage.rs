//! Damage costs what is damaged, is counted, and stops no start.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::super::tail::{Tail, inspect};
use super::*;

fn journal(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory.join("store")).unwrap();
    let mut journals: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    journals.sort();
    journals.pop().unwrap()
}

/// The bytes of a journal up to the zeros behind them.
fn written(journal: &Path) -> Vec<u8> {
    let mut bytes = fs::read(journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(end);
    bytes
}

/// A store with three commits, closed.
fn filled(directory: &Path) {
    let mut desk = Desk::open(directory);
    for number in 1..=3 {
        desk.commit(&[message(number, "some payload"), queued(1, number, number)]);
    }
}

fn quarantined(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory.join("quarantine")).unwrap();
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn a_damaged_tail_costs_the_last_commit_and_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let path = journal(directory.path());
    assert_eq!(inspect(&path).unwrap(), Tail::Whole);
    let at = written(&path).len() as u64 - 20;
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(b"\xff\xff").unwrap();

    let desk = Desk::open(directory.path());
    let state = desk.load();
    assert_eq!((state.messages.len(), state.queue.len()), (2, 2));
    let aside = quarantined(directory.path());
    assert_eq!(desk.store.counts().damaged_bytes, aside[0].len() as u64);
    assert_eq!(aside.len(), 1);
    // Nothing is left over for the next start to find.
    drop(desk);
    let desk = Desk::open(directory.path());
    assert_eq!(desk.store.counts().damaged_bytes, 0);
    assert_eq!(desk.load().messages.len(), 2);
}

#[test]
fn garbage_behind_the_journal_costs_no_commit() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let path = journal(directory.path());
    let at = written(&path).len() as u64;
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at + 100)).unwrap();
    file.write_all(b"garbage").unwrap();
    let desk = Desk::open(directory.path());
    assert_eq!(desk.load().messages.len(), 3);
    assert_eq!(desk.store.counts().damaged_bytes, 107);
}

#[test]
fn a_write_that_was_cut_short_anywhere_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let path = journal(directory.path());
    let whole = written(&path);
    let copy = directory.path().join("copy.jnl");
    for end in 1..whole.len() {
        let mut bytes = whole[..end].to_vec();
        // As a journal is filled up.
        bytes.resize(whole.len() + 50, 0);
        fs::write(&copy, bytes).unwrap();
        let tail = inspect(&copy).unwrap();
        assert!(
            matches!(tail, Tail::Unfinished | Tail::Whole),
            "{tail:?} at {end}"
        );
    }
}

#[test]
fn a_database_that_cannot_be_read_is_set_aside_whole() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let keyspaces = directory.path().join("store/keyspaces/0");
    for entry in fs::read_dir(&keyspaces).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(path, b"garbage").unwrap();
        }
    }
    let mut desk = Desk::open(directory.path());
    assert_eq!(desk.store.counts().databases_set_aside, 1);
    assert!(desk.load().messages.is_empty());
    desk.commit(&[message(1, "goes on")]);
    drop(desk);
    assert_eq!(Desk::open(directory.path()).load().messages.len(), 1);
}

#[test]
fn a_database_that_was_only_half_made_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("store");
    fs::create_dir_all(&database).unwrap();
    fs::write(database.join("0.jnl"), b"").unwrap();
    let mut desk = Desk::open(directory.path());
    desk.commit(&[message(1, "x")]);
    assert_eq!(desk.load().messages.len(), 1);
}

#[test]
fn a_quarantine_keeps_the_newest_files_only() {
    let directory = tempfile::tempdir().unwrap();
    let quarantine = directory.path().join("quarantine");
    fs::create_dir_all(&quarantine).unwrap();
    for number in 0..100 {
        fs::write(quarantine.join(format!("{number:016}-0.jnl")), b"old").unwrap();
    }
    a_damaged_journal(directory.path());
    let names: Vec<_> = fs::read_dir(&quarantine).unwrap().collect();
    assert_eq!(names.len(), super::super::QUARANTINE_FILES_MAX);
}

fn a_damaged_journal(directory: &Path) {
    filled(directory);
    let path = journal(directory);
    let at = written(&path).len() as u64;
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(b"garbage").unwrap();
    assert_eq!(Desk::open(directory).store.counts().damaged_bytes, 7);
}
