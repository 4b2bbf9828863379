//! `tidegate status`, `services`, `reload`, `drain`, `upgrade`, `log`: what an operator asks a running
//! process, by its admin server.

mod ask;
pub mod mqtt;
mod show;

use std::path::Path;
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

pub use self::ask::AskError;
use self::ask::{Answer, Target, ask};
use crate::check::BAD_CONFIG;
use crate::cli::{OperateArgs, Presentation};
use crate::settings::{self, Colour, Token};

/// The exit code when the process could not be asked, or refused.
pub const NOT_DONE: u8 = 1;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What runs.
    Status,
    /// The services of the process.
    Services,
    /// Read the file again.
    Reload,
    /// Stop in order.
    Drain,
    /// Leave the listeners to a new process.
    Upgrade,
    /// Log by other directives.
    Log(String),
}

/// Asks, prints the answer, and says in a number whether it was done.
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is for the person at the terminal"
)]
pub fn operate(question: &Question, arguments: &OperateArgs) -> ExitCode {
    let target = match target(arguments) {
        Ok(target) => target,
        Err(message) => {
            eprintln!("tidegate: {message}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    let (method, path) = match question {
        Question::Status | Question::Services => (Method::GET, "/status".to_owned()),
        Question::Reload => (Method::POST, "/reload".to_owned()),
        Question::Upgrade => (Method::POST, "/upgrade".to_owned()),
        Question::Drain => (Method::POST, "/drain".to_owned()),
        Question::Log(level) => (Method::PUT, format!("/log?level={level}")),
    };
    let asked = tidegate_runtime::local::build()
        .map_err(AskError::from)
        .and_then(|runtime| runtime.block_on(ask(&target, method, &path)));
    match asked {
        Ok(answer) => {
            print!("{}", shown(question, &answer, arguments.presentation()));
            if answer.status.is_success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(NOT_DONE)
            }
        }
        Err(error) => {
            eprintln!("tidegate: {}: {error}", target.address);
            ExitCode::from(NOT_DONE)
        }
    }
}

fn shown(question: &Question, answer: &Answer, presentation: Presentation) -> String {
    let value: Option<Value> = serde_json::from_str(&answer.text).ok();
    let (Some(value), Presentation::Human) = (&value, presentation) else {
        return answer.text.clone();
    };
    match question {
        Question::Status if answer.status.is_success() => show::status(value),
        Question::Services if answer.status.is_success() => show::services(value),
        Question::Reload => show::reload(value),
        Question::Upgrade => show::upgrade(value),
        _ => answer.text.clone(),
    }
}

/// Whom to ask: who was named, or whom the configuration names.
fn target(arguments: &OperateArgs) -> Result<Target, String> {
    let from_config = match &arguments.config {
        Some(path) => Some(from_config(path)?),
        None => None,
    };
    let named = arguments.admin.clone();
    let (address, token) = match (named, from_config) {
        (Some(address), found) => (address, found.and_then(|(_, token)| token)),
        (None, Some((address, token))) => (address, token),
        (None, None) => ("127.0.0.1:9901".to_owned(), None),
    };
    let given = match &arguments.token_file {
        Some(path) => Some(read(path)?),
        None => None,
    };
    Ok(Target {
        address,
        token: given.or(token),
    })
}

fn from_config(path: &Path) -> Result<(String, Option<String>), String> {
    let settings = settings::load(path).map_err(|report| report.render(Colour::for_stderr()))?;
    let Some(admin) = settings.admin else {
        return Err(format!("{} has no [admin]", path.display()));
    };
    let token = match &admin.token {
        None => None,
        Some(Token::Here(secret)) => Some(secret.reveal().to_owned()),
        Some(Token::File(path)) => Some(read(path)?),
    };
    let address = admin.listen.first().map(|it| it.address.to_string());
    Ok((address.unwrap_or_default(), token))
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}
