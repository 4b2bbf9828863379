//! `tidegate mqtt subscribe`: messages as they pass.

use std::io::{self, Write};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use memchr::memchr;
use serde_json::Value;
use tidegate_http::Body;

use super::super::ask::{AskError, Target, collect, send};
use super::{Path, VerbError};
use crate::cli::Presentation;
use crate::cli::mqtt::SubscribeArgs;

/// The longest line that is waited for, in bytes: a message of the largest packet MQTT has.
const LINE_BYTES_MAX: usize = 600 << 20;

/// Prints until there are as many as wanted, or the other side ends.
pub(super) async fn subscribe(
    target: &Target,
    arguments: &SubscribeArgs,
) -> Result<String, VerbError> {
    let path = Path::of("subscribe", &arguments.broker).with("filter", &arguments.filter);
    let response = send(target, Method::GET, &path.text, Body::empty()).await?;
    if response.status() != StatusCode::OK {
        let answer = collect(response).await?;
        return Err(VerbError::Refused(answer.text.trim_end().to_owned()));
    }
    let presentation = arguments.broker.operate.presentation();
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut unread = BytesMut::new();
    let mut body = response.into_body();
    while left > 0 {
        let Some(frame) = body.frame().await else {
            return Err(VerbError::Refused("the broker is going".to_owned()));
        };
        let frame = frame.map_err(|error| AskError::Answer(error.to_string()))?;
        if let Some(bytes) = frame.data_ref() {
            unread.extend_from_slice(bytes);
        }
        while left > 0
            && let Some(end) = memchr(b'\n', &unread)
        {
            let line = unread.split_to(end);
            unread.advance(1);
            if !line.is_empty() {
                left -= print(&line, presentation)?;
            }
        }
        if unread.len() > LINE_BYTES_MAX {
            return Err(AskError::Answer("a line has no end".to_owned()).into());
        }
    }
    Ok(String::new())
}

/// Prints a line; how many messages it was.
#[allow(
    clippy::print_stderr,
    reason = "this is for the person at the terminal"
)]
fn print(line: &[u8], presentation: Presentation) -> Result<u64, VerbError> {
    let value: Value = serde_json::from_slice(line)?;
    let is_message = value["topic"].is_string();
    let mut out = io::stdout().lock();
    let printed = match (presentation, is_message) {
        (Presentation::Json, _) => out.write_all(line).and_then(|()| out.write_all(b"\n")),
        (Presentation::Human, true) => writeln!(out, "{}", human(&value)),
        (Presentation::Human, false) => {
            eprintln!("tidegate: {} messages were dropped", value["dropped"]);
            Ok(())
        }
    };
    printed
        .and_then(|()| out.flush())
        .map_err(VerbError::Output)?;
    Ok(u64::from(is_message))
}

fn human(message: &Value) -> String {
    let text = |key: &str| message[key].as_str();
    let topic = text("topic").unwrap_or_default();
    match (text("payload"), text("payload_base64")) {
        (Some(payload), _) => format!("{topic} {payload}"),
        (None, Some(base64)) => format!("{topic} base64:{base64}"),
        (None, None) => topic.to_owned(),
    }
}
