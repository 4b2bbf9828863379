//! What is left of a service when it has ended.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::error::ServiceError;
use crate::state::{Cause, Phase};

/// How a service, or all of an orchestrator's, ended.
#[derive(Clone, Debug)]
pub struct ExitReport {
    /// Whose end it is.
    pub path: Arc<str>,
    /// Why it ended: who started the stop.
    pub cause: Cause,
    /// How often it was started.
    pub attempts: u32,
    /// What went wrong, oldest first; the latest ones if there were too many to keep.
    pub errors: Box<[Arc<ServiceError>]>,
    /// How many errors were not kept.
    pub suppressed: u64,
    /// Who would not stop.
    pub unstopped: Box<[Unstopped]>,
    /// When what happened.
    pub timeline: Timeline,
}

impl ExitReport {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.suppressed == 0 && self.unstopped.is_empty()
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ended ({})", self.path, self.cause)?;
        for error in &self.errors {
            write!(f, "; {error}")?;
        }
        if self.suppressed > 0 {
            write!(f, "; and {} errors more", self.suppressed)?;
        }
        for unstopped in &self.unstopped {
            write!(
                f,
                "; {} would not stop ({})",
                unstopped.path, unstopped.phase
            )?;
        }
        Ok(())
    }
}

impl Error for ExitReport {}

/// Somebody who did not end in time and was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstopped {
    /// Who.
    pub path: Arc<str>,
    /// In which part of its life.
    pub phase: Phase,
}

/// When the parts of a life began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The first start.
    pub started: Option<Instant>,
    /// Ready for the first time.
    pub ready: Option<Instant>,
    /// Told to stop.
    pub stopping: Option<Instant>,
    /// The end.
    pub ended: Option<Instant>,
}

/// Errors as they come, of which the latest are kept.
#[derive(Debug)]
pub(crate) struct ErrorLog {
    kept: std::collections::VecDeque<Arc<ServiceError>>,
    max: usize,
    suppressed: u64,
}

impl ErrorLog {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            kept: std::collections::VecDeque::new(),
            max,
            suppressed: 0,
        }
    }

    pub(crate) fn push(&mut self, error: Arc<ServiceError>) {
        self.kept.push_back(error);
        if self.kept.len() > self.max {
            self.kept.pop_front();
            self.suppressed += 1;
        }
    }

    pub(crate) fn suppress(&mut self, count: u64) {
        self.suppressed += count;
    }

    pub(crate) fn last(&self) -> Option<&Arc<ServiceError>> {
        self.kept.back()
    }

    pub(crate) fn to_parts(&self) -> (Box<[Arc<ServiceError>]>, u64) {
        (self.kept.iter().cloned().collect(), self.suppressed)
    }
}
