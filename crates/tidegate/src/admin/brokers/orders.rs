//! A client sent away, a message published.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tidegate_http::{Body, Response};
use tidegate_mqtt::broker::MessageParts;
use tidegate_mqtt::codec::{MessageProperties, QualityOfService, TopicName};
use tidegate_mqtt::server::operator::{Kicked, NotPublished};

use super::{Broker, Refusal};
use crate::admin::answer::json_response;
use crate::admin::query::Query;

pub(super) async fn kick(query: Query<'_>, broker: &Broker<'_>) -> Result<Response, Refusal> {
    let Some(client) = query.get("client") else {
        return Err(Refusal::bad("expected ?client=ID"));
    };
    match broker.operator.kick(&client).await? {
        Kicked::Kicked => {
            tracing::info!(
                server = broker.name,
                client = &*client,
                "a client is sent away"
            );
            let value = json!({ "outcome": "kicked", "client": client });
            Ok(json_response(StatusCode::OK, &value))
        }
        Kicked::NotConnected => {
            let why = format!("{client} is not connected; it has a session");
            Err(Refusal(StatusCode::NOT_FOUND, why))
        }
        Kicked::Unknown => {
            let why = format!("nobody is called {client}");
            Err(Refusal(StatusCode::NOT_FOUND, why))
        }
    }
}

/// The request's body is the payload.
pub(super) async fn publish(
    query: Query<'_>,
    body: Body,
    broker: &Broker<'_>,
) -> Result<Response, Refusal> {
    let Some(topic) = query.get("topic") else {
        return Err(Refusal::bad("expected ?topic=NAME"));
    };
    let topic =
        TopicName::try_from(&*topic).map_err(|error| Refusal::bad(format!("topic: {error}")))?;
    let qos = match query.parse("qos", 0_u8).map_err(Refusal::bad)? {
        0 => QualityOfService::AtMostOnce,
        1 => QualityOfService::AtLeastOnce,
        2 => QualityOfService::ExactlyOnce,
        _ => return Err(Refusal::bad("qos: expected 0, 1 or 2")),
    };
    let retain = query.parse("retain", false).map_err(Refusal::bad)?;
    let payload = payload(body, broker).await?;
    let message = MessageParts {
        topic,
        properties: MessageProperties::new(),
        payload,
        qos,
        retain,
        expires_at: None,
    };
    match broker.operator.publish(message).await {
        Ok(()) => Ok(json_response(
            StatusCode::OK,
            &json!({ "outcome": "published" }),
        )),
        Err(NotPublished::NoAnswer(error)) => Err(error.into()),
        Err(error @ (NotPublished::NotRetained | NotPublished::NotStored)) => {
            Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, error.to_string()))
        }
        Err(error @ (NotPublished::TooMany | NotPublished::Lost)) => {
            Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
        }
        Err(error) => Err(Refusal::bad(error.to_string())),
    }
}

/// As large as a client's packet may be.
async fn payload(body: Body, broker: &Broker<'_>) -> Result<Bytes, Refusal> {
    let bytes_max = broker.settings.settings.broker.packet_bytes as usize;
    match Limited::new(body, bytes_max).collect().await {
        Ok(payload) => Ok(payload.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a payload has at most packet_bytes, {bytes_max}"),
        )),
        Err(error) => Err(Refusal::bad(format!("the payload broke off: {error}"))),
    }
}
