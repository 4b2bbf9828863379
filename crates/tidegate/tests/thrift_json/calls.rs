//! Requests that are calls, in every transport and protocol.

use serde_json::json;
use tidegate_thrift::codec::{HeaderKey, MessageKind, Protocol, Transport};

use crate::http::{post, request};
use crate::service::{Service, start};

const USER: &str = r#"{"user": {"name": "Ann", "age": 7, "friends": [{"name": "Bob"}],
    "levels": {"-1": "HIGH", "2": 5}, "raw": "AP8=", "weight": "NaN"}}"#;

#[test]
fn a_result_is_json_in_every_transport_and_protocol() {
    let service = Service::start();
    let transports = [
        ("unframed", Transport::Unframed),
        ("framed", Transport::Framed),
        ("ttheader", Transport::TtHeader),
        ("ttheader_framed", Transport::TtHeaderFramed),
    ];
    let protocols = [
        ("binary", Protocol::Binary),
        ("binary_old", Protocol::BinaryOld),
        ("compact", Protocol::Compact),
    ];
    let expected: serde_json::Value = serde_json::from_str(USER).unwrap();
    let mut count = 0;
    for (transport_name, transport) in transports {
        for (protocol_name, protocol) in protocols {
            let keys = format!("transport = \"{transport_name}\"\nprotocol = \"{protocol_name}\"");
            let process = start(&[service.address], "", &keys);
            let reply = post(process.listening(), "/users/echo", USER);
            assert_eq!(
                (reply.status, reply.json()),
                (200, expected["user"].clone())
            );
            assert_eq!(reply.field("content-type"), "application/json");
            count += 1;
            let seen = service.calls(count).pop().unwrap();
            assert_eq!(
                (seen.wire.transport, seen.wire.protocol),
                (transport, protocol)
            );
            assert_eq!(&*seen.envelope.method, "echo");
            if transport.has_headers() {
                let headers = seen.headers.unwrap();
                assert_eq!(headers.get(HeaderKey::TO_METHOD), Some(&b"echo"[..]));
                assert_eq!(headers.get(HeaderKey::TO_SERVICE), Some(&b"Users"[..]));
            }
        }
    }
}

#[test]
fn a_method_may_return_nothing_and_may_not_be_answered() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let web = process.listening();
    let reply = post(web, "/users/touch", "");
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let reply = post(web, "/users/forget", r#"{"name": "Ann"}"#);
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    assert_eq!(service.calls(2)[1].envelope.kind, MessageKind::OneWay);
    // One that another service, in another file, declares.
    let reply = post(web, "/users/version", r#"{"result": "one"}"#);
    assert_eq!(reply.body, "\"one\"");
    // One connection carried them all.
    assert_eq!(service.connections(), 1);
}

#[test]
fn integers_of_64_bits_are_exact_and_texts_on_demand() {
    let service = Service::start();
    let json = r#"{"result": 9007199254740993}"#;
    let process = start(&[service.address], "", "");
    let reply = post(process.listening(), "/users/sum", json);
    assert_eq!(reply.body, "9007199254740993");
    let process = start(&[service.address], "", "i64 = \"string\"");
    let reply = post(process.listening(), "/users/sum", json);
    assert_eq!(reply.body, "\"9007199254740993\"");
}

#[test]
fn methods_that_are_named_are_called_with_a_query_too() {
    let service = Service::start();
    let process = start(&[service.address], "", "get = [\"sum\", \"version\"]");
    let web = process.listening();
    let reply = request(
        web,
        "GET /users/sum?result=-5&number=7&text=a%20b+c",
        "",
        "",
    );
    assert_eq!((reply.status, reply.body.as_str()), (200, "-5"));
    let body = &service.calls(1)[0].body;
    assert!(
        body.ends_with(b"\x08\0\x01\0\0\0\x07\x0b\0\x02\0\0\0\x05a b c\0"),
        "{body:?}"
    );
    let reply = request(web, "HEAD /users/version?result=one", "", "");
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let reply = request(web, "GET /users/sum?result=five", "", "");
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["detail"],
        "$.result: expected i64, found another text"
    );
    let reply = request(web, "GET /users/touch", "", "");
    assert_eq!((reply.status, reply.field("allow")), (405, "POST"));
}

#[test]
fn a_route_names_its_method_or_where_it_is() {
    let service = Service::start();
    for (route, thrift, path) in [
        ("path = \"/total\"", "method = \"sum\"", "/total"),
        ("path = \"/{method}/call\"", "", "/sum/call"),
        ("path = \"/v1/{*rest}\"", "", "/v1/sum"),
    ] {
        let process = start(&[service.address], route, thrift);
        let reply = post(process.listening(), path, r#"{"result": 3}"#);
        assert_eq!((reply.status, reply.json()), (200, json!(3)), "{route}");
    }
}

#[test]
fn a_multiplexed_service_is_told_which_it_is() {
    let service = Service::start();
    let process = start(&[service.address], "", "multiplexed = true");
    assert_eq!(post(process.listening(), "/users/touch", "{}").status, 204);
    assert_eq!(&*service.calls(1)[0].envelope.method, "Users:touch");
}

#[test]
fn a_body_in_pieces_is_a_body() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let fields = "content-type: Application/JSON; charset=utf-8\r\ntransfer-encoding: chunked\r\n";
    let stream = crate::http::send(process.listening(), "POST /users/sum", fields, "");
    let mut stream = stream;
    for piece in ["6\r\n{\"resu\r\n", "7\r\nlt\": 4}\r\n", "0\r\n\r\n"] {
        std::io::Write::write_all(&mut stream, piece.as_bytes()).unwrap();
    }
    assert_eq!(crate::http::receive(stream).body, "4");
}
