//! Passwords that were found right lately.
//!
//! When ten thousand clients come back at once, each with the password that it had before,
//! hashing all of them again would take minutes. What is remembered is a keyed hash that
//! is of no use outside this process and is forgotten with it; wrong passwords are not
//! remembered and always cost the whole.

use std::collections::{HashSet, VecDeque};

use aws_lc_rs::{hmac, rand};

use super::secret::Secret;

/// How many are remembered.
pub(super) const KNOWN_MAX: usize = 16_384;

type Mark = [u8; 32];

#[derive(Debug)]
pub(super) struct Known {
    key: hmac::Key,
    marks: HashSet<Mark>,
    /// The same, oldest first.
    order: VecDeque<Mark>,
}

impl Known {
    /// None if the system gives no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        Some(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            marks: HashSet::new(),
            order: VecDeque::new(),
        })
    }

    /// Of this password for this secret: another salt makes another mark.
    pub(super) fn mark(&self, secret: &Secret, password: &[u8]) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(secret.to_string().as_bytes());
        // Stands in no secret.
        context.update(b"\n");
        context.update(password);
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    pub(super) fn contains(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    pub(super) fn add(&mut self, mark: Mark) {
        if !self.marks.insert(mark) {
            return;
        }
        self.order.push_back(mark);
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.marks.remove(&oldest);
        }
    }
}
