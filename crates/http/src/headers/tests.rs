#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue, SERVER, VIA};
use proptest::prelude::*;

use super::{Headers, Role, Roles, pool};
use crate::h1::codec::{Limits, RequestParser};

/// The fields of a request that arrives with these lines.
fn arrived(lines: &str) -> Headers {
    let head = format!("GET / HTTP/1.0\r\n{lines}\r\n");
    let mut buffer = BytesMut::from(head.as_str());
    let parsed = RequestParser::new().parse(&mut buffer, &Limits::default());
    parsed.unwrap().unwrap().parts.headers
}

fn written(headers: &Headers) -> String {
    let mut out = BytesMut::new();
    headers.write(&mut out, |_| false);
    assert!(out.len() <= headers.written_length_max());
    String::from_utf8(out.to_vec()).unwrap()
}

fn values(headers: &Headers, name: &str) -> Vec<String> {
    headers.get_all(name).map(|it| it.to_string()).collect()
}

#[test]
fn names_are_kept_as_they_were_spelt_and_found_in_any_case() {
    let mut headers = arrived("HoSt: a\r\nX-A: 1\r\nx-a: 2\r\n");
    assert_eq!(headers.get(HOST).unwrap(), "a");
    assert_eq!(values(&headers, "X-a"), ["1", "2"]);
    assert!(headers.contains_key("x-A") && !headers.contains_key("x-ab"));
    headers.append(VIA, HeaderValue::from_static("1.1 a"));
    assert_eq!(
        written(&headers),
        "HoSt: a\r\nX-A: 1\r\nx-a: 2\r\nvia: 1.1 a\r\n"
    );
}

#[test]
fn white_space_around_a_value_is_not_sent_on() {
    let headers = arrived("A:1\r\nB:  2\r\nC:\t3\r\nD: 4 \r\nE:\r\nF: \r\nG: 7\r\n");
    let lines = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: \r\nF: \r\nG: 7\r\n";
    assert_eq!(written(&headers), lines);
}

#[test]
fn what_is_left_out_does_not_take_its_neighbours_along() {
    let headers = arrived("A: 1\r\nTE: 2\r\nC: 3\r\nte: 4\r\n");
    let mut out = BytesMut::new();
    headers.write(&mut out, |role| role == Role::Te);
    assert_eq!(out, "A: 1\r\nC: 3\r\n");
}

#[test]
fn a_field_that_is_set_replaces_every_one_of_its_name() {
    let mut headers = arrived("Server: a\r\nAccept: b\r\nserver: c\r\n");
    headers.insert(SERVER, HeaderValue::from_static("z"));
    assert_eq!(written(&headers), "Accept: b\r\nserver: z\r\n");
    assert!(headers.remove(ACCEPT) && !headers.remove(ACCEPT));
    assert_eq!(headers.len(), 1);
    assert!(headers.retain(|field| !field.is("SERVER")));
    assert!(headers.is_empty() && written(&headers).is_empty());
}

#[test]
fn roles_are_told_by_names_in_any_case() {
    let headers = arrived("KEEP-alive: 1\r\nx_forwarded_by: 2\r\nX-Real-IPs: 3\r\nProxy: 4\r\n");
    let roles: Vec<Role> = headers.iter().map(|field| field.role()).collect();
    let told = [
        Role::KeepAlive,
        Role::Forwarding,
        Role::EndToEnd,
        Role::Proxy,
    ];
    assert_eq!(roles, told);
    assert!(headers.may_have(Roles::of(&[Role::Host, Role::Proxy])));
    assert!(!headers.may_have(Roles::of(&[Role::Host, Role::Te])));
    assert!(!arrived("").may_have(Roles::of(&[Role::EndToEnd])));
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut headers = arrived("A: 1\r\n");
    let copy = headers.clone();
    headers.insert(HOST, HeaderValue::from_static("b"));
    assert_eq!(written(&copy), "A: 1\r\n");
    assert_ne!(copy, headers);
    assert_eq!(copy, arrived("a:  1\r\n"));
}

#[test]
fn lines_are_kept_for_the_next_message_unless_they_have_grown_large() {
    let mut headers = arrived("A: 1\r\n");
    headers.append(HOST, HeaderValue::from_static("b"));
    let place = headers.lines.as_deref().map(std::ptr::from_ref);
    drop(headers);
    let again = arrived("B: 2\r\n");
    assert_eq!(again.lines.as_deref().map(std::ptr::from_ref), place);
    assert_eq!(written(&again), "B: 2\r\n");

    let mut large = Headers::new();
    for _ in 0..1000 {
        large.append(HOST, HeaderValue::from_static("a long value of a field"));
    }
    drop(large);
    assert_eq!(pool::take().kept_bytes(), 0);
}

#[test]
fn a_map_of_arrived_fields_shares_their_bytes() {
    let mut buffer = BytesMut::from("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    let range = buffer.as_ptr_range();
    let parsed = RequestParser::new().parse(&mut buffer, &Limits::default());
    let map = HeaderMap::from(parsed.unwrap().unwrap().parts.headers);
    assert_eq!(map["host"], "example.com");
    assert!(range.contains(&map["host"].as_bytes().as_ptr()));
}

prop_compose! {
    fn field()(name in "[a-c]{1,2}", value in "[!-~]([ -~\t]{0,8}[!-~])?|") -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), value.parse().unwrap())
    }
}

#[derive(Clone, Debug)]
enum Change {
    Append(HeaderName, HeaderValue),
    Insert(HeaderName, HeaderValue),
    Remove(HeaderName),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        field().prop_map(|(name, value)| Change::Append(name, value)),
        field().prop_map(|(name, value)| Change::Insert(name, value)),
        field().prop_map(|(name, _)| Change::Remove(name)),
    ]
}

proptest! {
    /// Whatever is done, a map that the same is done to has the same fields.
    #[test]
    fn they_hold_what_a_header_map_holds(
        arriving in prop::collection::vec(field(), 0..8),
        changes in prop::collection::vec(change(), 0..16),
    ) {
        let lines: String = arriving
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
            .collect();
        let mut headers = arrived(&lines);
        let mut map: HeaderMap = HeaderMap::new();
        for (name, value) in arriving {
            map.append(name, value);
        }
        for change in changes {
            match change {
                Change::Append(name, value) => {
                    headers.append(&name, value.clone());
                    map.append(name, value);
                }
                Change::Insert(name, value) => {
                    headers.insert(&name, value.clone());
                    map.insert(name, value);
                }
                Change::Remove(name) => {
                    prop_assert_eq!(headers.remove(&name), map.remove(&name).is_some());
                }
            }
            prop_assert_eq!(headers.len(), map.len());
            prop_assert_eq!(&HeaderMap::from(&headers), &map);
        }
        // Read again from what is written, nothing has changed.
        prop_assert_eq!(arrived(&written(&headers)), headers);
    }
}
