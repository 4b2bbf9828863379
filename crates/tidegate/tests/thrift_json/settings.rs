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

const SERVICE: &str = "service = \"Users\"\n";

/// What takes the place of what, and the mistake: its place, and its key with the message.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    (
        "upstream = \"app\"",
        "upstream = \"ap\"",
        "12:12",
        ".upstream: the upstream \"ap\" is not defined",
    ),
    (
        "users.thrift",
        "user.thrift",
        "13:7",
        ".idl: user.thrift: cannot read ",
    ),
    (
        "idl = \"users.thrift\"",
        "idl = 3",
        "13:7",
        ".idl: found the integer 3",
    ),
    (
        SERVICE,
        "service = \"User\"\n",
        "14:11",
        ".service: the IDL has no service \"User\"",
    ),
    (
        SERVICE,
        "",
        "11:1",
        ".service: the required key `service` is missing",
    ),
    (
        SERVICE,
        "service = \"Users\"\nmethod = \"echoe\"\n",
        "15:10",
        ".method: the IDL has no method \"echoe\"",
    ),
    (
        SERVICE,
        "service = \"Users\"\nget = [\"echo\"]\n",
        "15:8",
        ".get[0]: the method \"echo\" cannot be called with a query",
    ),
    (
        SERVICE,
        "service = \"Users\"\nget = [\"forget\"]\n",
        "15:8",
        ".get[0]: the method \"forget\" cannot be called with a query",
    ),
    (
        SERVICE,
        "service = \"Users\"\nexceptions = { Missin = 404 }\n",
        "15:16",
        ".exceptions.Missin: the IDL has no exception \"Missin\"",
    ),
    (
        SERVICE,
        "service = \"Users\"\nexceptions = { Missing = 204 }\n",
        "15:26",
        ".exceptions.Missing: it is not the status of an error",
    ),
    (
        SERVICE,
        "service = \"Users\"\ndepth = 101\n",
        "15:9",
        ".depth: 101 is out of range",
    ),
    (
        SERVICE,
        "service = \"Users\"\ntransport = \"client\"\n",
        "15:13",
        ".transport: \"client\" is not known",
    ),
    (
        SERVICE,
        "service = \"Users\"\ni64 = \"text\"\n",
        "15:7",
        ".i64: \"text\" is not known",
    ),
    (
        "prefix = \"/users\"",
        "path = \"/users/{name}\"",
        "11:1",
        ".method: which method is called is not said",
    ),
    (
        "prefix = \"/users\"",
        "prefix = \"/users\"\nupstream = \"app\"",
        "12:21",
        ": ",
    ),
];

#[test]
fn every_mistake_is_located() {
    for (from, to, place, message) in MISTAKES {
        let expected = format!("{place} servers.web.routes[0].thrift{message}");
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
