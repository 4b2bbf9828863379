//! Another IDL while requests come in.

use rustix::process::Signal;

use crate::harness::eventually;
use crate::http::post;
use crate::service::{BASE, IDL, Service, gateway, place};

#[test]
fn a_changed_idl_takes_effect_by_itself() {
    let service = Service::start();
    let text = gateway(&[service.address], "", "");
    let process = place().start(&text);
    let web = process.listening();
    assert_eq!(post(web, "/users/added", "{}").status, 404);
    // One that the route's own includes.
    let base = BASE.replace("service Base {", "service Base { void added(),");
    std::fs::write(process.place.path("types/base.thrift"), base).unwrap();
    eventually("the new method", || {
        (post(web, "/users/added", "{}").status == 204).then_some(())
    });
}

#[test]
fn an_idl_with_a_mistake_refuses_the_reload() {
    let service = Service::start();
    let text = gateway(&[service.address], "", "");
    let process = place().start(&text);
    let path = process.place.path("users.thrift");
    for (idl, place) in [
        (
            IDL.replace("base.User echo", "base.Usr echo"),
            "users.thrift:5:12: the type `base.Usr` is not defined",
        ),
        (
            "service Users {".to_owned(),
            "users.thrift:1:16: it cannot be parsed",
        ),
    ] {
        std::fs::write(&path, idl).unwrap();
        process.update_refused(&text);
        process.next_that(place, |event| {
            let message = event["message"].as_str().unwrap_or_default();
            message.starts_with(place)
        });
    }
    let reply = post(process.listening(), "/users/sum", r#"{"result": 5}"#);
    assert_eq!(reply.body, "5");
}

#[test]
fn an_update_hands_the_connections_over() {
    let service = Service::start();
    let process = place().start(&gateway(&[service.address], "", ""));
    assert_eq!(post(process.listening(), "/users/touch", "{}").status, 204);
    process.update(&gateway(&[service.address], "", "i64 = \"string\""));
    let reply = post(process.listening(), "/users/sum", r#"{"result": 5}"#);
    assert_eq!(reply.body, "\"5\"");
    assert_eq!(service.connections(), 1);
}

#[test]
fn no_request_is_lost_while_the_idl_changes() {
    let service = Service::start();
    let text = gateway(&[service.address], "", "");
    let process = place().start(&text);
    let web = process.listening();
    for turn in 1..=10 {
        let idl = format!("{IDL}struct Unused{turn} {{}}\n");
        let idl = idl.replace("void touch()", &format!("void touch(), void touch{turn}()"));
        let new = process.place.path("users.thrift.new");
        std::fs::write(&new, idl).unwrap();
        std::fs::rename(new, process.place.path("users.thrift")).unwrap();
        let before = process.logged("reloaded").len();
        process.signal(Signal::HUP);
        let mut number = 0;
        eventually("an update under load", || {
            number += 1;
            let reply = post(web, "/users/sum", &format!("{{\"result\": {number}}}"));
            assert_eq!((reply.status, reply.body), (200, number.to_string()));
            (process.logged("reloaded").len() > before).then_some(())
        });
        assert_eq!(post(web, &format!("/users/touch{turn}"), "{}").status, 204);
    }
    assert_eq!(service.connections(), 1);
}

#[test]
fn a_call_under_way_is_answered_through_an_update() {
    let (old, new) = (Service::start(), Service::start());
    let process = place().start(&gateway(&[old.address], "", ""));
    let web = process.listening();
    let fields = "content-type: application/json\r\n";
    let waiting = crate::http::send(web, "POST /users/stall", fields, r#"{"result": 1}"#);
    old.calls(1);
    process.update(&gateway(&[new.address], "", ""));
    old.release();
    assert_eq!(crate::http::receive(waiting).body, "1");
    assert_eq!(post(web, "/users/touch", "{}").status, 204);
    assert_eq!(new.calls(1).len(), 1);
}
