//! Which upstream a call goes to.

use tidegate_thrift::codec::{
    ExceptionKind, HeaderKey, HeadersBuilder, Message, Protocol, Transport,
};

use crate::harness::{Tidegate, free_address};
use crate::peers::{Backend, FRAMED, Peer, call, wire};

#[test]
fn calls_go_by_service_method_and_header_to_the_first_route_that_fits() {
    let (canary, reads, rest) = (Backend::start(), Backend::start(), Backend::start());
    let listen = free_address();
    let text = format!(
        r#"
[servers.calls]
protocol = "thrift"
listen = "{listen}"
[[servers.calls.routes]]
headers = {{ env = "canary" }}
upstream = "canary"
[[servers.calls.routes]]
service = "store"
method_prefix = "get"
upstream = "reads"
strip_service = true
[[servers.calls.routes]]
service = "store"
upstream = "rest"
[upstreams.canary]
endpoints = ["{}"]
[upstreams.reads]
endpoints = ["{}"]
[upstreams.rest]
endpoints = ["{}"]
"#,
        canary.address, reads.address, rest.address
    );
    let _process = Tidegate::start(&text);
    let mut client = Peer::connect(listen);
    client.ask(&call(FRAMED, "store:getAll", 1));
    client.ask(&call(FRAMED, "store:put", 2));
    let exception = client.ask_in_vain(&call(FRAMED, "users:get", 3));
    assert_eq!(exception.kind, ExceptionKind::UnknownMethod);

    let headers = HeadersBuilder::new(1)
        .with(HeaderKey::TO_SERVICE, "store")
        .unwrap();
    let ttheader = wire(Transport::TtHeader, Protocol::Binary);
    let with = |headers: HeadersBuilder| Message {
        headers: Some(headers.build()),
        ..call(ttheader, "get", 4)
    };
    let mut client = Peer::connect(listen);
    client.ask(&with(headers.clone()));
    let marked = headers.with(HeaderKey::Name(b"env"), "canary").unwrap();
    client.ask(&with(marked));

    let methods = |backend: &Backend, count| -> Vec<String> {
        let calls = backend.calls(count).into_iter();
        calls.map(|call| call.envelope.method.to_string()).collect()
    };
    assert_eq!(methods(&canary, 1), ["get"]);
    assert_eq!(methods(&reads, 2), ["getAll", "get"]);
    assert_eq!(methods(&rest, 1), ["store:put"]);
}
