//! The outermost handler of a site: notes each request in the access log when
//! its response has been passed on, or given up.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use tidegate_http::headers::FieldValue;
use tidegate_http::{Body, Context, Exchange, Fault, Response};
use tidegate_runtime::clock;
use tidegate_runtime::deadline::Deadline;
use tidegate_service::{AsyncMakeService, Service};

use crate::access_log::{Entry, LogBuffer, LogLimits, LogSender};

/// Whether a site's requests are logged, and how.
#[derive(Clone, Debug, Default)]
pub enum LogMode {
    /// They are not.
    #[default]
    Off,
    /// They are.
    On {
        /// The way to the writer.
        sender: LogSender,
        /// How much a worker holds back, and for how long.
        limits: LogLimits,
    },
}

/// Logs requests around `inner`. Turning the log on or off is a setting of this
/// handler, so that the state of what is behind it survives the change.
#[derive(Debug)]
pub struct Logged<S> {
    site: Rc<str>,
    buffer: Option<Rc<LogBuffer>>,
    inner: S,
}

impl<S> Service<Exchange> for Logged<S>
where
    S: Service<Exchange, Response = Response, Error = Fault>,
{
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        match &self.buffer {
            None => self.inner.call(exchange).await,
            // Boxed: a record is large, and without a log there is none.
            Some(buffer) => Box::pin(self.record(exchange, buffer)).await,
        }
    }
}

impl<S> Logged<S>
where
    S: Service<Exchange, Response = Response, Error = Fault>,
{
    async fn record(
        &self,
        mut exchange: Exchange,
        buffer: &Rc<LogBuffer>,
    ) -> Result<Response, Fault> {
        let mut record = Record::begin(&self.site, buffer, &exchange);
        let counter = &record.request_bytes;
        exchange.request = exchange.request.map(|body| counted(body, counter));
        let outcome = self.inner.call(exchange).await;
        record.note_upstream_time();
        match outcome {
            Ok(response) => Ok(record.follow(response)),
            Err(fault) => {
                record.status = fault.kind().status().as_u16();
                record.fault = Some(fault.kind().name());
                Err(fault)
            }
        }
    }
}

/// What is known of a request so far; written when it is dropped.
struct Record {
    site: Rc<str>,
    buffer: Rc<LogBuffer>,
    context: Context,
    time: SystemTime,
    begun: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    request_bytes: Rc<std::cell::Cell<u64>>,
    response_bytes: u64,
    status: u16,
    fault: Option<&'static str>,
}

impl Record {
    fn begin(site: &Rc<str>, buffer: &Rc<LogBuffer>, exchange: &Exchange) -> Self {
        let request = &exchange.request;
        let field = |name: HeaderName| request.headers().get(name).map(FieldValue::to_value);
        Self {
            site: site.clone(),
            buffer: buffer.clone(),
            context: exchange.context.clone(),
            time: clock::wall(),
            begun: clock::precise(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: field(HOST),
            user_agent: field(USER_AGENT),
            referer: field(REFERER),
            request_bytes: Rc::default(),
            response_bytes: 0,
            // What a client is told that left before it was answered: nothing.
            status: 0,
            fault: Some("client_gone"),
        }
    }

    /// Taken here, where it is wanted, rather than by whoever asks the upstream: the
    /// difference is the search for a route.
    fn note_upstream_time(&self) {
        self.context.note(|facts| {
            if facts.upstream.is_some() {
                facts.upstream_time = Some(clock::precise().duration_since(self.begun));
            }
        });
    }

    /// Goes along with the response's body, if that is still to be pulled.
    fn follow(mut self, response: Response) -> Response {
        self.status = response.status().as_u16();
        self.fault = None;
        if let Some(bytes) = response.body().as_full() {
            self.response_bytes = bytes.len() as u64;
            return response;
        }
        if response.body().is_upgrade() {
            return response;
        }
        self.fault = Some("client_gone");
        response.map(|body| Body::stream(Followed { body, record: self }))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let peer = self.context.connection().peer.to_string();
        self.context.facts(|facts| {
            let entry = Entry {
                time: self.time,
                site: &self.site,
                generation: self.context.connection().generation,
                peer: &peer,
                method: self.method.as_str(),
                host: self.host.as_ref().map(HeaderValue::as_bytes),
                path: self
                    .uri
                    .path_and_query()
                    .map_or(b"" as &[u8], |path| path.as_str().as_bytes()),
                protocol: protocol(self.version),
                status: self.status,
                request_bytes: self.request_bytes.get(),
                response_bytes: self.response_bytes,
                duration: clock::precise().duration_since(self.begun),
                route: facts.route.as_deref(),
                upstream: facts.upstream.as_deref(),
                endpoint: facts.endpoint.as_deref(),
                upstream_time: facts.upstream_time,
                retries: facts.retries,
                call: facts.call.as_deref(),
                user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
                referer: self.referer.as_ref().map(HeaderValue::as_bytes),
                fault: self.fault,
            };
            self.buffer.record(&entry, clock::now());
        });
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// A response body that takes its record along.
struct Followed {
    body: Body,
    record: Record,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.record.response_bytes += length;
                if this.body.is_end_stream() {
                    this.record.fault = None;
                }
            }
            None => this.record.fault = None,
            Some(Err(fault)) => this.record.fault = Some(fault.kind().name()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request body whose bytes are counted as they are pulled.
fn counted(body: Body, count: &Rc<std::cell::Cell<u64>>) -> Body {
    if body.is_at_hand() {
        count.set(body.size_hint().exact().unwrap_or(0));
        return body;
    }
    let count = count.clone();
    body.inspect(move |frame| {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        count.set(count.get() + length);
        Ok(())
    })
}

/// Makes [`Logged`] handlers. A worker's buffer is handed from one to the next.
#[derive(Clone, Debug)]
pub struct LoggedFactory<F> {
    site: Arc<str>,
    mode: LogMode,
    inner: F,
}

impl<F> LoggedFactory<F> {
    /// A factory for the site called `site`.
    pub fn new(site: impl Into<Arc<str>>, mode: LogMode, inner: F) -> Self {
        Self {
            site: site.into(),
            mode,
            inner,
        }
    }
}

impl LogMode {
    /// A worker's buffer, which is `old` if that leads to the same place.
    pub(crate) fn buffer(&self, old: Option<&Rc<LogBuffer>>) -> Option<Rc<LogBuffer>> {
        let Self::On { sender, limits } = self else {
            return None;
        };
        if let Some(old) = old.filter(|old| old.leads_to(sender, *limits)) {
            return Some(old.clone());
        }
        let buffer = Rc::new(LogBuffer::with_limits(sender.clone(), *limits));
        tokio::task::spawn_local(flush(Rc::downgrade(&buffer), *limits));
        Some(buffer)
    }
}

/// Hands lines over that nobody followed, until the buffer is gone.
async fn flush(buffer: Weak<LogBuffer>, limits: LogLimits) {
    let deadline = Deadline::new();
    loop {
        deadline.arm(limits.flush_after);
        deadline.elapsed().await;
        let Some(buffer) = buffer.upgrade() else {
            return;
        };
        buffer.flush_due(clock::now());
    }
}

impl<F> AsyncMakeService for LoggedFactory<F>
where
    F: AsyncMakeService<Error = Infallible>,
{
    type Service = Logged<F::Service>;
    type Error = Infallible;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Infallible> {
        let inner = self.inner.make_via_ref(old.map(|old| &old.inner)).await?;
        Ok(Logged {
            site: Rc::from(&*self.site),
            buffer: self.mode.buffer(old.and_then(|old| old.buffer.as_ref())),
            inner,
        })
    }
}
