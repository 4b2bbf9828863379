//! Lists of sessions, subscriptions and retained messages, a page at a time.

use std::fmt;
use std::net::IpAddr;
use std::num::ParseIntError;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use super::super::core::Core;
use super::{NoAnswer, Operator};
use crate::broker::inspect::{SessionView, SubscriptionView};
use crate::broker::shard::{ShardId, shard_of};
use crate::codec::{ProtocolVersion, TopicFilter};

/// The most entries of one page; of subscriptions also the rest of a session's.
pub const PAGE_MAX: usize = 1_000;

/// Places of sessions that are looked at in one visit of a core.
const PLACES_PER_VISIT: u32 = 1_024;

/// Visits for one page. A page of few entries among many sessions ends early, and says
/// where to go on.
const VISITS_PER_PAGE: usize = 64;

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C = Cursor> {
    /// The entries, in no promised order but for retained messages, which are sorted.
    pub entries: Vec<T>,
    /// Where the next page begins; none if this was the last.
    pub next: Option<C>,
}

/// A place in a list of sessions. Written as `CORE.PLACE`, as `0.0` for the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    core: u8,
    place: u32,
}

/// A text is no [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It has no dot.
    #[error("expected CORE.PLACE, as a page before has it")]
    Form,
    /// It has something else than numbers.
    #[error("expected CORE.PLACE, as a page before has it: {0}")]
    Number(#[from] ParseIntError),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.core, self.place)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (core, place) = text.split_once('.').ok_or(CursorError::Form)?;
        Ok(Self {
            core: core.parse()?,
            place: place.parse()?,
        })
    }
}

/// Which sessions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    All,
    /// Those with a connection.
    Connected,
}

/// A session, as it stood when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Client Identifier.
    pub client_id: Box<str>,
    /// The name its last connection authenticated as.
    pub user: Option<Box<str>>,
    /// Where that came from; none for a Unix socket.
    pub address: Option<IpAddr>,
    /// The version its connection speaks; none if it has no connection.
    pub version: Option<ProtocolVersion>,
    /// Session Expiry Interval, in seconds.
    pub expiry_secs: u32,
    /// How long it still lasts, if it is not connected and ever ends.
    pub ends_in: Option<Duration>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// Bytes of those.
    pub queued_bytes: usize,
    /// Messages sent and not acknowledged.
    pub inflight: usize,
    /// Messages of QoS 2 received and not released.
    pub received: usize,
    /// The core it is on.
    pub core: u8,
}

/// A subscription of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionReport {
    /// Whose it is.
    pub client_id: Box<str>,
    /// What is subscribed to, and with which QoS.
    pub subscription: SubscriptionView,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedReport {
    /// Its topic.
    pub topic: Box<str>,
    /// The bytes of its payload.
    pub payload_bytes: usize,
}

impl Operator {
    /// Sessions from `from` on, at most `count` and at most [`PAGE_MAX`].
    ///
    /// # Errors
    ///
    /// The core that is to be asked next does not answer.
    pub async fn sessions(
        &self,
        which: Which,
        from: Cursor,
        count: usize,
    ) -> Result<Page<SessionReport>, NoAnswer> {
        self.walk(from, count, move |core, session, entries| {
            if which == Which::All || session.connection.is_some() {
                entries.push(report(core, session));
            }
        })
        .await
    }

    /// Subscriptions of the sessions from `from` on, at most about `count`: those of one
    /// session are not spread over pages.
    ///
    /// # Errors
    ///
    /// As for [`sessions`](Self::sessions).
    pub async fn subscriptions(
        &self,
        from: Cursor,
        count: usize,
    ) -> Result<Page<SubscriptionReport>, NoAnswer> {
        self.walk(from, count, |core, session, entries| {
            if session.subscriptions > 0 {
                entries.extend(subscriptions(core, session.client_id));
            }
        })
        .await
    }

    /// What one client subscribes to; nothing if it has no session.
    ///
    /// # Errors
    ///
    /// Its core does not answer.
    pub async fn subscriptions_of(
        &self,
        client_id: &str,
    ) -> Result<Vec<SubscriptionReport>, NoAnswer> {
        let home = shard_of(client_id, self.cores());
        let client_id: Box<str> = client_id.into();
        self.ask(home, move |core| subscriptions(core, &client_id))
            .await
    }

