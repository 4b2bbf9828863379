//! Where what a client asks for passes a server's chain and hooks, on its way to the core.
//!
//! A chain that answers at once costs its call. One that has to wait gets a task, and what
//! the client has already sent behind the request waits in a lane, in order; meanwhile its
//! link reads no more, so that a lane holds what one read brought, at most.

mod request;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hashbrown::HashMap;
use tidegate_runtime::deadline::Deadline;
use tidegate_service::Service;
use tokio::task::{AbortHandle, spawn_local};

use self::request::{Asked, Heard, refused};
use super::chain::{Handler, MqttRequest, Refused, RequestPacket};
use super::core::Core;
use super::hooks::Hooks;
use crate::broker::{ConnectionId, Input, PublishOut};
use crate::codec::ReasonCode;

/// What a program has put before the core.
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions {
    pub(super) handler: Option<Rc<Handler>>,
    pub(super) hooks: Option<Arc<dyn Hooks>>,
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.handler.is_none() && self.hooks.is_none()
    }
}

/// The gate of one core.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// None: what comes goes through, unseen.
    extensions: RefCell<Option<Extensions>>,
    lanes: RefCell<HashMap<ConnectionId, Lane>>,
}

/// What a client has sent behind a request that the chain has not answered.
#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Input>,
    task: AbortHandle,
    /// The link's, which reads on when the lane is empty.
    waker: Option<Waker>,
}

type Verdict = Result<MqttRequest, Refused>;

