//! `tidegate mqtt ...`: what an operator asks of a broker, by the admin server of its
//! process.

mod show;
mod watch;

use std::io::{self, Read};
use std::process::ExitCode;

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tidegate_http::Body;

use super::ask::{Answer, AskError, Target, ask_with};
use super::{NOT_DONE, target};
use crate::check::BAD_CONFIG;
use crate::cli::mqtt::{BrokerArgs, BrokerVerb, ListArgs, PublishArgs};
use crate::cli::{OperateArgs, Presentation};

/// Entries that are asked for at a time.
const PAGE: usize = 1_000;

/// The largest payload that is read from standard input, in bytes; the broker may take less.
const PAYLOAD_BYTES_MAX: u64 = 256 << 20;

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
enum VerbError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("{0}")]
    Refused(String),
    #[error("the answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("standard input: {0}")]
    Input(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
}

/// Carries out a verb, and says in a number whether it was done.
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is for the person at the terminal"
)]
pub fn operate(verb: &BrokerVerb) -> ExitCode {
    let broker = broker_of(verb);
    let target = match target(&broker.operate) {
        Ok(target) => target,
        Err(message) => {
            eprintln!("tidegate: {message}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    let done = tidegate_runtime::local::build()
        .map_err(|error| VerbError::Ask(error.into()))
        .and_then(|runtime| runtime.block_on(carry_out(verb, &target)));
    match done {
        Ok(shown) => {
            print!("{shown}");
            ExitCode::SUCCESS
        }
        // Whoever read the lines has enough.
        Err(VerbError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidegate: {}: {error}", target.address);
            ExitCode::from(NOT_DONE)
        }
    }
}

fn broker_of(verb: &BrokerVerb) -> &BrokerArgs {
    match verb {
        BrokerVerb::Clients(list) | BrokerVerb::Sessions(list) => &list.broker,
        BrokerVerb::Subscriptions(it) => &it.list.broker,
        BrokerVerb::Retained(it) => &it.list.broker,
        BrokerVerb::Kick(it) => &it.broker,
        BrokerVerb::Publish(it) => &it.broker,
        BrokerVerb::Subscribe(it) => &it.broker,
    }
}

/// What is to be printed.
async fn carry_out(verb: &BrokerVerb, target: &Target) -> Result<String, VerbError> {
    match verb {
        BrokerVerb::Clients(it) => {
            let listed = list(target, Path::of("clients", &it.broker), it).await?;
            Ok(show::list(&it.broker.operate, &listed, show::clients))
        }
        BrokerVerb::Sessions(it) => {
            let listed = list(target, Path::of("sessions", &it.broker), it).await?;
            Ok(show::list(&it.broker.operate, &listed, show::sessions))
        }
        BrokerVerb::Subscriptions(it) => {
            let mut path = Path::of("subscriptions", &it.list.broker);
            if let Some(client) = &it.client {
                path = path.with("client", client);
            }
            let listed = list(target, path, &it.list).await?;
            let operate = &it.list.broker.operate;
            Ok(show::list(operate, &listed, show::subscriptions))
        }
        BrokerVerb::Retained(it) => {
            let path = Path::of("retained", &it.list.broker).with("filter", &it.filter);
            let listed = list(target, path, &it.list).await?;
            Ok(show::list(&it.list.broker.operate, &listed, show::retained))
        }
        BrokerVerb::Kick(it) => {
            let path = Path::of("kick", &it.broker).with("client", &it.client);
            let answer = order(target, path, Body::empty()).await?;
            Ok(told(&it.broker.operate, answer, "sent away\n"))
        }
        BrokerVerb::Publish(it) => publish(target, it).await,
        BrokerVerb::Subscribe(it) => watch::subscribe(target, it).await,
    }
}

fn told(operate: &OperateArgs, answer: Answer, human: &str) -> String {
    match operate.presentation() {
        Presentation::Human => human.to_owned(),
        Presentation::Json => answer.text,
    }
}

async fn publish(target: &Target, arguments: &PublishArgs) -> Result<String, VerbError> {
    let payload = match &arguments.payload {
        Some(payload) => payload.clone().into_bytes(),
        None => read_input().map_err(VerbError::Input)?,
    };
    let retain = if arguments.retain { "true" } else { "false" };
    let path = Path::of("publish", &arguments.broker)
        .with("topic", &arguments.topic)
        .with("qos", &arguments.qos.to_string())
        .with("retain", retain);
    let answer = order(target, path, Body::full(payload)).await?;
    Ok(told(&arguments.broker.operate, answer, "published\n"))
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    let mut input = io::stdin().lock().take(PAYLOAD_BYTES_MAX + 1);
    input.read_to_end(&mut payload)?;
    if payload.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(payload)
}

/// A path of the admin server with its parameters.
struct Path {
    text: String,
    separator: char,
}

impl Path {
    fn of(door: &str, broker: &BrokerArgs) -> Self {
        let path = Self {
            text: format!("/mqtt/{door}"),
            separator: '?',
        };
        match &broker.server {
            Some(server) => path.with("server", server),
            None => path,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push(self.separator);
        self.separator = '&';
        self.text.push_str(name);
        self.text.push('=');
        let escaped = utf8_percent_encode(value, NON_ALPHANUMERIC);
        self.text.extend(escaped);
        self
    }
}

async fn order(target: &Target, path: Path, body: Body) -> Result<Answer, VerbError> {
    accepted(ask_with(target, Method::POST, &path.text, body).await?)
}

fn accepted(answer: Answer) -> Result<Answer, VerbError> {
    match answer.status {
        StatusCode::OK => Ok(answer),
        _ => Err(VerbError::Refused(answer.text.trim_end().to_owned())),
    }
}

/// Pages put together until there are as many entries as wanted: with what is next.
async fn list(target: &Target, path: Path, arguments: &ListArgs) -> Result<Value, VerbError> {
    let path = path.text;
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut entries = Vec::new();
    let mut next = arguments.from.clone();
    loop {
        let count = (arguments.limit - entries.len()).min(PAGE);
        let mut page = Path {
            text: path.clone(),
            separator,
        };
        page = page.with("count", &count.to_string());
        if let Some(next) = &next {
            page = page.with("from", next);
        }
        let answer = ask_with(target, Method::GET, &page.text, Body::empty()).await?;
        let mut value: Value = serde_json::from_str(&accepted(answer)?.text)?;
        if let Value::Array(more) = value["entries"].take() {
            entries.extend(more);
        }
        next = value["next"].as_str().map(str::to_owned);
        if next.is_none() || entries.len() >= arguments.limit {
            return Ok(json!({ "server": value["server"], "entries": entries, "next": next }));
        }
    }
}
