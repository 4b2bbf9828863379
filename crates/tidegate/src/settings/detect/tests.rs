#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use crate::settings::parse;

#[test]
fn a_server_that_tells_protocols_apart_names_servers_that_speak_them() {
    let text = |detect: &str| {
        format!(
            "[servers.door]\nprotocol = \"detect\"\nlisten = \"127.0.0.1:1\"\n\
             detect = {{ {detect} }}\n\
             [servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:2\"\n"
        )
    };
    let refused = |detect: &str| {
        let report = parse(&text(detect), "test", Path::new("")).unwrap_err();
        assert_eq!(report.errors.len(), 1, "{detect}: {report:?}");
        report.errors[0].to_string()
    };
    assert!(parse(&text("mqtt = \"broker\""), "test", Path::new("")).is_ok());
    assert!(refused("mqtt = \"brokr\"").contains("\"broker\""));
    assert!(refused("http = \"broker\"").contains("cannot serve that"));
    assert!(refused("tls = \"broker\"").contains("a server with `tls`"));
    assert!(refused("other = \"door\"").contains("cannot serve that"));
    assert!(refused("thrift = \"broker\"").contains("protocol = \"thrift\""));
    assert!(refused("").contains("`http`"));
    assert!(refused("mqtt = \"broker\", smtp = \"broker\"").contains("unknown key"));
}

#[test]
fn a_server_needs_no_listener_if_another_leads_to_it() {
    let text = |detect: &str| {
        format!(
            "[servers.door]\nprotocol = \"detect\"\nlisten = \"127.0.0.1:1\"\n\
             detect = {{ {detect} }}\n\
             [servers.calls]\nprotocol = \"thrift\"\nupstream = \"u\"\n\
             [servers.web]\nprotocol = \"http\"\nlisten = \"127.0.0.1:2\"\n\
             [[servers.web.routes]]\npath = \"/\"\nbroker = \"broker\"\n\
             [servers.broker]\nprotocol = \"mqtt\"\n\
             [upstreams.u]\nendpoints = [\"127.0.0.1:3\"]\n"
        )
    };
    let led_to = parse(&text("thrift = \"calls\""), "test", Path::new("")).unwrap();
    assert!(led_to.servers["calls"].listen.is_empty());
    assert!(led_to.servers["broker"].listen.is_empty());
    // Nobody leads to it.
    let report = parse(&text("http = \"web\""), "test", Path::new("")).unwrap_err();
    assert_eq!(report.errors.len(), 1, "{report:?}");
    let error = report.errors[0].to_string();
    assert!(error.contains("servers.calls.listen"), "{error}");
    assert!(error.contains("in `detect` of another server"), "{error}");
    // Whoever comes through another's listener may come from anywhere.
    let proxied = text("thrift = \"calls\"").replace(
        "upstream = \"u\"\n",
        "upstream = \"u\"\nproxy_protocol = {}\n",
    );
    let report = parse(&proxied, "test", Path::new("")).unwrap_err();
    assert!(report.errors[0].to_string().contains("trust"), "{report:?}");
}
