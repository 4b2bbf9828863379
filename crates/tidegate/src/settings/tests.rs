#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::collections::BTreeSet;
use std::time::Duration;
use tidegate_http::websocket::Origins;
use tidegate_runtime::proxy_protocol::{OtherPeers, ProxyProtocolMode};

pub(super) const MINIMAL: &str = r#"
    [servers.web]
    protocol = "http"
    listen = ["127.0.0.1:8080"]
    [[servers.web.routes]]
    prefix = "/"
    upstream = "app"
    [upstreams.app]
    endpoints = ["127.0.0.1:9000", "127.0.0.1:9001"]
"#;

pub(super) fn good(text: &str) -> Settings {
    parse(text, "test.toml", Path::new("")).unwrap_or_else(|report| panic!("{report}"))
}

/// The errors of `text` as "line:column key: message".
pub(super) fn errors(text: &str) -> Vec<String> {
    let report = parse(text, "test.toml", Path::new("")).expect_err("the text is wrong");
    let errors = report.errors.iter();
    errors
        .map(|e| format!("{}:{} {}: {}", e.line, e.column, e.key, e.message))
        .collect()
}

fn full() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/full.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn defaults_are_on_and_as_designed() {
    let settings = good(MINIMAL);
    assert_eq!(settings.runtime.workers, 0);
    assert!(settings.access_log.is_none());
    let web = &settings.servers["web"];
    assert_eq!(web.drain, Duration::from_secs(30));
    assert_eq!(web.timeouts.header, Duration::from_secs(10));
    assert_eq!(web.timeouts.idle, Duration::from_secs(75));
    assert_eq!(web.timeouts.upstream_connect, Duration::from_secs(2));
    assert_eq!(web.timeouts.upstream_response, Duration::from_secs(60));
    assert_eq!(web.limits.connections, 10_000);
    assert_eq!(web.limits.header_bytes, 32 << 10);
    assert_eq!(web.limits.body_bytes, 64 << 20);
    let app = &settings.upstreams["app"];
    assert_eq!(app.balance, tidegate_gateway::balance::Balance::RoundRobin);
    assert_eq!((app.retries, app.pool.idle), (1, 256));
    assert!(app.endpoints.iter().all(|endpoint| endpoint.weight == 1));
}

#[test]
fn the_full_example_shows_the_defaults() {
    // What full.toml has beyond MINIMAL are its other routes.
    let mut full = good(&full());
    let web = full.servers.get_mut("web").unwrap();
    assert_eq!(web.routes.len(), 5);
    web.routes.truncate(1);
    assert_eq!(full, good(MINIMAL));
}

#[test]
fn the_full_example_shows_every_key() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["web.crt", "web.key", "ca.pem", "admin.token"] {
        std::fs::write(directory.path().join(file), "").unwrap();
    }
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/users.thrift");
    std::fs::copy(idl, directory.path().join("users.thrift")).unwrap();
    let uncommented = full()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect::<String>();
    let (settings, findings) = read(&uncommented, directory.path());
    let report = Report::new("full.toml", &uncommented, &findings);
    assert!(report.errors.is_empty() && settings.is_some(), "{report}");
    let document = DeTable::parse(&uncommented).unwrap().into_inner();
    let mut shown = BTreeSet::new();
    collect_keys(&DeValue::Table(document), "", &mut shown);
    let hidden: Vec<_> = findings
        .offered_keys()
        .difference(&shown)
        // Those of brokers are shown by an example of their own.
        .filter(|key| !key.starts_with("servers.broker."))
        .cloned()
        .collect();
    // It stands beside its alternative, in a comment.
    assert_eq!(hidden, ["admin.token"], "keys that full.toml does not show");
}

/// The dotted paths of all keys in `value`, array indexes left out.
fn collect_keys(value: &DeValue<'_>, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        DeValue::Table(table) => {
            for (key, value) in table {
                let path = format!("{path}.{}", key.get_ref());
                keys.insert(path.trim_start_matches('.').to_owned());
                collect_keys(value.get_ref(), &path, keys);
            }
        }
        DeValue::Array(array) => array
            .iter()
            .for_each(|item| collect_keys(item.get_ref(), path, keys)),
        _ => {}
    }
}

