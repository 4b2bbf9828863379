//! The gateway as a child process, and a server of Volo's that remembers what it was asked.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metainfo::{Backward, METAINFO};
use motore::Service;
use pilota::thrift::{ApplicationException, ApplicationExceptionKind};
use tempfile::TempDir;
use volo::FastStr;
use volo::client::MkClient;
use volo::context::Context;
use volo::net::incoming::DefaultIncoming;
use volo_thrift::client::ClientBuilder;
use volo_thrift::codec::default::framed::MakeFramedCodec;
use volo_thrift::codec::default::thrift::{MakeThriftCodec, Protocol};
use volo_thrift::codec::default::ttheader::MakeTTHeaderCodec;
use volo_thrift::codec::{DefaultMakeCodec, MakeCodec};
use volo_thrift::context::ServerContext;
use volo_thrift::server::Server;
use volo_thrift::{BizError, ClientError, ServerError};

use crate::heads::carried;

/// The longest anything that must happen may take: a ceiling.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A running gateway in front of one upstream; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl Gateway {
    /// Passes everything on to `upstream`; `server` are more keys of the server.
    pub(crate) fn start(upstream: SocketAddr, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let file = directory.path().join("tidegate.toml");
        let text = format!(
            "[runtime]\nworkers = 1\npin = false\n\
             [servers.calls]\nprotocol = \"thrift\"\nlisten = \"{address}\"\n\
             upstream = \"app\"\n{server}\n\
             [upstreams.app]\nendpoints = [\"{upstream}\"]\n"
        );
        std::fs::write(&file, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate-volo"))
            .args(["run", "--config", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Self {
            address,
            child,
            _directory: directory,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < DEADLINE, "it does not listen");
            assert_eq!(gateway.child.try_wait().unwrap(), None, "it has ended");
            std::thread::sleep(Duration::from_millis(2));
        }
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address where nobody listens: a host of its own in 127.0.0.0/8 for each process.
pub(crate) fn free_address() -> SocketAddr {
    let host = 0x7f02_0001 + std::process::id() % 0x00fd_0000;
    let listener = TcpListener::bind((std::net::Ipv4Addr::from_bits(host), 0)).unwrap();
    listener.local_addr().unwrap()
}

/// What a call was when Volo's server had read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) carried: [BTreeMap<String, String>; 2],
    pub(crate) body: Bytes,
}

/// Answers with what it is sent, and `from = "volo"` in the head; the methods `fail` and
/// `refuse` with an exception of the application's and an error of the business's.
#[derive(Clone, Default)]
pub(crate) struct Echo {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Echo {
    pub(crate) fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

impl Service<ServerContext, Bytes> for Echo {
    type Response = Bytes;
    type Error = ServerError;

    async fn call(&self, context: &mut ServerContext, body: Bytes) -> Result<Bytes, ServerError> {
        let about = context.rpc_info();
        let method = about.method().to_string();
        let seen = METAINFO.with(|info| {
            let mut info = info.borrow_mut();
            info.set_backward_transient("from", "volo");
            Seen {
                method: method.clone(),
                caller: about.caller().service_name().to_string(),
                callee: about.callee().service_name().to_string(),
                carried: carried(&info),
                body: body.clone(),
            }
        });
        self.seen.lock().unwrap().push(seen);
        match &*method {
            "fail" => {
                let kind = ApplicationExceptionKind::INTERNAL_ERROR;
                Err(ApplicationException::new(kind, "no such luck").into())
            }
            "refuse" => Err(BizError::new(409, FastStr::from_static_str("sold out")).into()),
            _ => Ok(body),
        }
    }
}

/// Serves `echo`, runs `work` with the server's address, and ends both.
pub(crate) fn beside_a_server<T>(echo: &Echo, work: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Server::new(echo.clone()).run(DefaultIncoming::from(listener));
        tokio::select! {
            ended = serving => panic!("the server ended: {ended:?}"),
            done = tokio::time::timeout(DEADLINE, work(address)) => done.unwrap(),
        }
    })
}

/// How a client of Volo's speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speech {
    Framed,
    TtHeader,
    TtHeaderFramed,
}

pub(crate) const SPEECHES: [Speech; 3] = [Speech::Framed, Speech::TtHeader, Speech::TtHeaderFramed];

/// A client without generated code: bodies are bytes.
struct Bare;

impl<S> MkClient<S> for Bare {
    type Target = S;

    fn mk_client(&self, service: S) -> S {
        service
    }
}

/// Calls `method` by a client of Volo's, `store` at the server by name and `shop` itself.
pub(crate) async fn ask(
    address: SocketAddr,
    speech: Speech,
    protocol: Protocol,
    method: &str,
    body: Bytes,
) -> Result<Option<Bytes>, ClientError> {
    let thrift = MakeThriftCodec::new().with_protocol(protocol);
    let framed = MakeFramedCodec::new(thrift);
    match speech {
        Speech::Framed => ask_by(DefaultMakeCodec::new(framed), address, method, body).await,
        Speech::TtHeader => {
            let codec = DefaultMakeCodec::new(MakeTTHeaderCodec::new(thrift));
            ask_by(codec, address, method, body).await
        }
        Speech::TtHeaderFramed => {
            let codec = DefaultMakeCodec::new(MakeTTHeaderCodec::new(framed));
            ask_by(codec, address, method, body).await
        }
    }
}

type Reading = volo::net::conn::OwnedReadHalf;
type Writing = volo::net::conn::OwnedWriteHalf;

async fn ask_by(
    codec: impl MakeCodec<Reading, Writing> + Sync,
    address: SocketAddr,
    method: &str,
    body: Bytes,
) -> Result<Option<Bytes>, ClientError> {
    let client = ClientBuilder::<_, _, _, Bytes, Bytes, _, _, _>::new("store", Bare)
        .caller_name("shop")
        .rpc_timeout(Some(DEADLINE))
        .make_codec(codec)
        .address(address)
        .build();
    let mut context = client.make_cx(method, false);
    Service::call(&client, &mut context, body).await
}
