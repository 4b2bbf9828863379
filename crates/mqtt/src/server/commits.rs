//! The way from one core to its store, and what comes back.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use super::exchange::Exchange;
use super::neighbours::Backlog;
use crate::broker::durable::{Commit, Token};
use crate::broker::shard::ShardId;
use crate::broker::{Input, StoreState};
use crate::store::{Batch, Progress, Refused, Reports};

/// Bytes of commits that may wait for the store's queue before the core is told to refuse
/// what would add to them.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The commits of one core on their way to the store.
#[derive(Debug)]
pub(super) struct Commits {
    exchange: Arc<Exchange>,
    here: ShardId,
    reports: Reports,
    waiting: VecDeque<(Token, Batch)>,
    waiting_bytes: usize,
    /// What was heard last.
    heard: Progress,
    /// What the core was told last.
    told: StoreState,
    /// Commits that are lost with the store's thread, of which the core has not been told.
    lost: Range<u64>,
    has_stopped: bool,
}

impl Commits {
    /// The way of the core `here`, and where it hears what has become of its commits.
    pub(super) fn new(exchange: Arc<Exchange>, here: ShardId) -> (Self, watch::Receiver<Progress>) {
        let (reports, progress) = Reports::new();
        let commits = Self {
            exchange,
            here,
            reports,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            heard: Progress::default(),
            told: StoreState::Open,
            lost: 0..0,
            has_stopped: false,
        };
        (commits, progress)
    }

    /// Takes a commit in its turn.
    pub(super) fn put(&mut self, commit: Commit) {
        let batch = Batch::of(self.here, &commit.records).with_joints(commit.joints);
        self.waiting_bytes += batch.bytes();
        self.waiting.push_back((commit.token, batch));
    }

    /// Hands over all that the store's queue has room for.
    pub(super) fn flush(&mut self) -> Backlog {
        let Some(store) = &self.exchange.store else {
            return Backlog::None;
        };
        while let Some((token, batch)) = self.waiting.pop_front() {
            let bytes = batch.bytes();
            match store.commit(token, batch, &self.reports) {
                Ok(()) => self.waiting_bytes -= bytes,
                Err(Refused::Full(batch)) => {
                    self.waiting.push_front((token, batch));
                    return Backlog::Some;
                }
                Err(Refused::Stopped) => {
                    // It keeps nothing any longer: nothing is worth being kept for it.
                    let last = self.waiting.back().map_or(token, |(token, _)| *token);
                    self.waiting.clear();
                    self.waiting_bytes = 0;
                    self.has_stopped = true;
                    let first = (self.heard.committed.0 + 1).max(self.lost.end);
                    self.lost = first..last.0 + 1;
                }
            }
        }
        Backlog::None
    }

    /// What the core is to be told after `progress`.
    pub(super) fn hear(&mut self, progress: Progress) -> Vec<Input> {
        let before = std::mem::replace(&mut self.heard, progress);
        let mut news: Vec<Input> = self.next_news().into_iter().collect();
        if progress.committed > before.committed {
            news.push(Input::Committed(progress.committed));
        }
        let done = before.failed.max(progress.committed);
        news.extend(
            (done.0 + 1..=progress.failed.0).map(|token| Input::CommitFailed(Token(token))),
        );
        news
    }

    /// What else the core is to be told: whether the store takes more, if that has changed,
    /// and what it never will have.
    pub(super) fn next_news(&mut self) -> Option<Input> {
        let state = match self.heard.state {
            _ if self.has_stopped || self.waiting_bytes > WAITING_BYTES_MAX => StoreState::Full,
            state => state,
        };
        let before = std::mem::replace(&mut self.told, state);
        if before != state {
            return Some(Input::Store(state));
        }
        let token = self.lost.next()?;
        Some(Input::CommitFailed(Token(token)))
    }
}