#[test]
fn a_route_has_the_servers_values_until_it_sets_its_own() {
    let text = r#"
        [servers.web]
        protocol = "http"
        listen = "127.0.0.1:0"
        timeouts = { upstream_response = "5s", upstream_idle = "6s" }
        limits = { body_bytes = "1MiB" }
        [[servers.web.routes]]
        path = "/a"
        respond = {}
        timeouts = { upstream_response = "7s" }
        limits = { body_bytes = 5 }
    "#;
    let settings = good(text);
    let route = &settings.servers["web"].routes[0];
    assert_eq!(route.timeouts.upstream_response, Duration::from_secs(7));
    assert_eq!(route.timeouts.upstream_idle, Duration::from_secs(6));
    assert_eq!(route.limits.body_bytes, 5);
}

#[test]
fn a_mistyped_required_key_is_one_error() {
    let text = MINIMAL.replace("protocol", "protcol");
    assert_eq!(errors(&text), ["3:5 servers.web.protcol: unknown key"]);
    let text = MINIMAL.replace("prefix", "prefx");
    assert_eq!(
        errors(&text),
        ["6:5 servers.web.routes[0].prefx: unknown key"]
    );
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_the_right_one() {
    let text = MINIMAL.replace("protocol", "header_bytes = 5\nprotocol");
    let report = parse(&text, "test.toml", Path::new("")).unwrap_err();
    let help = report.errors[0].help.as_deref();
    assert_eq!(help, Some("this key belongs in `servers.web.limits`"));
}

#[test]
fn listen_addresses_that_cover_each_other_clash() {
    let listen = |addresses: &str| {
        let text = MINIMAL.replace(r#"["127.0.0.1:8080"]"#, addresses);
        parse(&text, "test.toml", Path::new("")).map_err(|report| report.errors.len())
    };
    assert_eq!(listen(r#"["0.0.0.0:80", "127.0.0.1:80"]"#).unwrap_err(), 1);
    assert_eq!(
        listen(r#"["127.0.0.1:80", "127.0.0.1:80"]"#).unwrap_err(),
        1
    );
    assert_eq!(listen(r#"["unix:/a", "unix:/a"]"#).unwrap_err(), 1);
    assert!(listen(r#"["0.0.0.0:80", "[::]:80", "127.0.0.1:81"]"#).is_ok());
    assert!(listen(r#"["127.0.0.1:0", "127.0.0.1:0"]"#).is_ok());
    assert!(listen(r#"["127.0.0.1:80", "127.0.0.2:80"]"#).is_ok());
}

#[test]
fn a_clash_between_servers_names_both_places() {
    let text =
        format!("{MINIMAL}\n[servers.two]\nprotocol = \"http\"\nlisten = \"0.0.0.0:8080\"\n");
    let report = parse(&text, "test.toml", Path::new("")).unwrap_err();
    let [error] = report.errors.as_slice() else {
        panic!("{report}");
    };
    assert_eq!((error.line, error.key.as_str()), (13, "servers.two.listen"));
    assert_eq!(error.related.as_ref().map(|related| related.line), Some(4));
}

#[test]
fn an_upstream_with_mistakes_is_still_defined() {
    let text = MINIMAL.replace("127.0.0.1:9000", "127.0.0.1");
    assert_eq!(
        errors(&text),
        ["9:18 upstreams.app.endpoints[0]: the address \"127.0.0.1\" has no port"]
    );
}

#[test]
fn a_broken_upstream_header_does_not_make_its_routes_wrong() {
    let text = MINIMAL.replace("[upstreams.app]", "[upstreams.app");
    let errors = errors(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("8:19 upstreams.app: "), "{errors:?}");
}

#[test]
fn a_mistyped_table_of_upstreams_is_one_error() {
    let text = MINIMAL.replace("[upstreams.app]", "[upstream.app]");
    assert_eq!(errors(&text), ["8:6 upstream: unknown key"]);
}

#[test]
fn a_mistyped_server_in_a_route_is_one_error() {
    let text = MINIMAL.replace("[[servers.web.routes]]", "[[servers.wbe.routes]]");
    let message = "the server `wbe` has neither `protocol` nor `listen`";
    assert_eq!(errors(&text), [format!("5:15 servers.wbe: {message}")]);
}

#[test]
fn framing_headers_cannot_be_set() {
    let text = MINIMAL.replace(
        "upstream = \"app\"",
        "upstream = \"app\"\nrequest_headers = { set = { Transfer-Encoding = \"x\" } }",
    );
    let errors = errors(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("`transfer-encoding` is set by the gateway itself"));
}

#[test]
fn a_mistaken_network_is_shown_as_it_should_be() {
    let text = MINIMAL.replace(
        "protocol = \"http\"",
        "protocol = \"http\"\nforwarded = { trust = [\"10.0.0.1/8\", \"::1\"] }",
    );
    let errors = errors(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("10.0.0.1/8") && errors[0].contains("`10.0.0.0/8`"));
}

#[test]
fn endpoint_addresses_are_checked() {
    let resolve = |path: &str| Path::new("/base").join(path);
    let parse = |text: &str| address::parse_endpoint(text, &resolve);
    for right in [
        "127.0.0.1:1",
        "[::1]:1",
        "a.b-c_d:65535",
        "unix:/a",
        "localhost:80",
    ] {
        assert_eq!(parse(right).unwrap().to_string(), right);
    }
    assert_eq!(parse("unix:a").unwrap().to_string(), "unix:/base/a");
    let long = format!("unix:/{}", "a".repeat(200));
    let wrong = [
        "",
        ":80",
        "a",
        "a:",
        "a:0",
        "a:65536",
        "a:+80",
        "::1",
        "[::1]",
        "256.1.1.1:80",
        "127.0.0.1:0",
        "http://a:80",
        "-a:80",
        "a..b:80",
        "unix:",
        "ä:80",
        &long,
    ];
    for wrong in wrong {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_admin_server_is_not_for_everybody() {
    let with = |admin: &str| format!("{MINIMAL}\n[admin]\n{admin}\n");
    let open = errors(&with("listen = \"0.0.0.0:9901\""));
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].contains("12:10 admin.listen"), "{open:?}");
    assert!(open[0].contains("no token"), "{open:?}");
    let short = errors(&with("listen = \"127.0.0.1:9901\"\ntoken = \"short\""));
    assert!(short[0].contains("13:9 admin.token"), "{short:?}");
    let both = "listen = \"127.0.0.1:9901\"\ntoken = \"0123456789abcdef\"\ntoken_file = \"x\"";
    assert!(!errors(&with(both)).is_empty());
    let guarded = good(&with(
        "listen = \"0.0.0.0:9901\"\ntoken = \"0123456789abcdef\"",
    ));
    let shown = format!("{guarded:?}");
    assert!(!shown.contains("0123456789"), "a secret is shown: {shown}");
    let local = good(&with(
        "listen = [\"127.0.0.1:9901\", \"unix:/run/admin.sock\"]",
    ));
    assert_eq!(local.admin.unwrap().listen.len(), 2);
    // Nobody else may have its address.
    assert_eq!(
        errors(&with(
            "listen = \"0.0.0.0:8080\"\ntoken = \"0123456789abcdef\""
        ))
        .len(),
        1
    );
}

#[test]
fn a_command_is_read_to_its_last_key() {
    let text = format!(
        "{MINIMAL}\n[commands.exporter]\nprogram = \"exporter\"\narguments = [\"--quiet\"]\n\
         environment = {{ LANG = \"C\" }}\nrestart = \"always\"\nstop_timeout = \"1s\"\n"
    );
    let settings = good(&text);
    let command = &settings.commands["exporter"];
    assert_eq!(command.arguments, ["--quiet"]);
    assert_eq!(command.environment["LANG"].reveal(), "C");
    assert_eq!(command.restart, CommandRestart::Always);
    let wrong = format!(
        "{MINIMAL}\n[commands.exporter]\nprogram = \"\"\nrestart = \"sometimes\"\narguments = [1]\n"
    );
    assert_eq!(errors(&wrong).len(), 3);
}

#[test]
fn a_password_in_a_command_s_environment_is_not_shown() {
    let text = format!(
        "{MINIMAL}\n[commands.exporter]\nprogram = \"exporter\"\n\
         environment = {{ DATABASE = \"postgres://hunter2@db\" }}\n"
    );
    let shown = format!("{:#?}", good(&text));
    assert!(
        shown.contains("DATABASE") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_program_with_a_path_is_found_from_the_file_s_directory() {
    let program_of = |program: &str| {
        let text = format!("{MINIMAL}\n[commands.tool]\nprogram = \"{program}\"\n");
        let settings = parse(&text, "test.toml", Path::new("/etc/tidegate")).unwrap();
        settings.commands["tool"].program.display().to_string()
    };
    assert_eq!(program_of("tool"), "tool", "it is looked for in PATH");
    assert_eq!(program_of("bin/tool"), "/etc/tidegate/bin/tool");
    assert_eq!(program_of("/bin/tool"), "/bin/tool");
}

#[test]
fn what_no_program_can_be_handed_is_refused_where_it_is() {
    let text = format!(
        "{MINIMAL}\n[commands.tool]\nprogram = \"a\\u0000b\"\narguments = [\"ok\", \"\\u0000\"]\n\
         environment = {{ A = \"\\u0000\", \"B=C\" = \"\" }}\ndirectory = \"\"\n"
    );
    assert_eq!(
        errors(&text),
        [
            "12:11 commands.tool.program: there is a zero byte in it",
            "13:20 commands.tool.arguments[1]: there is a zero byte in it",
            "14:21 commands.tool.environment.A: there is a zero byte in it",
            "14:39 commands.tool.environment.\"B=C\": this is no name of a variable",
            "15:13 commands.tool.directory: the path is empty",
        ]
    );
}

#[test]
fn a_broker_says_what_it_grants_and_has_no_key_of_http() {
    let broker = |rest: &str| {
        format!(
            "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n{rest}"
        )
    };
    let text = broker(
        "anonymous = \"everybody\"\n\
         timeouts = { connect = \"3s\", session_expiry = \"1h\" }\n\
         limits = { connections = 7, packet_bytes = \"2KiB\", queue_drop = \"oldest\" }\n",
    );
    let settings = parse(&text, "test.toml", Path::new("")).unwrap();
    let server = &settings.servers["broker"];
    let Protocol::Mqtt(mqtt) = &server.protocol else {
        panic!("{server:?}");
    };
    assert_eq!(server.limits.connections, 7);
    assert_eq!(mqtt.settings.connect_timeout.as_secs(), 3);
    assert_eq!(mqtt.settings.broker.session_expiry_secs, 3_600);
    assert_eq!(mqtt.settings.broker.packet_bytes, 2_048);
    assert_eq!(mqtt.store, None);
    let text = broker("http2 = true\n");
    assert_eq!(errors(&text), ["14:1 servers.broker.http2: unknown key"]);
}

#[test]
fn a_broker_says_where_it_keeps_its_state_if_it_keeps_any() {
    let broker = |rest: &str| {
        format!(
            "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n{rest}"
        )
    };
    let text = broker("durability = \"fsync\"\ndata_directory = \"state\"\n");
    let settings = parse(&text, "test.toml", Path::new("/etc")).unwrap();
    let Protocol::Mqtt(mqtt) = &settings.servers["broker"].protocol else {
        panic!("{settings:?}");
    };
    let store = mqtt.store.as_ref().unwrap();
    assert_eq!(store.promise, tidegate_mqtt::store::Promise::Fsync);
    assert_eq!(store.directory, Path::new("/etc/state"));
    let cases = [
        (
            "durability = \"os\"\n",
            "11:1 servers.broker.data_directory: the required key `data_directory` is missing",
        ),
        (
            "data_directory = \"state\"\n",
            "14:1 servers.broker.data_directory: nothing is kept there with durability \"none\"",
        ),
        (
            "durability = \"disk\"\n",
            "14:14 servers.broker.durability: \"disk\" is not known",
        ),
        (
            "durability = \"os\"\ndata_directory = \"/dev/null\"\n",
            "15:18 servers.broker.data_directory: /dev/null is a file",
        ),
    ];
    for (rest, error) in cases {
        assert_eq!(errors(&broker(rest)), [error]);
    }
}

#[test]
fn a_header_from_anybody_is_not_believed_by_oversight() {
    let with = |listen: &str, rest: &str| {
        let text = MINIMAL.replace("listen = [\"127.0.0.1:8080\"]", listen);
        assert_ne!(text, MINIMAL);
        format!("{text}\n[servers.web.proxy_protocol]\n{rest}")
    };
    let tcp = "listen = [\"127.0.0.1:8080\", \"unix:/run/a.sock\"]";
    let unix = "listen = \"unix:/run/a.sock\"";
    let missing = errors(&with(tcp, ""));
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0]
            .ends_with("servers.web.proxy_protocol.trust: the required key `trust` is missing")
    );
    let settings = good(&with(unix, ""));
    let mode = &settings.servers["web"].proxy_protocol;
    assert!(matches!(mode, ProxyProtocolMode::On(options) if options.trust.is_empty()));
    let settings = good(&with(
        tcp,
        "trust = [\"10.0.0.0/8\"]\nothers = \"direct\"\n",
    ));
    let ProxyProtocolMode::On(options) = &settings.servers["web"].proxy_protocol else {
        panic!("it is on");
    };
    assert_eq!(
        (options.trust.len(), options.others),
        (1, OtherPeers::Direct)
    );
    assert_eq!(
        good(MINIMAL).servers["web"].proxy_protocol,
        ProxyProtocolMode::Off
    );
}

#[test]
fn a_route_leads_into_a_broker_that_is_one() {
    let with = |route: &str| {
        format!(
            "{MINIMAL}\n[[servers.web.routes]]\npath = \"/mqtt\"\n{route}\n\
             [servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
             websocket = {{ path = \"/ws\", origins = [\"https://a.example\"] }}"
        )
    };
    let settings = good(&with(
        "broker = \"broker\"\nwebsocket = { origins = [\"*\"] }",
    ));
    let action = &settings.servers["web"].routes[1].action;
    let Action::Broker { name, handshake } = action else {
        panic!("{action:?}");
    };
    assert_eq!(
        (name.as_str(), &handshake.origins),
        ("broker", &Origins::All)
    );
    let Protocol::Mqtt(mqtt) = &settings.servers["broker"].protocol else {
        panic!("it is a broker");
    };
    let websocket = mqtt.websocket.as_ref().unwrap();
    assert_eq!(websocket.path, "/ws");
    assert_eq!(
        websocket.handshake.origins,
        Origins::Named(vec!["https://a.example".to_owned()])
    );
    for (route, message) in [
        ("broker = \"web\"", "the server \"web\" is no broker"),
        (
            "broker = \"brokre\"",
            "the broker \"brokre\" is not defined",
        ),
        (
            "redirect = { to = \"/\" }\nwebsocket = {}",
            "`websocket` only goes together with `broker`",
        ),
        (
            "broker = \"broker\"\nupstream = \"app\"",
            "`upstream` does not go together with `broker`",
        ),
        (
            "broker = \"broker\"\nwebsocket = { origins = [\"https://a.example/b\"] }",
            "\"https://a.example/b\" is not an origin",
        ),
    ] {
        let errors = errors(&with(route));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with(message), "{errors:?}");
    }
}

#[test]
fn the_example_of_a_tcp_proxy_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/tcp.toml");
    let settings = load(Path::new(path)).unwrap();
    let upstreams = settings.upstreams_of(&settings.servers["secure"]);
    assert_eq!(upstreams.len(), 2);
}

#[test]
fn a_tcp_server_says_where_its_connections_go_in_one_way() {
    let text = |keys: &str| {
        format!(
            "[servers.a]\nprotocol = \"tcp\"\nlisten = \"127.0.0.1:1\"\n{keys}\n\
             [upstreams.u]\nendpoints = [\"127.0.0.1:2\"]\n"
        )
    };
    let refused = |keys: &str| {
        let report = parse(&text(keys), "test", Path::new("")).unwrap_err();
        assert_eq!(report.errors.len(), 1, "{keys}: {report:?}");
        report.errors[0].to_string()
    };
    let route = "[[servers.a.routes]]\nupstream = \"u\"";
    assert!(refused("").contains("`upstream`, `routes`"));
    assert!(refused(&format!("upstream = \"u\"\n{route}")).contains("does not go together"));
    assert!(refused("upstream = \"x\"").contains("not defined"));
    assert!(refused("upstream = \"u\"\nsend_proxy_protocol = \"v3\"").contains("\"v1\""));
    let named = "[[servers.a.routes]]\nserver_name = \"a.b\"\nupstream = \"u\"";
    assert!(refused(&format!("{named}\n{named}")).contains("has a route already"));
    assert!(refused(&format!("{route}\n{named}\n{route}")).contains("all other names"));
    assert!(parse(&text(&format!("{route}\n{named}")), "test", Path::new("")).is_ok());
}
