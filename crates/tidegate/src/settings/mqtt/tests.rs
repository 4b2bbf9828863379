//! What a broker is told of its clients, read from text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate_mqtt::broker::limits::OverRate;
use tidegate_mqtt::broker::rate::Rate;
use tidegate_mqtt::server::Anonymous;

use crate::settings::tests::{MINIMAL, errors, good};
use crate::settings::{Protocol, parse};

#[test]
fn a_mistake_in_an_access_rule_is_named_where_it_is() {
    let text = format!(
        "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
         [[servers.broker.access]]\nuser = \"ann\"\npublish = [\"a/{{usr}}\", \"b\"]\n\
         [[servers.broker.access]]\nuser = []\nsubscribe = \"a/#/b\"\neffect = \"denied\"\n\
         [[servers.broker.access]]\nusers = \"ann\"\npublish = \"$share/g/a\"\n\
         [[servers.broker.access]]\nuser = \"ann\"\n"
    );
    assert_eq!(
        errors(&text),
        [
            "16:12 servers.broker.access[0].publish[0]: only {user} and {client_id} can stand in braces",
            "18:8 servers.broker.access[1].user: the array is empty",
            "19:13 servers.broker.access[1].subscribe: a wildcard in a topic filter is not a level of its own",
            "20:10 servers.broker.access[1].effect: \"denied\" is not known",
            "22:1 servers.broker.access[2].users: unknown key",
            "23:11 servers.broker.access[2].publish: a rule cannot be for a shared subscription alone",
            "24:1 servers.broker.access[3]: one of `publish`, `subscribe` is missing",
        ]
    );
}

#[test]
fn a_mistake_in_how_clients_prove_themselves_is_named_where_it_is() {
    let text = format!(
        "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
         identity = \"certificate_common_name\"\npasswords = \"none.such\"\n\
         [servers.broker.tokens]\nkeys = [{{ algorithm = \"none\" }}]\n\
         claims = {{ role = 1 }}\n\
         [servers.broker.hook]\nurl = \"auth.internal\"\nconcurrency = 0\n"
    );
    let found = errors(&text);
    let keys: Vec<&str> = found
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "15:13 servers.broker.passwords",
            "17:9 servers.broker.tokens.keys[0].file",
            "17:23 servers.broker.tokens.keys[0].algorithm",
            "18:19 servers.broker.tokens.claims.role",
            "20:7 servers.broker.hook.url",
            "21:15 servers.broker.hook.concurrency",
        ],
        "{found:#?}"
    );
    let text = format!(
        "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
         identity = \"certificate_common_name\"\n"
    );
    let no_certificates = "14:1 servers.broker.identity: no client is asked for a certificate";
    assert_eq!(errors(&text), [no_certificates]);
}

#[test]
fn nobody_is_anonymous_where_there_is_something_to_prove() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("users"), "").unwrap();
    let anonymous = |rest: &str| {
        let text = format!(
            "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n{rest}"
        );
        let settings = parse(&text, "test.toml", directory.path()).unwrap();
        match &settings.servers["broker"].protocol {
            Protocol::Mqtt(mqtt) => mqtt.settings.anonymous,
            _ => panic!("a broker is awaited"),
        }
    };
    assert_eq!(anonymous(""), Anonymous::Local);
    assert_eq!(anonymous("passwords = \"users\"\n"), Anonymous::Nobody);
    let both = "passwords = \"users\"\nanonymous = \"local\"\n";
    assert_eq!(anonymous(both), Anonymous::Local);
}

#[test]
fn figures_are_published_never_or_not_too_often() {
    let broker =
        format!("{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n");
    good(&format!("{broker}system_interval = \"0s\"\n"));
    good(&format!("{broker}system_interval = \"1s\"\n"));
    let found = errors(&format!("{broker}system_interval = \"999ms\"\n"));
    assert_eq!(
        found,
        ["14:19 servers.broker.system_interval: the interval is too short"]
    );
}

#[test]
fn levels_and_rates_are_as_the_file_says() {
    let broker = format!(
        "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
         [servers.broker.limits]\n"
    );
    let limits = |rest: &str| match &good(&format!("{broker}{rest}")).servers["broker"].protocol {
        Protocol::Mqtt(mqtt) => mqtt.settings.broker,
        _ => panic!("a broker is awaited"),
    };
    assert_eq!(limits("").publish_rate, Rate::UNLIMITED);
    let limits = limits(
        "filter_levels = 3\ntopic_levels = 4\nconnect_rate = { per_second = 5 }\n\
         publish_rate = { per_second = 6, burst = 7, over = \"disconnect\" }\n",
    );
    assert_eq!((limits.filter_levels, limits.topic_levels), (3, 4));
    let rate = |per_second, burst| Rate { per_second, burst };
    assert_eq!(limits.connect_rate, rate(5, 5));
    assert_eq!(limits.publish_rate, rate(6, 7));
    assert_eq!(limits.publish_over_rate, OverRate::Disconnect);
    assert_eq!(
        errors(&format!(
            "{broker}connect_rate = {{ burst = 5 }}\nfilter_levels = 0\n"
        )),
        [
            "15:16 servers.broker.limits.connect_rate.per_second: the required key `per_second` is missing",
            "16:17 servers.broker.limits.filter_levels: 0 is out of range",
        ]
    );
}

#[test]
fn every_key_of_the_broker_example_is_known() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mqtt.toml");
    let text = std::fs::read_to_string(path).unwrap();
    good(&text);
    let directory = tempfile::tempdir().unwrap();
    for file in [
        "mqtt.passwords",
        "broker.crt",
        "broker.key",
        "clients.pem",
        "issuer.pem",
        "ca.pem",
    ] {
        std::fs::write(directory.path().join(file), "").unwrap();
    }
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = parse(&uncommented, "mqtt.toml", directory.path());
    let settings = settings.unwrap_or_else(|report| panic!("{report}"));
    match &settings.servers["broker"].protocol {
        Protocol::Mqtt(mqtt) => assert_eq!(mqtt.proofs.files().count(), 3),
        _ => panic!("a broker is awaited"),
    }
}

#[test]
fn a_mistake_beside_websocket_does_not_make_it_unknown() {
    let text = format!(
        "{MINIMAL}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n\
         anonymous = \"all\"\nwebsocket = {{}}\n"
    );
    assert_eq!(
        errors(&text),
        ["14:13 servers.broker.anonymous: \"all\" is not known"]
    );
}
