//! What the admin server answers to what.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tidegate_http::headers::FieldValue;
use tidegate_http::{Body, Exchange, Fault, Request, Response};
use tidegate_runtime::clock;
use tidegate_runtime::worker::WorkerIndex;
use tidegate_service::Service;
use tidegate_supervisor::{OrchestratorHandle, State};

use super::brokers::BrokerDoor;
use super::{brokers, metrics, page, status};
use crate::process::DEPLOYMENT;
use crate::process::control::{Control, ReloadOutcome, UpgradeOutcome};
use crate::settings::{Drills, Secret};

/// Answers operators and their tools. Clones are the same.
#[derive(Clone)]
pub(super) struct Answerer {
    inner: Arc<Inner>,
}

struct Inner {
    control: Control,
    services: OrchestratorHandle,
    token: Option<Secret>,
    drills: Drills,
    started: Instant,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Healthy,
    Ready,
    Metrics,
    Status,
    Config,
    Reload,
    Drain,
    Upgrade,
    Drill,
    Log,
    Broker(BrokerDoor),
}

impl Door {
    /// Those of the process.
    const ALL: [(Self, &'static str); 10] = [
        (Self::Healthy, "/healthz"),
        (Self::Ready, "/readyz"),
        (Self::Metrics, "/metrics"),
        (Self::Status, "/status"),
        (Self::Config, "/config"),
        (Self::Reload, "/reload"),
        (Self::Drain, "/drain"),
        (Self::Upgrade, "/upgrade"),
        (Self::Drill, "/drill"),
        (Self::Log, "/log"),
    ];

    fn at(path: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        let own = all.find(|(_, known)| *known == path).map(|(door, _)| door);
        own.or_else(|| BrokerDoor::at(path).map(Self::Broker))
    }

    fn opens_to(self, method: &Method) -> bool {
        match self {
            Self::Reload | Self::Drain | Self::Upgrade | Self::Drill => method == Method::POST,
            Self::Log => method == Method::PUT,
            Self::Broker(door) => door.opens_to(method),
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    const fn methods(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Reload | Self::Drain | Self::Upgrade | Self::Drill => "POST",
            Self::Log => "PUT",
            Self::Broker(door) => door.methods(),
            _ => "GET, HEAD",
        })
    }

    /// Whether anybody may know: load balancers have no token.
    const fn is_public(self) -> bool {
        matches!(self, Self::Healthy | Self::Ready)
    }
}

impl Service<Exchange> for Answerer {
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        let request = exchange.request;
        let Some(door) = Door::at(request.uri().path()) else {
            return Ok(text(StatusCode::NOT_FOUND, paths()));
        };
        if !door.opens_to(request.method()) {
            let told = format!(
                "{} does not take {}\n",
                request.uri().path(),
                request.method()
            );
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, told);
            response.headers_mut().insert(ALLOW, door.methods());
            return Ok(response);
        }
        let headers = request.headers();
        if self.inner.token.is_none()
            && page::may_have_asked(headers, exchange.context.connection())
        {
            let told = "pages in a browser are not served\n".to_owned();
            return Ok(text(StatusCode::FORBIDDEN, told));
        }
        if !door.is_public() && !self.may_enter(headers.get(AUTHORIZATION)) {
            let mut response = text(StatusCode::UNAUTHORIZED, "a token is wanted\n".to_owned());
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return Ok(response);
        }
        Ok(match door {
            Door::Healthy => text(StatusCode::OK, "alive\n".to_owned()),
            Door::Ready => self.ready(),
            Door::Metrics => self.metrics().await,
            Door::Status => self.status().await,
            Door::Config => self.config().await,
            Door::Reload => self.reload().await,
            Door::Drain => self.drain(),
            Door::Upgrade => self.upgrade().await,
            Door::Drill => self.drill(request.uri().query()).await,
            Door::Log => set_log(request.uri().query()),
            Door::Broker(door) => self.broker(door, request).await,
        })
    }
}

