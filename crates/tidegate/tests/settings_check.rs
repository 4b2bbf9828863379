//! What an operator sees of a wrong file: `tidegate check`, the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

/// Twelve mistakes of twelve kinds, two of them in the syntax.
const TWELVE: &str = r#"[runtime]
worker = 4

[servers.web]
protocol = "http"
listen = ["0.0.0.0:8080", "127.0.0.1:8080"]
timeouts = { header = 10, idle = "75s" }
limits = { header_bytes = "32kb" }
tls = { certificates = [{ chain = "absent.crt", key = "web.key" }] }
drain = 30s

[[servers.web.routes]]
path = "/api/{*rest}"
upstream = "app"

[[servers.web.routes]]
path = "/api/{*all}"
respond = { status = 200 }

[[servers.web.routes]]
prefix = "/static"
respond = { status = 200
redirect = { to = "/elsewhere" }

[servers.broker]
protocol = "udp"
listen = ["0.0.0.0:1883"]

[upstreams.api]
balance = "round-robin"
endpoints = [{ address = "127.0.0.1:9000", weight = 0 }]
"#;

const FOUND: [(&str, &str); 12] = [
    ("2:1", "runtime.worker"),
    ("6:27", "servers.web.listen[1]"),
    ("7:23", "servers.web.timeouts.header"),
    ("8:27", "servers.web.limits.header_bytes"),
    ("9:35", "servers.web.tls.certificates[0].chain"),
    ("10:9", "servers.web.drain"),
    ("14:12", "servers.web.routes[0].upstream"),
    ("17:8", "servers.web.routes[1].path"),
    ("22:11", "servers.web.routes[2].respond"),
    ("26:12", "servers.broker.protocol"),
    ("30:11", "upstreams.api.balance"),
    ("31:53", "upstreams.api.endpoints[0].weight"),
];

struct Checked {
    path: PathBuf,
    output: Output,
    _directory: tempfile::TempDir,
}

impl Checked {
    fn errors(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }
}

fn check(text: &str) -> Checked {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidegate.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(directory.path().join("web.key"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    Checked {
        path,
        output,
        _directory: directory,
    }
}

#[test]
fn twelve_mistakes_are_twelve_located_errors() {
    let checked = check(TWELVE);
    assert_eq!(checked.output.status.code(), Some(2));
    let errors = checked.errors();
    let found: Vec<(&str, &str)> = errors
        .split("error: ")
        .skip(1)
        .map(|error| {
            let mut lines = error.lines();
            let key = lines.next().unwrap().split(": ").next().unwrap();
            let place = lines.next().unwrap().trim_start_matches([' ', '-', '>']);
            let place = place.strip_prefix(checked.path.to_str().unwrap()).unwrap();
            (place.trim_start_matches(':'), key)
        })
        .collect();
    assert_eq!(found, FOUND, "{errors}");
    assert!(errors.ends_with("tidegate.toml: 12 errors\n"), "{errors}");
    for error in errors.split("error: ").skip(1) {
        assert!(
            error.contains("^ expected "),
            "nothing is underlined: {error}"
        );
    }
}

#[test]
fn the_spot_is_shown() {
    let checked = check(
        "[servers.web]\nprotocol = \"http\"\nlisten = \"127.0.0.1:80\"\n\
         timeouts = { idel = \"75s\", header = \"0s\" }\n",
    );
    let errors = checked
        .errors()
        .replace(checked.path.to_str().unwrap(), "FILE");
    let expected = r#"error: servers.web.timeouts.idel: unknown key
 --> FILE:4:14
  |
4 | timeouts = { idel = "75s", header = "0s" }
  |              ^^^^ expected `idle`
  |
  = help: did you mean `idle`?

error: servers.web.timeouts.header: the duration is zero
 --> FILE:4:37
  |
4 | timeouts = { idel = "75s", header = "0s" }
  |                                     ^^^^ expected a duration such as "10s", "500ms", "2m" or "1h"
  |
  = help: zero does not mean "for ever"; write a long duration

FILE: 2 errors
"#;
    assert_eq!(errors, expected);
}

#[test]
fn two_places_are_shown_when_two_are_involved() {
    let server = "protocol = \"http\"\nlisten = \"127.0.0.1:80\"\n";
    let checked = check(&format!("[servers.a]\n{server}[servers.b]\n{server}"));
    let errors = checked
        .errors()
        .replace(checked.path.to_str().unwrap(), "FILE");
    let expected = r#"error: servers.b.listen: the address 127.0.0.1:80 is listened on twice
 --> FILE:6:10
  |
3 | listen = "127.0.0.1:80"
  |          -------------- taken here
...
6 | listen = "127.0.0.1:80"
  |          ^^^^^^^^^^^^^^ expected an address of its own

FILE: 1 error
"#;
    assert_eq!(errors, expected);
}

#[test]
fn an_upstream_without_endpoints_is_an_error() {
    let checked = check(
        "[servers.a]\nprotocol = \"http\"\nlisten = \"127.0.0.1:80\"\n\
         [upstreams.empty]\nendpoints = []\n",
    );
    assert_eq!(checked.output.status.code(), Some(2));
    assert!(
        checked
            .errors()
            .contains("upstreams.empty.endpoints: there is no endpoint")
    );
}

#[test]
fn a_good_file_is_summed_up_in_a_line() {
    let checked = check(
        "[servers.a]\nprotocol = \"http\"\nlisten = \"127.0.0.1:80\"\n\
         [[servers.a.routes]]\npath = \"/\"\nrespond = {}\n",
    );
    assert_eq!(
        checked.output.status.code(),
        Some(0),
        "{}",
        checked.errors()
    );
    let summary = String::from_utf8(checked.output.stdout.clone()).unwrap();
    let expected = ": good: 1 server, 1 listener, 1 route, 0 upstreams\n";
    assert!(summary.ends_with(expected), "{summary}");
    assert_eq!(checked.errors(), "");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["check", "--config", "/nowhere/tidegate.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("cannot read the file: No such file or directory"),
        "{errors}"
    );
    assert!(errors.contains("--> /nowhere/tidegate.toml"), "{errors}");
}

#[test]
fn a_file_that_is_not_text_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidegate.toml");
    std::fs::write(&path, b"# fine\nname = \"\xff\"\n").unwrap();
    let report = tidegate::settings::load(&path).unwrap_err();
    let error = &report.errors[0];
    assert_eq!((error.line, error.column), (2, 9), "{report}");
}

#[test]
fn the_version_is_printed() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(version, format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
}
