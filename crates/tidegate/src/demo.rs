//! What `tidegate` shows when it is given nothing: a gateway in front of an
//! origin of its own.

use std::convert::Infallible;
use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tidegate_http::server::{HttpServerFactory, ServerSettings};
use tidegate_http::{Body, Exchange, Fault, Response};
use tidegate_orchestrator::{Change, SiteName};
use tidegate_runtime::listener::{ListenerBuilder, ListenerOptions};
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_service::{ArcAsyncMakeService, MakeService, Service};

use crate::assemble::{AnyErrorFactory, SiteChain, SiteChange};
use crate::cli::LogFormat;
use crate::process::Plan;
use crate::process::upgrade::Program;
use crate::settings::{self, Colour};

/// The ports tried first; the kernel picks others if they are taken.
const PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9901;

/// How many names for the directory are tried.
const DIRECTORY_NAMES_MAX: u32 = 16;

/// The running demo; dropping it removes its socket's directory.
pub struct Demo {
    address: SocketAddr,
    admin: SocketAddr,
    directory: PathBuf,
}

impl Demo {
    /// Finds the demo a place.
    ///
    /// # Errors
    ///
    /// No port, or no directory for temporary files.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            address: free_address(PORT)?,
            admin: free_address(ADMIN_PORT)?,
            directory: own_directory()?,
        })
    }

    /// The gateway and its origin.
    ///
    /// # Errors
    ///
    /// Its settings are wrong: a defect of ours.
    pub fn into_plan(self, log_format: LogFormat, program: Program) -> Result<Plan, String> {
        let socket = self.directory.join("origin.sock");
        let text = settings_text(self.address, self.admin, &socket);
        let settings = settings::parse(&text, "demo", Path::new(""))
            .map_err(|report| report.render(Colour::Plain))?;
        Ok(Plan {
            settings,
            extra: vec![origin(&socket)],
            config: None,
            demo: Some(self),
            log_format,
            program,
            predecessor: None,
        })
    }

    /// Tells what to try.
    #[allow(
        clippy::print_stdout,
        reason = "this is for the person at the terminal"
    )]
    pub fn introduce(&self) {
        let url = format!("http://{}", self.address);
        let admin = self.admin;
        println!(
            "\nA gateway listens on {url}, in front of an origin that shows what it is sent.\n\
             Try:\n\
             \n  curl -i {url}/anything          # through the gateway to the origin\
             \n  curl -i {url}/hello             # answered by the gateway itself\
             \n  curl -i {url}/old/page          # sent elsewhere\
             \n  curl --http2-prior-knowledge {url}/   # the same over HTTP/2\
             \n\
             \nAsk it how it is:\
             \n  tidegate status --admin {admin}\
             \n  curl http://{admin}/metrics\n\
             \nWith a file of your own:  tidegate run --config FILE   (examples/ has some)\
             \nStop it with Ctrl-C.\n"
        );
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A new directory that nobody else may enter. One that is there already may be
/// somebody's trap, or left by a process that was killed: another name is tried.
fn own_directory() -> io::Result<PathBuf> {
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..DIRECTORY_NAMES_MAX {
        let name = format!("tidegate-demo-{}-{attempt}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

fn free_address(port: u16) -> io::Result<SocketAddr> {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    usual
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?
        .local_addr()
}

fn settings_text(address: SocketAddr, admin: SocketAddr, socket: &Path) -> String {
    format!(
        r#"
[admin]
listen = "{admin}"

[servers.demo]
protocol = "http"
listen = ["{address}"]

[[servers.demo.routes]]
path = "/hello"
respond = {{ status = 200, body = "Hello from tidegate.\n" }}

[[servers.demo.routes]]
path = "/old/{{*rest}}"
redirect = {{ to = "/new/{{rest}}", status = 308 }}

[[servers.demo.routes]]
prefix = "/"
upstream = "origin"

[upstreams.origin]
endpoints = ["unix:{}"]
"#,
        socket.display()
    )
}

/// The origin, as one more site of the same process.
fn origin(socket: &Path) -> SiteChange {
    let server = HttpServerFactory::new(ServerSettings::default(), OriginFactory);
    let chain: SiteChain = ArcAsyncMakeService::erase(AnyErrorFactory::new(TlsFactory::new(
        TlsMode::Plain,
        server,
    )));
    Change::Deploy {
        site: SiteName::from("demo-origin"),
        chain,
        listeners: ListenerBuilder::bind_unix(socket, ListenerOptions::default()),
    }
}

/// Answers every request with what it was sent.
struct Origin;

#[derive(Clone)]
struct OriginFactory;

impl MakeService for OriginFactory {
    type Service = Origin;
    type Error = Infallible;

    fn make_via_ref(&self, _old: Option<&Origin>) -> Result<Origin, Infallible> {
        Ok(Origin)
    }
}

impl Service<Exchange> for Origin {
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        let request = exchange.request;
        let mut text = format!(
            "The origin was asked:\n\n{} {}\n",
            request.method(),
            request.uri()
        );
        for field in request.headers().iter() {
            text.push_str(&format!("{}: {}\n", field.name(), field.value()));
        }
        let mut response = Response::new(Body::from(text));
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        Ok(response)
    }
}
