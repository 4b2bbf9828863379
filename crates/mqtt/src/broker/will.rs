//! The message a client leaves for the case that its connection fails
//! (section 3.1.2.5).

use std::rc::Rc;

use super::{
    message::{Message, MessageParts},
    time::Moment,
};

#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) message: Rc<Message>,
    /// Will Delay Interval.
    pub(super) delay_secs: u32,
    /// Its Message Expiry Interval, which begins when it is published.
    pub(super) expiry_secs: Option<u32>,
    /// When it is published; none while the connection stands.
    pub(super) due: Option<Moment>,
}

impl Will {
    /// The message as it is published at `now`.
    pub(super) fn published(&self, now: Moment) -> Rc<Message> {
        match self.expiry_secs {
            None => Rc::clone(&self.message),
            Some(secs) => Rc::new(Message::new(MessageParts {
                expires_at: Some(now.plus_secs(secs)),
                ..self.message.parts().clone()
            })),
        }
    }
}