impl Answerer {
    pub(super) fn new(
        control: Control,
        services: OrchestratorHandle,
        token: Option<Secret>,
        drills: Drills,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                control,
                services,
                token,
                drills,
                started: clock::precise(),
            }),
        }
    }

    /// Whether the caller has the token, if one is wanted. Takes as long for any wrong one.
    fn may_enter(&self, authorization: Option<FieldValue<'_>>) -> bool {
        let Some(token) = &self.inner.token else {
            return true;
        };
        let shown = authorization.and_then(|it| it.as_bytes().strip_prefix(b"Bearer "));
        let (shown, token) = (shown.unwrap_or_default(), token.reveal().as_bytes());
        let differences = shown.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
        shown.len() == token.len() && std::hint::black_box(differences) == 0
    }

    fn ready(&self) -> Response {
        let services = &self.inner.services;
        let state = services.service(DEPLOYMENT).map(|it| it.state());
        match state {
            _ if services.is_closing() => unready("stopping\n"),
            Some(State::Ready | State::Reloading) => text(StatusCode::OK, "ready\n".to_owned()),
            _ => unready("starting\n"),
        }
    }

    async fn metrics(&self) -> Response {
        let report = self.inner.control.report().await.ok();
        let services = self.inner.services.list();
        let brokers = brokers::figures(report.as_ref()).await;
        let text = metrics::render(report.as_ref(), brokers, &services, self.inner.started);
        let mut response = Response::new(Body::from(text));
        let kind =
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn status(&self) -> Response {
        let report = self.inner.control.report().await.ok();
        let services = self.inner.services.list();
        let brokers = brokers::figures(report.as_ref()).await;
        let value = status::status(report.as_ref(), &brokers, &services, self.inner.started);
        json_response(StatusCode::OK, &value)
    }

    async fn broker(&self, door: BrokerDoor, request: Request) -> Response {
        match self.inner.control.report().await {
            Ok(report) => brokers::answer(door, request, &report).await,
            Err(error) => unready(&format!("{error}\n")),
        }
    }

    async fn config(&self) -> Response {
        match self.inner.control.report().await {
            Ok(report) => json_response(StatusCode::OK, report.settings.effective.tree()),
            Err(error) => unready(&format!("{error}\n")),
        }
    }

    async fn reload(&self) -> Response {
        match self.inner.control.reload("admin").await {
            Ok(ReloadOutcome::Done {
                generation,
                duration,
                deployed,
                removed,
            }) => {
                let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                let value = json!({
                    "outcome": "reloaded",
                    "generation": generation,
                    "duration_ms": duration_ms,
                    "deployed": deployed,
                    "removed": removed,
                });
                json_response(StatusCode::OK, &value)
            }
            Ok(ReloadOutcome::Rejected { mistakes }) => {
                let value = json!({ "outcome": "rejected", "mistakes": mistakes });
                json_response(StatusCode::UNPROCESSABLE_ENTITY, &value)
            }
            Err(error) => unready(&format!("{error}\n")),
        }
    }

    async fn drill(&self, query: Option<&str>) -> Response {
        if self.inner.drills == Drills::Refused {
            let told = "drills are refused: `drills = true` in [admin] allows them\n".to_owned();
            return text(StatusCode::FORBIDDEN, told);
        }
        let Some(worker) = parameter(query, "worker").and_then(|it| it.parse().ok()) else {
            let told = "expected /drill?worker=0, the number of a worker\n".to_owned();
            return text(StatusCode::BAD_REQUEST, told);
        };
        match self.inner.control.drill(WorkerIndex(worker)).await {
            Ok(Ok(())) => text(StatusCode::ACCEPTED, "the worker dies\n".to_owned()),
            Ok(Err(error)) => text(StatusCode::CONFLICT, format!("{error}\n")),
            Err(error) => unready(&format!("{error}\n")),
        }
    }

    async fn upgrade(&self) -> Response {
        match self.inner.control.upgrade("admin").await {
            Ok(UpgradeOutcome::Done { pid }) => {
                let value = json!({ "outcome": "upgraded", "pid": pid });
                json_response(StatusCode::OK, &value)
            }
            Ok(UpgradeOutcome::Rejected { reason }) => {
                let value = json!({ "outcome": "rejected", "reason": reason });
                json_response(StatusCode::CONFLICT, &value)
            }
            Err(error) => unready(&format!("{error}\n")),
        }
    }

    fn drain(&self) -> Response {
        tracing::info!(signal = "admin", "stopping: no new connections, draining");
        self.inner.services.close("the admin server was asked to");
        text(StatusCode::ACCEPTED, "stopping\n".to_owned())
    }
}

/// The value of a parameter in a query.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query?.split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn set_log(query: Option<&str>) -> Response {
    let level = parameter(query, "level");
    match level.map(str::parse) {
        None => text(
            StatusCode::BAD_REQUEST,
            "expected ?level=LEVEL, or directives such as info,tidegate_http=debug\n".to_owned(),
        ),
        Some(Err(error)) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        Some(Ok(directives)) => match crate::log::change(&directives) {
            Ok(()) => {
                tracing::info!(level = directives.as_str(), "the log's level was changed");
                text(StatusCode::OK, format!("{}\n", directives.as_str()))
            }
            Err(error) => text(StatusCode::CONFLICT, format!("{error}\n")),
        },
    }
}

fn paths() -> String {
    let mut told = "There are:\n".to_owned();
    let brokers = BrokerDoor::ALL.into_iter();
    let brokers = brokers.map(|(door, path)| (Door::Broker(door), path));
    for (door, path) in Door::ALL.into_iter().chain(brokers) {
        let methods = door.methods();
        // Writing to a string cannot fail.
        let _ = writeln!(told, "  {:<9} {path}", methods.to_str().unwrap_or(""));
    }
    told
}

fn unready(why: &str) -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}

pub(super) fn text(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A body that is made while it is read: lines of JSON.
pub(super) fn stream_response(body: Body) -> Response {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

pub(super) fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = text(status, format!("{value:#}\n"));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
