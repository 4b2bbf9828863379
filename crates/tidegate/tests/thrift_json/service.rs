//! The service behind the gateway, its IDL, and the settings between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use bytes::BytesMut;
use tidegate_thrift::codec::{
    ApplicationException, Decoder, ExceptionKind, Limits, Message, MessageKind, encode,
};

use crate::harness::{DEADLINE, Place, Tidegate, thread};

/// The service gives back the struct it is given: an argument of the number of a result's
/// field is that field.
pub(crate) const IDL: &str = r#"
include "types/base.thrift"
typedef list<base.User> People
service Users extends base.Base {
  base.User echo(0: base.User user),
  i64 sum(0: i64 result, 1: optional i32 number = 3, 2: optional string text),
  void touch(),
  oneway void forget(1: string name),
  void fail(1: optional base.Missing missing, 2: optional base.Denied denied)
    throws (1: base.Missing missing, 2: base.Denied denied),
  i64 lie(0: i32 number),
  i64 lose(),
  i64 stall(0: i64 result),
  i64 hang_up(),
  void refuse(1: i32 kind),
}
"#;

pub(crate) const BASE: &str = r#"
enum Level { LOW, HIGH = 7 }
struct User {
  1: required string name, 2: i32 age, 3: list<User> friends, 4: map<i32, Level> levels,
  5: binary raw, 6: double weight,
}
exception Missing { 1: string name }
exception Denied { 1: string reason }
service Base { string version(0: string result) }
"#;

/// A place with the IDL.
pub(crate) fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("types")).unwrap();
    std::fs::write(place.path("types/base.thrift"), BASE).unwrap();
    std::fs::write(place.path("users.thrift"), IDL).unwrap();
    place
}

/// The binary before the services at these addresses; `route` and `thrift` are more keys.
pub(crate) fn start(endpoints: &[SocketAddr], route: &str, thrift: &str) -> Tidegate {
    place().start(&gateway(endpoints, route, thrift))
}

pub(crate) fn gateway(endpoints: &[SocketAddr], route: &str, thrift: &str) -> String {
    let path = if route.contains("path =") {
        ""
    } else {
        "prefix = \"/users\"\n"
    };
    let endpoints: Vec<String> = endpoints.iter().map(|it| format!("\"{it}\"")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        r#"
[runtime]
workers = 1
pin = false
[servers.web]
protocol = "http"
listen = "127.0.0.1:0"
[[servers.web.routes]]
{path}{route}
[servers.web.routes.thrift]
upstream = "app"
idl = "users.thrift"
service = "Users"
{thrift}
[upstreams.app]
endpoints = [{endpoints}]
"#
    )
}

#[derive(Default)]
struct Seen {
    calls: Vec<Message>,
    connections: usize,
    is_released: bool,
}

/// The service. `stall` is answered once [`Service::release`] was called, `hang_up` never,
/// and `refuse` with the exception of its argument's number.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let serving = service.clone();
        thread("service", move || {
            for stream in listener.incoming() {
                serving.seen.0.lock().unwrap().connections += 1;
                let serving = serving.clone();
                thread("service connection", move || serving.serve(stream.unwrap()));
            }
        });
        service
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut decoder = Decoder::new(Limits::default());
        let mut read = BytesMut::new();
        loop {
            if let Some(call) = decoder.decode(&mut read).unwrap() {
                let Some(answer) = self.answer(&call) else {
                    return;
                };
                if call.envelope.kind == MessageKind::Call {
                    stream.write_all(&encode(&answer).unwrap()).unwrap();
                }
                continue;
            }
            let mut bytes = [0; 4096];
            // An idle connection may be reset with the process that kept it.
            match stream.read(&mut bytes).unwrap_or(0) {
                0 => return,
                count => read.extend_from_slice(&bytes[..count]),
            }
        }
    }

    fn answer(&self, call: &Message) -> Option<Message> {
        let (seen, news) = &*self.seen;
        let mut seen = seen.lock().unwrap();
        seen.calls.push(call.clone());
        news.notify_all();
        let mut answer = Message {
            envelope: call.envelope.answer(MessageKind::Reply),
            ..call.clone()
        };
        match call.envelope.method_name() {
            "stall" => {
                let wait = |seen: &mut Seen| !seen.is_released;
                let (_seen, timeout) = news.wait_timeout_while(seen, DEADLINE, wait).unwrap();
                assert!(!timeout.timed_out());
            }
            "hang_up" => return None,
            "refuse" => {
                // Field 1, an i32, in the binary protocol.
                let kind = ExceptionKind::from_code(call.body[6].into());
                answer.envelope.kind = MessageKind::Exception;
                answer.body =
                    ApplicationException::new(kind, "a secret").encode(call.wire.protocol);
            }
            _ => {}
        }
        Some(answer)
    }

    /// Waits until it has been sent as many calls, and gives them.
    pub(crate) fn calls(&self, count: usize) -> Vec<Message> {
        let (seen, news) = &*self.seen;
        let seen = seen.lock().unwrap();
        let wait = |seen: &mut Seen| seen.calls.len() < count;
        let (seen, timeout) = news.wait_timeout_while(seen, DEADLINE, wait).unwrap();
        assert!(!timeout.timed_out(), "{} calls came", seen.calls.len());
        seen.calls.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.0.lock().unwrap().connections
    }

    pub(crate) fn release(&self) {
        self.seen.0.lock().unwrap().is_released = true;
        self.seen.1.notify_all();
    }
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
