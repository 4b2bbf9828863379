//! Sending everybody away before the broker ends: each client gets what was
//! queued for it, then DISCONNECT; and not all at once, for they come back.

use std::time::Duration;

use super::{Broker, ConnectionId, connect::Slot, expire::TimerKey, link::Phase, time::Moment};
use crate::codec::ReasonCode;

/// Clients are sent away in steps this far apart.
const STEP: Duration = Duration::from_millis(10);
const STEPS_PER_SECOND: u32 = 100;

/// A shutdown under way.
#[derive(Debug)]
pub(super) struct Shutdown {
    pub(super) reason: ReasonCode,
    /// Connections below this number have been sent away.
    next: usize,
    armed: Option<Moment>,
    is_told: bool,
}

impl Broker {
    pub(super) fn begin_shutdown(&mut self, now: Moment, reason: ReasonCode) {
        if self.shutdown.is_none() {
            self.shutdown = Some(Shutdown {
                reason,
                next: 0,
                armed: None,
                is_told: false,
            });
            self.shut_down_some(now);
        }
    }

    /// Sends the next clients away.
    pub(super) fn shut_down_some(&mut self, now: Moment) {
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        shutdown.armed = None;
        let reason = shutdown.reason;
        let mut left = (self.limits.shutdown_per_second / STEPS_PER_SECOND).max(1);
        let mut at = shutdown.next;
        while left > 0 && at < self.connections.len() {
            let connection = ConnectionId(at as u32);
            at += 1;
            match &self.connections[at - 1] {
                Slot::Free | Slot::Leaving(_) => continue,
                Slot::Authenticating(_) => {
                    self.refuse_begun(connection, ReasonCode::ServerUnavailable);
                }
                Slot::Session(key) => {
                    let key = *key;
                    if let Some(link) = &mut self.sessions[key].link {
                        link.phase = Phase::Leaving(reason);
                    }
                    self.tell(key);
                }
            }
            left -= 1;
        }
        self.shutdown_stands(now, at);
    }

    fn shutdown_stands(&mut self, now: Moment, next: usize) {
        let more = next < self.connections.len();
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.next = next;
            let due = more.then(|| now + STEP);
            self.timers
                .arm(TimerKey::Shutdown, &mut shutdown.armed, due);
        }
    }

    /// Says once that no connection is left.
    pub(super) fn settle_shutdown(&mut self) {
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        if !shutdown.is_told && shutdown.armed.is_none() && self.open == 0 {
            shutdown.is_told = true;
            self.say_stopped();
        }
    }
}
