//! Who publishes what to whom.

use super::ledger::{Audience, STAMP_BYTES};
use tidegate_mqtt::codec::QualityOfService;

/// Messages of one kind between a number of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) shape: Shape,
    pub(crate) qos: QualityOfService,
    pub(crate) payload_bytes: usize,
    /// Messages of each publisher that may be under way in a closed loop.
    pub(crate) window: u32,
}

/// Which subscriber gets what a publisher sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// To each publisher its own subscriber and topic.
    Pairs(usize),
    /// One publisher, and all get everything.
    FanOut(usize),
    /// One subscriber gets what all publish, on one topic.
    FanIn(usize),
    /// Many publish and few share what comes.
    Shared {
        publishers: usize,
        subscribers: usize,
    },
    /// Pairs whose subscribers have so many wildcard filters together; each message is for
    /// another one.
    Filters { pairs: usize, filters: usize },
}

impl Flow {
    /// Short messages.
    pub(crate) const fn short(shape: Shape, qos: QualityOfService, window: u32) -> Self {
        Self {
            shape,
            qos,
            payload_bytes: STAMP_BYTES,
            window,
        }
    }

    /// How many publish.
    pub(crate) const fn publishers(&self) -> usize {
        match self.shape {
            Shape::Pairs(pairs) | Shape::Filters { pairs, .. } => pairs,
            Shape::FanOut(_) => 1,
            Shape::FanIn(publishers) | Shape::Shared { publishers, .. } => publishers,
        }
    }

    /// How many subscribe.
    pub(crate) const fn subscribers(&self) -> usize {
        match self.shape {
            Shape::Pairs(pairs) | Shape::Filters { pairs, .. } => pairs,
            Shape::FanOut(subscribers) | Shape::Shared { subscribers, .. } => subscribers,
            Shape::FanIn(_) => 1,
        }
    }

    /// How many get each message.
    pub(crate) const fn copies(&self) -> u64 {
        match self.shape {
            Shape::FanOut(subscribers) => subscribers as u64,
            _ => 1,
        }
    }

    /// What the account of it is to expect.
    pub(crate) const fn audience(&self) -> Audience {
        match self.shape {
            Shape::Shared { .. } => Audience::OneOf,
            _ => Audience::Each,
        }
    }

    /// What a publisher sends to, in turn.
    pub(crate) fn topics(&self, publisher: usize) -> Vec<String> {
        match self.shape {
            Shape::Pairs(_) => vec![format!("pair/{publisher}")],
            Shape::FanOut(_) | Shape::FanIn(_) | Shape::Shared { .. } => vec!["all".to_owned()],
            Shape::Filters { pairs, filters } => (publisher..filters)
                .step_by(pairs)
                .map(|number| format!("site/{number}/door/state"))
                .collect(),
        }
    }

    /// What a subscriber subscribes to.
    pub(crate) fn filters(&self, subscriber: usize) -> Vec<String> {
        match self.shape {
            Shape::Pairs(_) => vec![format!("pair/{subscriber}")],
            Shape::FanOut(_) | Shape::FanIn(_) => vec!["all".to_owned()],
            Shape::Shared { .. } => vec!["$share/group/all".to_owned()],
            Shape::Filters { pairs, filters } => (subscriber..filters)
                .step_by(pairs)
                .map(|number| format!("site/{number}/+/state"))
                .collect(),
        }
    }
}
