//! Lists, a page at a time: `count` entries at most, and `next`, which is the `from` of the
//! next page.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};
use tidegate_http::Response;
use tidegate_mqtt::codec::{ProtocolVersion, TopicFilter};
use tidegate_mqtt::server::operator::{
    Cursor, RetainedReport, SessionReport, SubscriptionReport, Which,
};

use super::{Broker, BrokerDoor, Refusal};
use crate::admin::answer::json_response;
use crate::admin::query::Query;

/// Entries of a page unless `count` says otherwise.
const PAGE: usize = 100;

pub(super) async fn sessions(
    door: BrokerDoor,
    query: Query<'_>,
    broker: &Broker<'_>,
) -> Result<Response, Refusal> {
    let which = match door {
        BrokerDoor::Clients => Which::Connected,
        _ => Which::All,
    };
    let (from, count) = (cursor(query)?, count(query)?);
    let page = broker.operator.sessions(which, from, count).await?;
    let entries = page.entries.iter().map(session).collect();
    Ok(list(broker, entries, page.next.map(|it| it.to_string())))
}

pub(super) async fn subscriptions(
    query: Query<'_>,
    broker: &Broker<'_>,
) -> Result<Response, Refusal> {
    if let Some(client) = query.get("client") {
        let of = broker.operator.subscriptions_of(&client).await?;
        return Ok(list(broker, of.iter().map(subscription).collect(), None));
    }
    let (from, count) = (cursor(query)?, count(query)?);
    let page = broker.operator.subscriptions(from, count).await?;
    let entries = page.entries.iter().map(subscription).collect();
    Ok(list(broker, entries, page.next.map(|it| it.to_string())))
}

pub(super) async fn retained(query: Query<'_>, broker: &Broker<'_>) -> Result<Response, Refusal> {
    let filter = filter(query)?;
    let (from, count) = (query.get("from"), count(query)?);
    let page = broker
        .operator
        .retained(&filter, from.as_deref(), count)
        .await?;
    let entries = page.entries.iter().map(kept).collect();
    Ok(list(broker, entries, page.next.map(String::from)))
}

/// The filter that is asked for; every topic if none is.
pub(super) fn filter(query: Query<'_>) -> Result<TopicFilter, Refusal> {
    let filter = query.get("filter").unwrap_or(Cow::Borrowed("#"));
    TopicFilter::try_from(&*filter).map_err(|error| Refusal::bad(format!("filter: {error}")))
}

fn cursor(query: Query<'_>) -> Result<Cursor, Refusal> {
    let from = query.parse("from", Cursor::default());
    from.map_err(Refusal::bad)
}

fn count(query: Query<'_>) -> Result<usize, Refusal> {
    query.parse("count", PAGE).map_err(Refusal::bad)
}

fn list(broker: &Broker<'_>, entries: Vec<Value>, next: Option<String>) -> Response {
    let value = json!({ "server": broker.name, "entries": entries, "next": next });
    json_response(StatusCode::OK, &value)
}

fn session(session: &SessionReport) -> Value {
    json!({
        "client": session.client_id,
        "user": session.user,
        "address": session.address.map(|it| it.to_string()),
        "version": session.version.map(|version| match version {
            ProtocolVersion::V311 => "3.1.1",
            ProtocolVersion::V5 => "5.0",
        }),
        "connected": session.version.is_some(),
        "session_expiry_seconds": session.expiry_secs,
        "ends_in_seconds": session.ends_in.map(|it| it.as_secs()),
        "subscriptions": session.subscriptions,
        "queued": session.queued,
        "queued_bytes": session.queued_bytes,
        "inflight": session.inflight,
        "received": session.received,
        "worker": session.core,
    })
}

fn subscription(report: &SubscriptionReport) -> Value {
    json!({
        "client": report.client_id,
        "filter": report.subscription.filter,
        "qos": report.subscription.qos as u8,
    })
}

fn kept(report: &RetainedReport) -> Value {
    json!({ "topic": report.topic, "payload_bytes": report.payload_bytes })
}
