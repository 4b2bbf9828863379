//! The encoded head of a message that goes to many receivers alike.

use std::cell::{Cell, OnceCell};

use crate::codec::{EncodedPublish, ProtocolVersion, QualityOfService};

/// In what receivers must be alike to share a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct HeadShape {
    pub(in crate::broker) version: ProtocolVersion,
    pub(in crate::broker) qos: QualityOfService,
    pub(in crate::broker) retain: bool,
}

/// One head, in the shape that a second receiver asked for: with one receiver
/// alone there is nothing to share.
#[derive(Debug, Default)]
pub(in crate::broker) struct SharedHead {
    asked: Cell<bool>,
    head: OnceCell<Box<(HeadShape, EncodedPublish)>>,
}

impl SharedHead {
    /// The head in this shape, if it is the one that is shared.
    pub(in crate::broker) fn get(
        &self,
        shape: HeadShape,
        encode: impl FnOnce() -> Option<EncodedPublish>,
    ) -> Option<&EncodedPublish> {
        if self.head.get().is_none() {
            if !self.asked.replace(true) {
                return None;
            }
            // Set once, here.
            let _ = self.head.set(Box::new((shape, encode()?)));
        }
        let (held, head) = &**self.head.get()?;
        (*held == shape).then_some(head)
    }
}