/// A request in the chain.
struct Pending {
    asked: Asked,
    verdict: Pin<Box<dyn Future<Output = Verdict>>>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Gate {
    /// Puts something else before the core from now on.
    pub(super) fn exchange(&self, extensions: &Extensions) {
        let wanted = (!extensions.is_empty()).then(|| extensions.clone());
        drop(self.extensions.replace(wanted));
    }

    /// Ready unless a request of the connection waits in the chain.
    pub(super) fn poll_open(&self, connection: ConnectionId, cx: &Context<'_>) -> Poll<()> {
        let mut lanes = self.lanes.borrow_mut();
        if lanes.is_empty() {
            return Poll::Ready(());
        }
        match lanes.get_mut(&connection) {
            Some(lane) => {
                lane.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }

    /// The connection is gone: nobody waits for an answer.
    pub(super) fn forget(&self, connection: ConnectionId) {
        let lane = self.lanes.borrow_mut().remove(&connection);
        if let Some(lane) = lane {
            lane.task.abort();
        }
    }

    /// Puts an input at the end of its connection's lane; gives it back if there is none.
    fn queue(&self, connection: ConnectionId, input: Input) -> Option<Input> {
        match self.lanes.borrow_mut().get_mut(&connection) {
            Some(lane) => {
                lane.waiting.push_back(input);
                None
            }
            None => Some(input),
        }
    }

    /// What is next in a lane, which ends when that is nothing.
    fn next(&self, connection: ConnectionId) -> Option<Input> {
        let mut lanes = self.lanes.borrow_mut();
        let next = lanes.get_mut(&connection)?.waiting.pop_front();
        if next.is_none()
            && let Some(lane) = lanes.remove(&connection)
        {
            drop(lanes);
            if let Some(waker) = lane.waker {
                waker.wake();
            }
        }
        next
    }

    /// Tells the hooks of a message on its way to a client.
    pub(super) fn note_delivery(
        &self,
        core: &Core,
        connection: ConnectionId,
        message: &PublishOut,
    ) {
        let extensions = self.extensions.borrow();
        let Some(hooks) = extensions.as_ref().and_then(|it| it.hooks.clone()) else {
            return;
        };
        drop(extensions);
        if let Some(client) = core.client_of(connection) {
            hooks.on_deliver(&client, message);
        }
    }
}

impl Core {
    /// As [`handle`](Self::handle), for what a client sent: past the chain and the hooks.
    pub(super) fn take_in(self: &Rc<Self>, input: Input) {
        let gate = self.gate();
        if gate.extensions.borrow().is_none() && gate.lanes.borrow().is_empty() {
            self.handle(input);
            return;
        }
        let connection = match &input {
            Input::Connect { connection, .. }
            | Input::Packet { connection, .. }
            | Input::Malformed { connection, .. } => *connection,
            _ => {
                self.handle(input);
                return;
            }
        };
        if let Some(input) = gate.queue(connection, input)
            && let Some(pending) = self.begin(input)
        {
            let task = spawn_local(wait(Rc::downgrade(self), connection, pending));
            let lane = Lane {
                waiting: VecDeque::new(),
                task: task.abort_handle(),
                waker: None,
            };
            gate.lanes.borrow_mut().insert(connection, lane);
        }
    }

    /// Passes an input on to the core, unless the chain takes its time over it.
    fn begin(&self, input: Input) -> Option<Pending> {
        let extensions = self.gate().extensions.borrow().clone();
        let Some(extensions) = extensions else {
            self.handle(input);
            return None;
        };
        let (asked, request) = match self.ask(input) {
            Heard::Request(asked, request) => (asked, request),
            Heard::Else(other) => {
                self.handle(other);
                return None;
            }
        };
        let Some(handler) = extensions.handler else {
            self.decide(asked, Ok(request));
            return None;
        };
        let mut pending = Pending {
            asked,
            verdict: Box::pin(contained(async move { handler.call(request).await })),
        };
        // Most chains know at once; one that does not is asked again by its task.
        let mut cx = Context::from_waker(Waker::noop());
        match pending.verdict.as_mut().poll(&mut cx) {
            Poll::Ready(verdict) => {
                self.decide(pending.asked, verdict);
                None
            }
            Poll::Pending => Some(pending),
        }
    }

    /// Tells the core of a request, and the hooks if it is not refused.
    fn decide(&self, asked: Asked, verdict: Verdict) {
        let input = match verdict.map(|request| asked.changed(request)) {
            Ok(Ok((client, packet))) => {
                let hooks = self.gate().extensions.borrow().clone();
                if let Some(hooks) = hooks.and_then(|it| it.hooks) {
                    match &packet {
                        RequestPacket::Connect(packet) => hooks.on_connect(&client, packet),
                        RequestPacket::Publish(packet) => hooks.on_publish(&client, packet),
                        RequestPacket::Subscribe(packet) => hooks.on_subscribe(&client, packet),
                    }
                }
                asked.into_input(packet)
            }
            Ok(Err(refusal)) | Err(refusal) => refused(asked, refusal.reason),
        };
        self.handle(input);
    }
}

/// Waits for the chain, then for what it says of all that came meanwhile.
async fn wait(core: Weak<Core>, connection: ConnectionId, mut pending: Pending) {
    let deadline = Deadline::new();
    loop {
        let Some(limit) = core.upgrade().map(|core| core.settings().handler_timeout) else {
            return;
        };
        deadline.arm(limit);
        // The core is not held meanwhile: it is to end with its last user.
        let verdict = deadline.run(pending.verdict).await.unwrap_or_else(|_| {
            tracing::warn!(
                ?limit,
                "a chain took too long over a request, which is refused"
            );
            Err(Refused {
                reason: ReasonCode::ServerBusy,
            })
        });
        let Some(core) = core.upgrade() else {
            return;
        };
        core.decide(pending.asked, verdict);
        let next = loop {
            let Some(input) = core.gate().next(connection) else {
                break None;
            };
            if let Some(pending) = core.begin(input) {
                break Some(pending);
            }
        };
        core.settle();
        match next {
            Some(next) => pending = next,
            None => return,
        }
    }
}

/// A chain that panics refuses what it panicked over.
async fn contained(verdict: impl Future<Output = Verdict>) -> Verdict {
    let mut verdict = Box::pin(verdict);
    std::future::poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| verdict.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            tracing::error!("a chain panicked over a request, which is refused");
            Poll::Ready(Err(Refused {
                reason: ReasonCode::ImplementationSpecificError,
            }))
        })
    })
    .await
}
