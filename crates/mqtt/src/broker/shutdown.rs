//! Sending everybody away before the broker ends: each client gets what was
//! queued for it, then DISCONNECT; and not all at once, for they come back.

use std::time::Duration;

use super::{
    Broker, ConnectionId, Newcomers, connect::Slot, expire::TimerKey, link::Phase, time::Moment,
};
use crate::codec::ReasonCode;

/// Clients are sent away in steps at least this far apart.
const STEP: Duration = Duration::from_millis(10);

/// A shutdown under way.
#[derive(Debug)]
pub(super) struct Shutdown {
    reason: ReasonCode,
    newcomers: Newcomers,
    began: Moment,
    per_second: u32,
    /// Clients that have been sent away.
    told: u64,
    /// Connections below this number have been sent away.
    next: usize,
    armed: Option<Moment>,
    is_told: bool,
}

impl Shutdown {
    /// How many more may be sent away now. The first go at once.
    fn left(&self, now: Moment) -> u64 {
        let time = now.since(self.began) + self.step();
        let may = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let may = may.saturating_mul(self.per_second.into()) / 1_000;
        may.saturating_sub(self.told)
    }

    /// The time in which at least one may go.
    fn step(&self) -> Duration {
        STEP.max(Duration::from_millis(
            1_000_u64.div_ceil(self.per_second.into()),
        ))
    }
}

impl Broker {
    pub(super) fn begin_shutdown(&mut self, now: Moment, reason: ReasonCode, newcomers: Newcomers) {
        if let Some(shutdown) = &mut self.shutdown {
            // Those that were let in and have not come to be.
            if shutdown.newcomers != newcomers {
                shutdown.newcomers = newcomers;
                self.turn_to(now, ConnectionId(0));
            }
        } else {
            self.shutdown = Some(Shutdown {
                reason,
                newcomers,
                began: now,
                per_second: self.leaving_per_second(),
                told: 0,
                next: 0,
                armed: None,
                is_told: false,
            });
            self.shut_down_some(now);
        }
    }

    /// Whether nobody is let in any more.
    pub(super) fn is_closed(&self) -> bool {
        let shutdown = self.shutdown.as_ref();
        shutdown.is_some_and(|it| it.newcomers == Newcomers::Refused)
    }

    /// A connection may have to be told although its turn is over.
    pub(super) fn turn_to(&mut self, now: Moment, connection: ConnectionId) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.is_told = false;
            shutdown.next = shutdown.next.min(connection.0 as usize);
            if shutdown.armed.is_none() {
                let due = Some(now + shutdown.step());
                self.timers
                    .arm(TimerKey::Shutdown, &mut shutdown.armed, due);
            }
        }
    }

    /// This core's part of what all may do, or more where the time would not suffice.
    fn leaving_per_second(&self) -> u32 {
        let limits = &self.limits;
        let part = limits
            .shutdown_per_second
            .div_ceil(self.crossing.count().into());
        let within_ms = limits.shutdown_within.as_millis().max(1);
        let needed = (self.open as u128 * 1_000).div_ceil(within_ms);
        part.max(u32::try_from(needed).unwrap_or(u32::MAX)).max(1)
    }

    /// Sends the next clients away.
    pub(super) fn shut_down_some(&mut self, now: Moment) {
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        shutdown.armed = None;
        let (reason, newcomers) = (shutdown.reason, shutdown.newcomers);
        let mut left = shutdown.left(now);
        shutdown.told += left;
        let mut at = shutdown.next;
        while left > 0 && at < self.connections.len() {
            let connection = ConnectionId(at as u32);
            at += 1;
            match &self.connections[at - 1] {
                Slot::Free | Slot::Leaving(_) => continue,
                // Its turn comes again once it is known who it is.
                Slot::Authenticating(_) if newcomers == Newcomers::SeenOff => continue,
                Slot::Authenticating(_) => {
                    self.refuse_begun(connection, ReasonCode::ServerUnavailable);
                }
                Slot::Session(key) => {
                    let key = *key;
                    match &mut self.sessions[key].link {
                        Some(link) if !matches!(link.phase, Phase::Leaving(_)) => {
                            link.phase = Phase::Leaving(reason);
                        }
                        _ => continue,
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
            let due = more.then(|| now + shutdown.step());
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