    /// Retained messages whose topics match `filter`, after the topic `after`, at most
    /// `count` and at most [`PAGE_MAX`].
    ///
    /// # Errors
    ///
    /// No core answers.
    pub async fn retained(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        count: usize,
    ) -> Result<Page<RetainedReport, Box<str>>, NoAnswer> {
        let mut answer = Err(NoAnswer);
        // Every core has all of them.
        for shard in self.shards() {
            let (filter, after) = (Box::from(filter.as_str()), after.map(Box::from));
            let count = count.clamp(1, PAGE_MAX);
            let question = move |core: &Rc<Core>| retained(core, &filter, after, count);
            answer = self.ask(shard, question).await;
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    /// Visits sessions until there are `count` entries.
    async fn walk<T: Send + 'static>(
        &self,
        from: Cursor,
        count: usize,
        look: impl Fn(&Core, &SessionView<'_>, &mut Vec<T>) + Copy + Send + 'static,
    ) -> Result<Page<T>, NoAnswer> {
        let count = count.clamp(1, PAGE_MAX);
        let (mut entries, mut cursor) = (Vec::new(), from);
        for _ in 0..VISITS_PER_PAGE {
            if cursor.core >= self.cores() {
                let next = None;
                return Ok(Page { entries, next });
            }
            let (place, missing) = (cursor.place, count - entries.len());
            let question = move |core: &Rc<Core>| part(core, place, missing, look);
            let part = self.ask(ShardId(cursor.core), question).await?;
            entries.extend(part.entries);
            cursor = match part.next {
                Some(place) => Cursor { place, ..cursor },
                None => Cursor {
                    core: cursor.core + 1,
                    place: 0,
                },
            };
            if entries.len() >= count {
                break;
            }
        }
        let next = (cursor.core < self.cores()).then_some(cursor);
        Ok(Page { entries, next })
    }
}

fn part<T>(
    core: &Core,
    from: u32,
    count: usize,
    look: impl Fn(&Core, &SessionView<'_>, &mut Vec<T>),
) -> Page<T, u32> {
    let broker = core.broker();
    let mut entries = Vec::new();
    for (place, session) in broker.sessions_from(from, PLACES_PER_VISIT) {
        look(core, &session, &mut entries);
        if entries.len() >= count {
            let next = broker.place_after(place, 1);
            return Page { entries, next };
        }
    }
    Page {
        entries,
        next: broker.place_after(from, PLACES_PER_VISIT),
    }
}

fn report(core: &Core, session: &SessionView<'_>) -> SessionReport {
    SessionReport {
        client_id: session.client_id.into(),
        user: session.identity.user.clone(),
        address: session.identity.address,
        version: session.connection.map(|(_, version)| version),
        expiry_secs: session.expiry_secs,
        ends_in: session.ends_at.map(|end| end.since(core.now())),
        subscriptions: session.subscriptions,
        queued: session.queued,
        queued_bytes: session.queued_bytes,
        inflight: session.inflight,
        received: session.received,
        core: core.here().0,
    }
}

fn subscriptions(core: &Core, client_id: &str) -> Vec<SubscriptionReport> {
    let subscriptions = core.broker().subscriptions_of(client_id);
    subscriptions
        .into_iter()
        .map(|subscription| SubscriptionReport {
            client_id: client_id.into(),
            subscription,
        })
        .collect()
}

fn retained(
    core: &Core,
    filter: &str,
    after: Option<Box<str>>,
    count: usize,
) -> Page<RetainedReport, Box<str>> {
    let broker = core.broker();
    let found = broker.retained_matching(filter, after.as_deref(), count);
    // A full page may be followed by an empty one, which is the last.
    let next = match found.last() {
        Some((topic, _)) if found.len() >= count => Some((*topic).into()),
        _ => None,
    };
    let entries = found.into_iter().map(|(topic, bytes)| RetainedReport {
        topic: topic.into(),
        payload_bytes: bytes,
    });
    Page {
        entries: entries.collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor {
            core: 3,
            place: 4_711,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("7".parse::<Cursor>(), Err(CursorError::Form));
        assert!("1.x".parse::<Cursor>().is_err());
        assert!("256.0".parse::<Cursor>().is_err());
    }
}
