//! Both directions of one exchange with a server.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::BytesMut;
use http::{Method, StatusCode};
use http_body::Body as _;
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::clock;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::Limit;

use super::super::codec::{
    BodyEncoder, ConnectionIntent, ParseError, ResponseHead, ResponseParser,
};
use crate::body::Body;
use crate::client::{ClientConnection, ClientSettings, ConnectionHome, Progress, SendFailure};
use crate::context::Context;
use crate::fault::{Fault, FaultKind};
use crate::write::{Outbox, Rest};

/// The most informational responses one request may be answered with.
const INFORMATIONAL_MAX: usize = 16;

/// The request on its way out.
pub(super) struct Upload {
    body: Body,
    encoder: BodyEncoder,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The head goes out; the body waits for `100 Continue`.
    Expecting,
    /// There is more of the body to pull.
    Pulling,
    /// What is in the outbox is the last of it.
    Flushing,
    Done,
    /// The server takes no more; it may still answer.
    Broken,
}

impl Upload {
    pub(super) fn new(body: Body, encoder: BodyEncoder, expects_continue: bool) -> Self {
        let stage = if body.is_empty() {
            Stage::Flushing
        } else if expects_continue {
            Stage::Expecting
        } else {
            Stage::Pulling
        };
        Self {
            body,
            encoder,
            stage,
        }
    }
}

/// Boxed: it changes hands several times, and is large.
pub(super) struct Flow {
    pub(super) connection: ClientConnection,
    pub(super) settings: Rc<ClientSettings>,
    pub(super) input: BytesMut,
    pub(super) outbox: Outbox,
    pub(super) intent: ConnectionIntent,
    upload: Upload,
    parser: ResponseParser,
    informed: usize,
    /// Whether any byte of a response has arrived.
    answered: bool,
    /// Whether the stream has been asked to tell when it is readable.
    is_awaited: bool,
    /// Whether the request's body is waited for, so that the server is not.
    starved: bool,
}

impl Flow {
    pub(super) fn new(
        connection: ClientConnection,
        settings: Rc<ClientSettings>,
        upload: Upload,
    ) -> Box<Self> {
        let mut outbox = Outbox::default();
        outbox.lead = buffer::take(BufferSize::Head);
        Box::new(Self {
            connection,
            settings,
            input: BytesMut::new(),
            outbox,
            intent: ConnectionIntent::Close,
            upload,
            parser: ResponseParser::new(),
            informed: 0,
            answered: false,
            is_awaited: false,
            starved: false,
        })
    }

