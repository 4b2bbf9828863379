//! Mistakes in the settings of a route that leads to a Thrift service.

use tidegate::settings::parse;

use crate::service::{gateway, nowhere, place};

fn errors(change: impl Fn(String) -> String) -> Vec<String> {
    let place = place();
    let text = change(gateway(&[nowhere()], "", ""));
    match parse(&text, "test.toml", place.directory.path()) {
        Ok(_) => Vec::new(),
        Err(report) => report
            .errors
            .iter()
            .map(|error| {
                format!(
                    "{}:{} {}: {}",
                    error.line, error.column, error.key, error.message
                )
            })
            .collect(),
    }
}

#[test]
fn every_mistake_is_located() {
    let route = "servers.web.routes[0].thrift";
    let service = "service = \"Users\"\n";
    for (from, to, expected) in [
        (
            "upstream = \"app\"",
            "upstream = \"ap\"",
            format!("12:12 {route}.upstream: the upstream \"ap\" is not defined"),
        ),
        (
            "users.thrift",
            "user.thrift",
            format!("13:7 {route}.idl: user.thrift: cannot read "),
        ),
        (
            "idl = \"users.thrift\"",
            "idl = 3",
            format!("13:7 {route}.idl: found the integer 3"),
        ),
        (
            service,
            "service = \"User\"\n",
            format!("14:11 {route}.service: the IDL has no service \"User\""),
        ),
        (
            service,
            "",
            format!("11:1 {route}.service: the required key `service` is missing"),
        ),
        (
            service,
            "service = \"Users\"\nmethod = \"echoe\"\n",
            format!("15:10 {route}.method: the IDL has no method \"echoe\""),
        ),
        (
            service,
            "service = \"Users\"\nget = [\"echo\"]\n",
            format!("15:8 {route}.get[0]: the method \"echo\" cannot be called with a query"),
        ),
        (
            service,
            "service = \"Users\"\nget = [\"forget\"]\n",
            format!("15:8 {route}.get[0]: the method \"forget\" cannot be called with a query"),
        ),
        (
            service,
            "service = \"Users\"\nexceptions = { Missin = 404 }\n",
            format!("15:16 {route}.exceptions.Missin: the IDL has no exception \"Missin\""),
        ),
        (
            service,
            "service = \"Users\"\nexceptions = { Missing = 204 }\n",
            format!("15:26 {route}.exceptions.Missing: it is not the status of an error"),
        ),
        (
            service,
            "service = \"Users\"\ndepth = 101\n",
            format!("15:9 {route}.depth: 101 is out of range"),
        ),
        (
            service,
            "service = \"Users\"\ntransport = \"client\"\n",
            format!("15:13 {route}.transport: \"client\" is not known"),
        ),
        (
            service,
            "service = \"Users\"\ni64 = \"text\"\n",
            format!("15:7 {route}.i64: \"text\" is not known"),
        ),
        (
            "prefix = \"/users\"",
            "path = \"/users/{name}\"",
            format!("11:1 {route}.method: which method is called is not said"),
        ),
        (
            "prefix = \"/users\"",
            "prefix = \"/users\"\nupstream = \"app\"",
            format!("12:21 {route}: "),
        ),
    ] {
        let errors = errors(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        assert!(
            matches!(&errors[..], [error] if error.starts_with(&expected)),
            "{to}: {errors:?}, not {expected}"
        );
    }
    assert_eq!(errors(|text| text), [""; 0]);
}
