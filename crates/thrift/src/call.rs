//! What a handler is given and what it answers.

use std::future::Future;

use tidegate_service::Service;

use crate::codec::Message;
use crate::context::Context;
use crate::fault::Fault;

/// One call on its way through a chain, with what is known about it.
#[derive(Debug)]
pub struct Call {
    /// The message: of kind [`Call`](crate::codec::MessageKind::Call) or
    /// [`OneWay`](crate::codec::MessageKind::OneWay).
    pub message: Message,
    /// Its context.
    pub context: Context,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply or an exception, in whatever transport and protocol: the server puts it into
    /// those of the client, and the call's sequence id with it.
    Message(Message),
    /// Nothing, which is right for a one-way call alone.
    Nothing,
}

/// A service that answers Thrift calls.
///
/// Implemented for every [`Service`] of the right shape; implement that one. A [`Fault`]
/// becomes the exception its kind stands for; a one-way call is not answered, whatever
/// comes of it. Dropping the returned future gives the call up.
pub trait ThriftHandler: 'static {
    /// Answers one call.
    fn handle(&self, call: Call) -> impl Future<Output = Result<Answer, Fault>>;
}

impl<S> ThriftHandler for S
where
    S: Service<Call, Response = Answer, Error = Fault> + 'static,
{
    fn handle(&self, call: Call) -> impl Future<Output = Result<Answer, Fault>> {
        self.call(call)
    }
}
