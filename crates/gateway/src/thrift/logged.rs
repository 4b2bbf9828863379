//! Notes each call in the access log when its answer is there, or it was given up.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tidegate_runtime::clock;
use tidegate_service::{AsyncMakeService, Service};
use tidegate_thrift::codec::{Message, Protocol, Transport, Wire};
use tidegate_thrift::{Answer, Call, Context, Fault};

use super::outcome_of;
use crate::access_log::{CallEntry, LogBuffer};
use crate::logged::LogMode;

/// Logs calls around `inner`. Turning the log on or off is a setting of this handler, so
/// that the state of what is behind it survives the change.
#[derive(Debug)]
pub struct ThriftLogged<S> {
    site: Rc<str>,
    buffer: Option<Rc<LogBuffer>>,
    inner: S,
}

impl<S> Service<Call> for ThriftLogged<S>
where
    S: Service<Call, Response = Answer, Error = Fault>,
{
    type Response = Answer;
    type Error = Fault;

    async fn call(&self, call: Call) -> Result<Answer, Fault> {
        let Some(buffer) = &self.buffer else {
            return self.inner.call(call).await;
        };
        let mut record = Record::begin(&self.site, buffer, &call);
        // Boxed: without a log there is none of it.
        let outcome = Box::pin(self.inner.call(call)).await;
        record.note(&outcome);
        outcome
    }
}

/// What is known of a call so far; written when it is dropped.
struct Record {
    site: Rc<str>,
    buffer: Rc<LogBuffer>,
    context: Context,
    time: SystemTime,
    begun: Instant,
    asked: Message,
    response_bytes: u64,
    outcome: &'static str,
    fault: Option<&'static str>,
}

impl Record {
    fn begin(site: &Rc<str>, buffer: &Rc<LogBuffer>, call: &Call) -> Self {
        Self {
            site: Rc::clone(site),
            buffer: Rc::clone(buffer),
            context: call.context.clone(),
            time: clock::wall(),
            begun: clock::precise(),
            asked: call.message.clone(),
            response_bytes: 0,
            // What a call comes to whose connection is dropped.
            outcome: "fault",
            fault: Some("given_up"),
        }
    }

    fn note(&mut self, outcome: &Result<Answer, Fault>) {
        self.outcome = outcome_of(outcome).name();
        self.fault = outcome.as_ref().err().map(|fault| fault.kind().name());
        if let Ok(Answer::Message(message)) = outcome {
            self.response_bytes = message.body.len() as u64;
        }
        self.context.note(|facts| {
            if facts.upstream.is_some() {
                facts.upstream_time = Some(clock::precise().duration_since(self.begun));
            }
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let peer = self.context.connection().peer.to_string();
        self.context.facts(|facts| {
            let entry = CallEntry {
                time: self.time,
                site: &self.site,
                peer: &peer,
                method: &self.asked.envelope.method,
                protocol: spelling(self.asked.wire),
                sequence_id: self.asked.envelope.sequence_id,
                outcome: self.outcome,
                request_bytes: self.asked.body.len() as u64,
                response_bytes: self.response_bytes,
                duration: clock::precise().duration_since(self.begun),
                route: facts.route.as_deref(),
                upstream: facts.upstream.as_deref(),
                endpoint: facts.endpoint.as_deref(),
                upstream_time: facts.upstream_time,
                retries: facts.retries,
                fault: self.fault,
            };
            self.buffer.record_call(&entry, clock::now());
        });
    }
}

const fn spelling(wire: Wire) -> &'static str {
    match (wire.transport, wire.protocol) {
        (Transport::Unframed, Protocol::Binary) => "unframed/binary",
        (Transport::Unframed, Protocol::BinaryOld) => "unframed/binary_old",
        (Transport::Unframed, Protocol::Compact) => "unframed/compact",
        (Transport::Framed, Protocol::Binary) => "framed/binary",
        (Transport::Framed, Protocol::BinaryOld) => "framed/binary_old",
        (Transport::Framed, Protocol::Compact) => "framed/compact",
        (Transport::TtHeader, Protocol::Binary) => "ttheader/binary",
        (Transport::TtHeader, Protocol::BinaryOld) => "ttheader/binary_old",
        (Transport::TtHeader, Protocol::Compact) => "ttheader/compact",
        (Transport::TtHeaderFramed, Protocol::Binary) => "ttheader_framed/binary",
        (Transport::TtHeaderFramed, Protocol::BinaryOld) => "ttheader_framed/binary_old",
        (Transport::TtHeaderFramed, Protocol::Compact) => "ttheader_framed/compact",
    }
}

/// Makes [`ThriftLogged`] handlers. A worker's buffer is handed from one to the next.
#[derive(Clone, Debug)]
pub struct ThriftLoggedFactory<F> {
    site: Arc<str>,
    mode: LogMode,
    inner: F,
}

impl<F> ThriftLoggedFactory<F> {
    /// A factory for the site called `site`.
    pub fn new(site: impl Into<Arc<str>>, mode: LogMode, inner: F) -> Self {
        Self {
            site: site.into(),
            mode,
            inner,
        }
    }
}

impl<F> AsyncMakeService for ThriftLoggedFactory<F>
where
    F: AsyncMakeService<Error = Infallible>,
{
    type Service = ThriftLogged<F::Service>;
    type Error = Infallible;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Infallible> {
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner)).await?;
        let buffer = old.and_then(|old| old.buffer.as_ref());
        Ok(ThriftLogged {
            site: Rc::from(&*self.site),
            buffer: self.mode.buffer(buffer),
            inner,
        })
    }
}
