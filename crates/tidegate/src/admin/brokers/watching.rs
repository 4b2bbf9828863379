//! Messages as they pass, a line of JSON each, for as long as somebody reads.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use serde_json::{Value, json};
use tidegate_http::{Body, Fault, Response};
use tidegate_mqtt::server::operator::{Tap, TapError, TappedMessage};
use tokio::time::{Instant, Sleep, sleep};

use super::lists::filter;
use super::{Broker, Refusal};
use crate::admin::answer::stream_response;
use crate::admin::query::Query;

/// After how long without a message an empty line shows that both sides are there.
const SILENCE: Duration = Duration::from_secs(15);

/// Bytes of lines that are sent together.
const FRAME_BYTES: usize = 64 * 1024;

pub(super) async fn subscribe(query: Query<'_>, broker: &Broker<'_>) -> Result<Response, Refusal> {
    let tap = match broker.operator.tap(filter(query)?).await {
        Ok(tap) => tap,
        Err(TapError::NoAnswer(error)) => return Err(error.into()),
        Err(error) => return Err(Refusal(StatusCode::FORBIDDEN, error.to_string())),
    };
    Ok(stream_response(Body::stream(Lines {
        tap,
        told_dropped: 0,
        silence: Box::pin(sleep(Duration::ZERO)),
    })))
}

/// What a tap shows, as lines.
struct Lines {
    tap: Tap,
    /// How many dropped messages the reader knows of.
    told_dropped: u64,
    /// At first none: an empty line at once shows that it has begun.
    silence: Pin<Box<Sleep>>,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let mut lines = Vec::new();
        let mut ended = false;
        while lines.len() < FRAME_BYTES {
            match this.tap.poll_next(cx) {
                Poll::Ready(Some(message)) => put(&mut lines, &line(&message)),
                Poll::Ready(None) => {
                    ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        let dropped = this.tap.dropped();
        if dropped > this.told_dropped {
            this.told_dropped = dropped;
            put(&mut lines, &json!({ "dropped": dropped }));
        }
        if lines.is_empty() && ended {
            return Poll::Ready(None);
        }
        if lines.is_empty() && this.silence.as_mut().poll(cx).is_ready() {
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Poll::Pending;
        }
        this.silence.as_mut().reset(Instant::now() + SILENCE);
        Poll::Ready(Some(Ok(Frame::data(lines.into()))))
    }
}

fn put(lines: &mut Vec<u8>, value: &Value) {
    lines.extend_from_slice(value.to_string().as_bytes());
    lines.push(b'\n');
}

/// A payload that is no text is in Base64.
fn line(message: &TappedMessage) -> Value {
    let (key, payload) = match std::str::from_utf8(&message.payload) {
        Ok(text) => ("payload", text.to_owned()),
        Err(_) => ("payload_base64", STANDARD.encode(&message.payload)),
    };
    json!({
        "topic": message.topic.as_str(),
        "qos": message.qos as u8,
        "retain": message.retain,
        key: payload,
    })
}
