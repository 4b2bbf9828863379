//! Asking somebody else, over HTTP, who may connect to a broker.
//!
//! The question is a POST of JSON with `client_id`, `user`, `password`, `address` and
//! `server`, each a string or null. The answer has status 200 and is JSON as well:
//! `{"allow": true}` lets the client in under the name that it gave, `"user"` beside it
//! under another, and `"expires_in_seconds"` for no longer than that. `{"allow": false}`
//! refuses it. No answer in time, and any other answer, is no.
//!
//! Connections are kept between questions. One that has ended meanwhile costs nobody the
//! answer: the question is asked again on a new one, so it may come twice.

mod kept;

use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tidegate_gateway::upstream::{EndpointAddress, PoolLimits};
use tidegate_http::body::Body;
use tidegate_http::client::{
    ClientConnection, ClientSettings, ConnectionHome, Outgoing, Progress, Upgrading,
};
use tidegate_http::context::{ConnectionInfo, Context, Scheme};
use tidegate_http::h1::codec::RequestTarget;
use tidegate_http::headers::Headers;
use tidegate_mqtt::access::proof::{Credentials, PendingVerdict, Proof, Verdict};
use tidegate_mqtt::broker::access::Identity;
use tidegate_mqtt::broker::time::Moment;
use tidegate_mqtt::codec::ReasonCode;
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::{Io, PeerAddr};
use tidegate_runtime::tls::ClientTls;
use tokio::sync::Semaphore;

use self::kept::KeptConnections;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How often it is said that there was no good answer: once in this many seconds.
const COMPLAINT_INTERVAL_SECS: u64 = 10;

/// Whom to ask, and how: shared by all workers.
#[derive(Debug)]
pub(super) struct HookSpec {
    pub(super) server: String,
    pub(super) address: EndpointAddress,
    pub(super) tls: Option<(ClientTls, ServerName<'static>)>,
    pub(super) authority: HeaderValue,
    pub(super) target: PathAndQuery,
    pub(super) timeout: Duration,
    pub(super) concurrency: usize,
    pub(super) idle_timeout: Duration,
}

/// The proof that somebody else says so.
#[derive(Debug)]
pub(super) struct HookProof {
    spec: HookSpec,
    turns: Semaphore,
    kept: KeptConnections,
    begun: Instant,
    /// In seconds since `begun`; 0: never.
    complained: AtomicU64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("it did not come in time")]
    Late,
    #[error("the connection failed: {0}")]
    Connect(#[from] io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("the exchange failed: {0}")]
    Exchange(String),
    #[error("the connection ended before the answer: {0}")]
    Ended(String),
    #[error("it has status {0}")]
    Status(StatusCode),
    #[error("it is not what was asked for")]
    Form,
}

impl HookProof {
    pub(super) fn new(spec: HookSpec) -> Self {
        Self {
            turns: Semaphore::new(spec.concurrency),
            kept: KeptConnections::new(PoolLimits {
                idle: spec.concurrency,
                idle_timeout: spec.idle_timeout,
                ..PoolLimits::default()
            }),
            spec,
            begun: Instant::now(),
            complained: AtomicU64::new(0),
        }
    }

    async fn verdict(&self, credentials: &Credentials) -> Verdict {
        let password = credentials.password.as_deref().map(str::from_utf8);
        let Ok(password) = password.transpose() else {
            // JSON cannot say it.
            return Verdict::Refused(ReasonCode::BadUserNameOrPassword);
        };
        let user = credentials.user.as_ref().map(|user| user.as_str());
        let question = json!({
            "server": self.spec.server,
            "client_id": credentials.client_id.as_ref().map(|id| id.as_str()),
            "user": user,
            "password": password,
            "address": credentials.address.map(|address| address.to_string()),
        });
        let deadline = Deadline::new();
        deadline.arm(self.spec.timeout);
        let asked = deadline.run(self.ask(question.to_string().into()));
        let answer = asked.await.map_err(|_| NoAnswer::Late);
        match answer.and_then(|answer| read(&answer?, user)) {
            Ok(Some(identity)) => Verdict::Accepted(Identity {
                address: credentials.address,
                ..identity
            }),
            Ok(None) => Verdict::Refused(ReasonCode::NotAuthorized),
            Err(error) => {
                self.complain(&error);
                Verdict::Refused(ReasonCode::ServerUnavailable)
            }
        }
    }

