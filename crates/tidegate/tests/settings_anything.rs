//! Whatever the text is, it is read or refused, and a refusal says where.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "agreement/check.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod agreement;

use proptest::prelude::*;
use std::path::Path;
use tidegate::settings::{Colour, parse};

const SOUND: &str = r#"
[runtime]
workers = 2
[access_log]
file = "stdout"
[servers.web]
protocol = "http"
listen = ["127.0.0.1:8080", "unix:/run/web.sock"]
timeouts = { header = "10s", idle = "75s" }
limits = { connections = 10, body_bytes = "64MiB" }
[[servers.web.routes]]
host = "*.example.com"
path = "/api/{*rest}"
upstream = "api"
rewrite = { path = "/v1/{rest}" }
[[servers.web.routes]]
path = "/old/{id}"
redirect = { to = "https://{host}/new/{id}" }
[[servers.web.routes]]
prefix = "/"
respond = { status = 404, body = "ü", headers = { x-a = ["1", "2"] } }
[upstreams.api]
endpoints = ["127.0.0.1:9000", { address = "app.internal:9000", weight = 2 }]
tls = { server_name = "app.internal" }
"#;

fn check(text: &str) {
    let Err(report) = parse(text, "any.toml", Path::new("/nowhere")) else {
        agreement::check(text, Path::new("/nowhere"));
        return;
    };
    assert!(!report.errors.is_empty());
    let lines = text.split('\n').count();
    for error in &report.errors {
        assert!((1..=lines).contains(&error.line), "{error} in {text:?}");
        assert!(error.column >= 1, "{error} in {text:?}");
    }
    let positions = report.errors.iter().map(|error| (error.line, error.column));
    assert!(positions.is_sorted(), "{report} in {text:?}");
    assert!(report.render(Colour::Plain).contains("any.toml:"));
    assert!(!report.render(Colour::Ansi).is_empty());
}

/// Pieces that texts of settings are made of, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "\n",
        "\n\n",
        " ",
        "\t",
        "#",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\",
        "servers",
        "web",
        "routes",
        "upstreams",
        "listen",
        "path",
        "\r\n",
        "prefix",
        "upstream",
        "respond",
        "status",
        "true",
        "10",
        "-1",
        "1e9",
        "0x10",
        "1979-05-27",
        "\"10s\"",
        "\"/a/{b}\"",
        "\"127.0.0.1:80\"",
        "\"http\"",
        "protocol",
        "ü",
        "\u{0}",
        "[servers.web]\n",
        "[[servers.web.routes]]\n",
        "[upstreams.a]\n",
        "\u{feff}",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_read_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn pieces_of_settings_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn sound_settings_with_a_wound_are_read_or_refused(
        at in 0..SOUND.len(),
        length in 0..20_usize,
        replacement in prop::collection::vec(piece(), 0..3),
    ) {
        let start = SOUND.floor_char_boundary(at);
        let end = SOUND.ceil_char_boundary(start + length);
        let mut text = SOUND.to_owned();
        text.replace_range(start..end, &replacement.concat());
        check(&text);
    }
}

#[test]
fn the_sound_settings_are_sound() {
    parse(SOUND, "any.toml", Path::new("/nowhere")).unwrap();
    agreement::check(SOUND, Path::new("/nowhere"));
}
