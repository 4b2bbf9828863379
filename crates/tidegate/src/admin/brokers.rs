//! What the admin server knows of MQTT brokers, and does with them.

mod lists;
mod orders;
mod watching;

use http::{Method, StatusCode};
use tidegate_http::{Request, Response};
use tidegate_mqtt::server::operator::{NoAnswer, Operator};

use super::answer::text;
use super::metrics::Brokers;
use super::query::Query;
use crate::process::control::Report;
use crate::settings::{Mqtt, Protocol};

/// The figures of every broker. One whose workers are silent tells what it told last.
pub(super) async fn figures(report: Option<&Report>) -> Brokers {
    let mut brokers = Brokers::new();
    for (name, operator) in report.into_iter().flat_map(|it| &it.brokers) {
        brokers.insert(name.clone(), operator.figures().await);
    }
    brokers
}

/// What can be asked of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokerDoor {
    Clients,
    Sessions,
    Subscriptions,
    Retained,
    Kick,
    Publish,
    Subscribe,
}

impl BrokerDoor {
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::Clients, "/mqtt/clients"),
        (Self::Sessions, "/mqtt/sessions"),
        (Self::Subscriptions, "/mqtt/subscriptions"),
        (Self::Retained, "/mqtt/retained"),
        (Self::Kick, "/mqtt/kick"),
        (Self::Publish, "/mqtt/publish"),
        (Self::Subscribe, "/mqtt/subscribe"),
    ];

    pub(super) fn at(path: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known)| *known == path).map(|(door, _)| door)
    }

    pub(super) fn opens_to(self, method: &Method) -> bool {
        match self {
            Self::Kick | Self::Publish => method == Method::POST,
            // A stream that nobody reads would not end.
            Self::Subscribe => method == Method::GET,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Kick | Self::Publish => "POST",
            Self::Subscribe => "GET",
            _ => "GET, HEAD",
        }
    }
}

/// A broker as a request names it.
struct Broker<'a> {
    name: &'a str,
    operator: &'a Operator,
    settings: &'a Mqtt,
}

/// Why a request is not answered, in the status that says so.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }
}

impl From<NoAnswer> for Refusal {
    fn from(error: NoAnswer) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

/// Answers a request to a broker.
pub(super) async fn answer(door: BrokerDoor, request: Request, report: &Report) -> Response {
    match try_answer(door, request, report).await {
        Ok(response) => response,
        Err(Refusal(status, why)) => text(status, format!("{why}\n")),
    }
}

async fn try_answer(
    door: BrokerDoor,
    request: Request,
    report: &Report,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let query = Query::of(head.uri.query());
    let broker = broker(query, report)?;
    match door {
        BrokerDoor::Clients | BrokerDoor::Sessions => lists::sessions(door, query, &broker).await,
        BrokerDoor::Subscriptions => lists::subscriptions(query, &broker).await,
        BrokerDoor::Retained => lists::retained(query, &broker).await,
        BrokerDoor::Kick => orders::kick(query, &broker).await,
        BrokerDoor::Publish => orders::publish(query, body, &broker).await,
        BrokerDoor::Subscribe => watching::subscribe(query, &broker).await,
    }
}

/// The broker of the name, or the only one there is.
fn broker<'a>(query: Query<'_>, report: &'a Report) -> Result<Broker<'a>, Refusal> {
    let names = || {
        let names: Vec<&str> = report.brokers.keys().map(String::as_str).collect();
        names.join(", ")
    };
    let (name, operator) = match query.get("server") {
        Some(wanted) => report.brokers.get_key_value(&*wanted).ok_or_else(|| {
            let why = format!("no MQTT server is called {wanted}; there are: {}", names());
            Refusal(StatusCode::NOT_FOUND, why)
        })?,
        None => {
            let mut all = report.brokers.iter();
            let first = all.next().ok_or_else(|| {
                Refusal(StatusCode::NOT_FOUND, "there is no MQTT server".to_owned())
            })?;
            if all.next().is_some() {
                let why = format!("say which MQTT server; there are: {}", names());
                return Err(Refusal::bad(why));
            }
            first
        }
    };
    match report.settings.servers.get(name).map(|it| &it.protocol) {
        Some(Protocol::Mqtt(settings)) => Ok(Broker {
            name,
            operator,
            settings,
        }),
        _ => Err(NoAnswer.into()),
    }
}
