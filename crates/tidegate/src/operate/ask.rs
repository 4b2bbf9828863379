//! One question to an admin server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use tidegate_http::client::{
    ClientConnection, ClientSettings, ConnectionHome, Outgoing, Upgrading,
};
use tidegate_http::h1::codec::RequestTarget;
use tidegate_http::{Body, ConnectionInfo, Context, Headers, Response, Scheme};
use tidegate_runtime::io::{Io, PeerAddr};
use tokio::time::timeout;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Whom to ask.
pub(super) struct Target {
    /// `HOST:PORT`, an IP address with a port, or `unix:PATH`.
    pub(super) address: String,
    pub(super) token: Option<String>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// What was to be asked cannot be said in HTTP.
    #[error("this cannot be asked: {0}")]
    Question(String),
    /// The answer broke off, or is none.
    #[error("no answer: {0}")]
    Answer(String),
}

/// Connections are used once.
struct NoHome;

impl ConnectionHome for NoHome {
    fn give_back(&self, _: ClientConnection) {}
}

pub(super) async fn ask(target: &Target, method: Method, path: &str) -> Result<Answer, AskError> {
    ask_with(target, method, path, Body::empty()).await
}

/// As [`ask`], with a body.
pub(super) async fn ask_with(
    target: &Target,
    method: Method,
    path: &str,
    body: Body,
) -> Result<Answer, AskError> {
    collect(send(target, method, path, body).await?).await
}

/// Asks; the answer's head, whose body is yet to be read.
pub(super) async fn send(
    target: &Target,
    method: Method,
    path: &str,
    body: Body,
) -> Result<Response, AskError> {
    let io = timeout(CONNECT_TIMEOUT, connect(&target.address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let uri: Uri = path.parse().map_err(question)?;
    let mut headers = Headers::new();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    if let Some(token) = &target.token {
        let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(question)?;
        headers.insert(AUTHORIZATION, value);
    }
    let outgoing = Outgoing {
        method: &method,
        target: RequestTarget::new(&method, &uri).map_err(question)?,
        headers: &headers,
        body,
        upgrade: Upgrading::No,
        expects_continue: false,
    };
    let here = ConnectionInfo::new(PeerAddr::Unix, PeerAddr::Unix, Scheme::Http);
    let context = Context::new(Rc::new(here));
    let home: Rc<dyn ConnectionHome> = Rc::new(NoHome);
    let settings = Rc::new(ClientSettings::default());
    let connection = ClientConnection::new(io);
    let sent = connection.send(outgoing, &settings, &home, &context).await;
    sent.map_err(|failure| AskError::Answer(failure.fault.to_string()))
}

/// The rest of an answer.
pub(super) async fn collect(response: Response) -> Result<Answer, AskError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    let bytes = body
        .await
        .map_err(|error| AskError::Answer(error.to_string()))?;
    Ok(Answer {
        status,
        text: String::from_utf8_lossy(&bytes.to_bytes()).into_owned(),
    })
}

fn question(error: impl std::fmt::Display) -> AskError {
    AskError::Question(error.to_string())
}

async fn connect(address: &str) -> io::Result<Io> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Io::connect_unix(Path::new(path)).await;
    }
    if let Ok(address) = address.parse::<SocketAddr>() {
        return Io::connect_tcp(address).await;
    }
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in tokio::net::lookup_host(address).await? {
        match Io::connect_tcp(address).await {
            Ok(io) => return Ok(io),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