    async fn ask(&self, question: Bytes) -> Result<Bytes, NoAnswer> {
        // Never closed.
        let _turn = self.turns.acquire().await.map_err(|_| NoAnswer::Late)?;
        let (pool, limits) = (self.kept.here(), self.kept.limits());
        let home = pool.home(limits);
        if let Some(kept) = pool.take(limits) {
            match self.ask_over(kept, question.clone(), &home).await {
                // It was closed in the meantime, which says nothing of a new one.
                Err(NoAnswer::Ended(_)) => {}
                answer => return answer,
            }
        }
        let new = ClientConnection::new(self.connect().await?);
        self.ask_over(new, question, &home).await
    }

    async fn ask_over(
        &self,
        connection: ClientConnection,
        question: Bytes,
        home: &Rc<dyn ConnectionHome>,
    ) -> Result<Bytes, NoAnswer> {
        let mut headers = Headers::new();
        headers.insert(HOST, self.spec.authority.clone());
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json.clone());
        headers.insert(ACCEPT, json);
        let outgoing = Outgoing {
            method: &Method::POST,
            target: RequestTarget::Origin(&self.spec.target),
            headers: &headers,
            body: Body::full(question),
            upgrade: Upgrading::No,
            expects_continue: false,
        };
        let settings = Rc::new(ClientSettings {
            response_timeout: self.spec.timeout,
            ..ClientSettings::default()
        });
        let here = ConnectionInfo::new(PeerAddr::Unix, PeerAddr::Unix, Scheme::Http);
        let context = Context::new(Rc::new(here));
        let response = connection
            .send(outgoing, &settings, home, &context)
            .await
            .map_err(|failure| match failure.progress {
                Progress::NoResponse => NoAnswer::Ended(failure.fault.to_string()),
                Progress::Begun => NoAnswer::Exchange(failure.fault.to_string()),
            })?;
        if response.status() != StatusCode::OK {
            return Err(NoAnswer::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await;
        let body = body.map_err(|error| NoAnswer::Exchange(error.to_string()))?;
        Ok(body.to_bytes())
    }

    async fn connect(&self) -> Result<Io, NoAnswer> {
        let io = match &self.spec.address {
            EndpointAddress::Tcp(address) => Io::connect_tcp(*address).await?,
            EndpointAddress::Unix(path) => Io::connect_unix(path).await?,
            EndpointAddress::Name { resolved, .. } => {
                // Wanted for the first time, it may not be known yet.
                let known = resolved.ready(self.spec.timeout).await;
                known.map_err(|_| NoAnswer::NoAddress)?;
                let addresses = resolved.addresses();
                let address = addresses.first().ok_or(NoAnswer::NoAddress)?;
                Io::connect_tcp(*address).await?
            }
        };
        match &self.spec.tls {
            None => Ok(io),
            Some((tls, name)) => Ok(tls.connect(name.clone(), io).await?),
        }
    }

    /// Says that there is no answer, now and then: it may be so for every client.
    fn complain(&self, error: &NoAnswer) {
        let now = self.begun.elapsed().as_secs() + COMPLAINT_INTERVAL_SECS;
        let last = self.complained.load(Ordering::Relaxed);
        let is_mine = now >= last + COMPLAINT_INTERVAL_SECS
            && self
                .complained
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            let server = &self.spec.server;
            tracing::warn!(%server, %error, "no answer from the hook; clients are refused");
        }
    }
}

/// Who the client is, or none if it is refused.
fn read(answer: &[u8], user: Option<&str>) -> Result<Option<Identity>, NoAnswer> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| NoAnswer::Form)?;
    let is_allowed = answer.get("allow").and_then(Value::as_bool);
    if !is_allowed.ok_or(NoAnswer::Form)? {
        return Ok(None);
    }
    let user = match answer.get("user") {
        None | Some(Value::Null) => user,
        Some(other) => Some(other.as_str().ok_or(NoAnswer::Form)?),
    };
    let expires_at = match answer.get("expires_in_seconds") {
        None | Some(Value::Null) => None,
        Some(secs) => Some(in_seconds(secs.as_u64().ok_or(NoAnswer::Form)?)),
    };
    Ok(Some(Identity {
        user: user.map(Into::into),
        address: None,
        expires_at,
        mark: None,
    }))
}

fn in_seconds(secs: u64) -> Moment {
    // A broker's moments count from there.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| now.as_millis() as u64);
    Moment::from_millis(now_ms.saturating_add(secs.saturating_mul(1_000)))
}

impl Proof for HookProof {
    fn check<'a>(&'a self, credentials: &'a Credentials) -> PendingVerdict<'a> {
        Box::pin(self.verdict(credentials))
    }
}