    /// Pushes the request on. Only a fault of the body's own source is an error;
    /// a server that takes no more may have answered already.
    pub(super) fn poll_upload(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Fault>> {
        loop {
            let upload = &mut self.upload;
            if upload.stage == Stage::Pulling && self.outbox.has_room() {
                match Pin::new(&mut upload.body).poll_frame(cx) {
                    Poll::Ready(frame) => {
                        if std::mem::take(&mut self.starved) {
                            self.connection.deadline.arm(self.settings.response_timeout);
                        }
                        let frame = frame.transpose()?;
                        let rest = self.outbox.put(frame, &upload.body, &mut upload.encoder)?;
                        if rest == Rest::None {
                            upload.stage = Stage::Flushing;
                        }
                    }
                    Poll::Pending if self.outbox.is_empty() => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            if matches!(self.upload.stage, Stage::Done | Stage::Broken) {
                return Poll::Ready(Ok(()));
            }
            let mut sent = 0;
            let io = &mut self.connection.io;
            let sending = self.outbox.poll_send(io, cx, &mut sent);
            if sent > 0 && self.upload.stage == Stage::Pulling {
                self.connection.deadline.arm(self.settings.response_timeout);
            }
            match ready!(sending) {
                Err(_) => {
                    self.upload.stage = Stage::Broken;
                    self.outbox = Outbox::default();
                }
                Ok(()) if self.upload.stage == Stage::Flushing => {
                    self.upload.stage = Stage::Done;
                    let lead = std::mem::take(&mut self.outbox.lead);
                    buffer::give(lead, BufferSize::Head);
                }
                Ok(()) if self.upload.stage == Stage::Expecting => return Poll::Pending,
                Ok(()) => {}
            }
        }
    }

    pub(super) fn poll_head(
        &mut self,
        cx: &mut TaskContext<'_>,
        method: &Method,
        context: &Context,
    ) -> Poll<Result<ResponseHead, SendFailure>> {
        // The body's source failed: without the rest of it there is no request.
        if let Poll::Ready(Err(fault)) = self.poll_upload(cx) {
            return Poll::Ready(Err(SendFailure {
                fault,
                progress: Progress::Begun,
            }));
        }
        loop {
            if !self.input.is_empty() {
                match self
                    .parser
                    .parse(&mut self.input, method, &self.settings.limits)
                {
                    Ok(None) => {}
                    Ok(Some(head)) if head.is_informational() => {
                        self.inform(head, context)?;
                        if let Poll::Ready(Err(fault)) = self.poll_upload(cx) {
                            return Poll::Ready(Err(self.failure(fault)));
                        }
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Err(error) => return Poll::Ready(Err(self.failure(protocol_fault(error)))),
                }
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => self.answered = true,
                Poll::Ready(Ok(0)) => {
                    let fault = Fault::new(FaultKind::UpstreamReset, "closed without a response");
                    return Poll::Ready(Err(self.failure(fault)));
                }
                Poll::Ready(Err(error)) => {
                    let fault = Fault::new(FaultKind::UpstreamReset, error.to_string());
                    return Poll::Ready(Err(self.failure(fault)));
                }
                // Its source keeps the server waiting, and has a limit of its own.
                Poll::Pending if self.upload.stage == Stage::Pulling && self.outbox.is_empty() => {
                    self.starved = true;
                    self.connection.deadline.disarm();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    ready!(self.connection.deadline.poll_elapsed(cx));
                    self.overdue()?;
                    if let Poll::Ready(Err(fault)) = self.poll_upload(cx) {
                        return Poll::Ready(Err(self.failure(fault)));
                    }
                }
            }
        }
    }

    /// Leave to send the body is waited for in vain, then a response is.
    fn overdue(&mut self) -> Result<(), SendFailure> {
        if self.upload.stage == Stage::Expecting {
            self.proceed();
            return Ok(());
        }
        Err(SendFailure {
            fault: Fault::late(
                FaultKind::UpstreamTimeout,
                Limit::UpstreamResponseTimeout,
                "no response in time",
            ),
            progress: Progress::Begun,
        })
    }

    fn failure(&self, fault: Fault) -> SendFailure {
        let progress = if self.answered {
            Progress::Begun
        } else {
            Progress::NoResponse
        };
        SendFailure { fault, progress }
    }

    fn inform(&mut self, head: ResponseHead, context: &Context) -> Result<(), SendFailure> {
        self.informed += 1;
        if self.informed > INFORMATIONAL_MAX {
            let fault = Fault::new(
                FaultKind::UpstreamProtocol,
                "too many informational responses",
            );
            return Err(self.failure(fault));
        }
        if head.parts.status == StatusCode::CONTINUE {
            self.proceed();
        } else {
            context.inform(head.parts.status, head.parts.headers);
        }
        Ok(())
    }

    /// The longest the server may take for its next step.
    pub(super) fn patience(&self) -> std::time::Duration {
        match self.upload.stage {
            Stage::Expecting => self.settings.continue_timeout,
            _ => self.settings.response_timeout,
        }
    }

    /// Sends the body that waited for leave.
    fn proceed(&mut self) {
        if self.upload.stage == Stage::Expecting {
            self.upload.stage = Stage::Pulling;
            self.connection.deadline.arm(self.settings.response_timeout);
        }
    }

    /// Reads more of the response; holds a buffer only while there is something in it.
    pub(super) fn poll_fill(&mut self, cx: &mut TaskContext<'_>) -> Poll<std::io::Result<usize>> {
        // No buffer is taken before the server is heard of; a second call means it was.
        if self.input.capacity() == 0 && !std::mem::replace(&mut self.is_awaited, true) {
            ready!(self.connection.io.poll_readable(cx))?;
        }
        if self.input.is_empty() && !self.input.try_reclaim(BufferSize::Body.bytes()) {
            self.input = buffer::take(BufferSize::Body);
        } else if self.input.capacity() == self.input.len() {
            self.input.reserve(BufferSize::Body.bytes());
        }
        let read = self.connection.io.poll_read_into(cx, &mut self.input);
        if read.is_pending() && self.input.is_empty() {
            self.is_awaited = false;
            buffer::give(std::mem::take(&mut self.input), BufferSize::Body);
        }
        read
    }

    /// The response has been read: the connection goes home if it can be used again.
    pub(super) fn finish(mut self: Box<Self>, home: &Rc<dyn ConnectionHome>) {
        let reusable = self.intent == ConnectionIntent::KeepAlive
            && self.upload.stage == Stage::Done
            && self.input.is_empty();
        buffer::give(std::mem::take(&mut self.input), BufferSize::Body);
        if reusable {
            self.connection.idle_since = clock::now();
            home.give_back(self.connection);
        }
    }

    /// Whether the request has gone out whole, so that the connection may outlive it.
    pub(super) fn is_uploaded(&self) -> bool {
        self.upload.stage == Stage::Done
    }

    pub(super) fn into_io(self: Box<Self>) -> Io {
        self.connection.io
    }
}

/// The server's message is wrong: that is nothing the client can be told of.
pub(super) fn protocol_fault(error: ParseError) -> Fault {
    Fault::new(FaultKind::UpstreamProtocol, error.to_string())
}
