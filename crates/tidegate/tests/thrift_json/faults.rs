//! What is answered when a call goes wrong: at the client, at the service, on the way.

use serde_json::json;

use crate::http::{post, receive, request, send};
use crate::service::{Service, nowhere, start};

const JSON: &str = "content-type: application/json\r\n";

#[test]
fn what_the_client_gets_wrong_is_told_with_its_path() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let web = process.listening();
    for (path, body, detail) in [
        (
            "echo",
            r#"{"user": {"name": "Ann", "age": "7"}}"#,
            "$.user.age: expected i32, found string",
        ),
        (
            "echo",
            r#"{"user": {}}"#,
            "$.user: the required field `name` is missing",
        ),
        (
            "echo",
            r#"{"user": {"name": "Ann", "agee": 7}}"#,
            "$.user.agee: there is no such field",
        ),
        ("echo", "", "$: the required field `user` is missing"),
        (
            "echo",
            "{",
            "EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let reply = post(web, &format!("/users/{path}"), body);
        let expected = json!({"title": "Bad Request", "status": 400, "detail": detail});
        assert_eq!((reply.status, reply.json()), (400, expected));
        assert_eq!(reply.field("content-type"), "application/problem+json");
    }
    assert_eq!(service.calls(0).len(), 0);
}

#[test]
fn what_is_no_call_is_refused_as_http_has_it() {
    let service = Service::start();
    let process = start(&[service.address], "limits = { body_bytes = \"64B\" }", "");
    let web = process.listening();
    for path in ["/users/nothing", "/users", "/users/", "/users/echo/echo"] {
        assert_eq!(post(web, path, "{}").status, 404, "{path}");
    }
    let reply = request(web, "PUT /users/touch", JSON, "{}");
    assert_eq!((reply.status, reply.field("allow")), (405, "POST"));
    for fields in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/jsonp\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
    ] {
        assert_eq!(
            request(web, "POST /users/touch", fields, "{}").status,
            415,
            "{fields}"
        );
    }
    let large = format!("{{{}}}", " ".repeat(63));
    assert_eq!(post(web, "/users/touch", &large).status, 413);
    assert_eq!(service.calls(0).len(), 0);
}

#[test]
fn messages_are_bounded_on_the_way_there() {
    let service = Service::start();
    let process = start(
        &[service.address],
        "",
        "message_bytes = \"100B\"\ndepth = 6",
    );
    let web = process.listening();
    let user = |friends: usize| {
        let friends = vec![r#"{"name":""}"#; friends].join(",");
        format!(r#"{{"user":{{"name":"","friends":[{friends}]}}}}"#)
    };
    assert_eq!(post(web, "/users/echo", &user(2)).status, 200);
    assert_eq!(post(web, "/users/echo", &user(20)).status, 413);
    let deep =
        r#"{"user":{"name":"","friends":[{"name":"","friends":[{"name":"","friends":[]}]}]}}"#;
    let reply = post(web, "/users/echo", deep);
    assert_eq!(
        (reply.status, &reply.json()["detail"]),
        (
            400,
            &json!("$.user.friends[0].friends[0].friends: values nested more than 6 deep")
        )
    );
}

#[test]
fn exceptions_that_are_declared_have_their_status() {
    let service = Service::start();
    let process = start(&[service.address], "", "exceptions = { Missing = 404 }");
    let web = process.listening();
    let reply = post(web, "/users/fail", r#"{"missing": {"name": "Ann"}}"#);
    let expected = json!({"title": "Missing", "status": 404, "exception": {"name": "Ann"}});
    assert_eq!((reply.status, reply.json()), (404, expected));
    assert_eq!(reply.field("content-type"), "application/problem+json");
    let reply = post(web, "/users/fail", r#"{"denied": {"reason": "no"}}"#);
    let expected = json!({"title": "Denied", "status": 422, "exception": {"reason": "no"}});
    assert_eq!((reply.status, reply.json()), (422, expected));
}

#[test]
fn exceptions_of_the_services_library_are_not_repeated() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let web = process.listening();
    for (kind, status, detail) in [
        (1, 501, "the service does not know the method"),
        (6, 502, "the service failed: internal_error"),
        (99, 502, "the service failed: unknown"),
    ] {
        let reply = post(web, "/users/refuse", &format!("{{\"kind\": {kind}}}"));
        assert_eq!(
            (reply.status, &reply.json()["detail"]),
            (status, &json!(detail))
        );
        assert!(!reply.body.contains("secret"));
    }
}

#[test]
fn a_service_that_does_not_keep_to_the_idl_is_to_blame() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let web = process.listening();
    assert_eq!(post(web, "/users/lie", r#"{"number": 1}"#).status, 502);
    assert_eq!(post(web, "/users/lose", "{}").status, 502);
    // Which leaves the connection as good as it was.
    assert_eq!(post(web, "/users/touch", "{}").status, 204);
    assert_eq!(service.connections(), 1);
}

#[test]
fn a_service_that_cannot_be_asked_is_a_fault_of_the_way() {
    let service = Service::start();
    let process = start(
        &[service.address],
        "timeouts = { upstream_response = \"50ms\" }",
        "",
    );
    let web = process.listening();
    assert_eq!(post(web, "/users/stall", r#"{"result": 1}"#).status, 504);
    assert_eq!(post(web, "/users/hang_up", "{}").status, 502);
    assert_eq!(
        service.calls(2).len(),
        2,
        "a call that was sent is not sent again"
    );
    service.release();
    let process = start(&[nowhere()], "", "");
    assert_eq!(post(process.listening(), "/users/touch", "{}").status, 502);
    let text = crate::service::gateway(&[], "", "")
        .replace("endpoints = []", "endpoints = [\"nobody.invalid:9\"]");
    let process = crate::service::place().start(&text);
    assert_eq!(post(process.listening(), "/users/touch", "{}").status, 503);
}

#[test]
fn what_was_not_sent_goes_elsewhere_and_the_rest_if_it_may() {
    let service = Service::start();
    let endpoints = [nowhere(), service.address];
    let retrying = |thrift: &str| {
        let text = crate::service::gateway(&endpoints, "", thrift);
        crate::service::place().start(&format!("{text}balance = \"first\"\nretries = 2\n"))
    };
    let process = retrying("");
    assert_eq!(post(process.listening(), "/users/touch", "{}").status, 204);
    assert_eq!(
        post(process.listening(), "/users/hang_up", "{}").status,
        502
    );
    assert_eq!(service.calls(2).len(), 2);
    let process = retrying("idempotent = true");
    let reply = post(process.listening(), "/users/hang_up", "{}");
    assert_eq!(reply.status, 502);
    assert!(service.calls(3).len() >= 3);
}

#[test]
fn a_client_that_leaves_costs_the_service_its_answer_alone() {
    let service = Service::start();
    let process = start(&[service.address], "", "");
    let web = process.listening();
    let leaving = send(web, "POST /users/stall", JSON, r#"{"result": 1}"#);
    service.calls(1);
    drop(leaving);
    let waiting = send(web, "POST /users/stall", JSON, r#"{"result": 2}"#);
    service.calls(2);
    service.release();
    assert_eq!(receive(waiting).body, "2");
}
