//! The schema, the reference and the readers agree.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "agreement/check.rs"]
mod agreement;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use agreement::{check, json, validator};
use tempfile::TempDir;
use tidegate::settings::{self, parse};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The files that the examples name.
const FILES: [&str; 13] = [
    "web.crt",
    "web.key",
    "ca.pem",
    "admin.token",
    "example.com.crt",
    "example.com.key",
    "example.net.crt",
    "example.net.key",
    "broker.crt",
    "broker.key",
    "clients.pem",
    "issuer.pem",
    "mqtt.passwords",
];

/// Tables whose keys are the user's.
const FREE: [&str; 9] = [
    "servers",
    "upstreams",
    "commands",
    "environment",
    "set",
    "add",
    "headers",
    "claims",
    "exceptions",
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in FILES {
        std::fs::write(place.path().join(file), "").unwrap();
    }
    let idl = "users.thrift";
    std::fs::copy(examples().join(idl), place.path().join(idl)).unwrap();
    place
}

/// An example with the keys that it shows in comments.
fn uncommented(name: &str) -> String {
    let text = std::fs::read_to_string(examples().join(name)).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn is_taken(text: &str, place: &TempDir) -> bool {
    parse(text, "test.toml", place.path()).is_ok()
}

fn is_valid(text: &str) -> bool {
    validator().is_valid(&json(text))
}

#[test]
fn the_schema_is_one() {
    let schema = settings::schema();
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}

#[test]
fn all_examples_are_valid() {
    let place = place();
    let mut checked = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(is_taken(&text, &place), "{}", path.display());
        check(&text, place.path());
        checked += 1;
    }
    assert!(checked >= 7, "only {checked} examples were found");
    let text = uncommented("full.toml");
    assert!(is_taken(&text, &place));
    check(&text, place.path());
}

/// A key and its value in a text.
struct Entry {
    path: String,
    key: Range<usize>,
    value: Range<usize>,
    /// Whether the key is one of ours.
    is_ours: bool,
    /// Whether the value stands there in one piece.
    is_whole: bool,
}

fn entries(text: &str) -> Vec<Entry> {
    let document = DeTable::parse(text).unwrap();
    let mut entries = Vec::new();
    collect(document.get_ref(), "", &mut entries);
    entries
}

fn collect(table: &DeTable<'_>, path: &str, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let parent = path.rsplit('.').next().unwrap();
        let path = format!("{path}.{}", key.get_ref());
        entries.push(Entry {
            key: key.span(),
            value: value.span(),
            is_ours: !FREE.contains(&parent),
            is_whole: !holds_tables(value),
            path: path.clone(),
        });
        below(value, &path, entries);
    }
}

fn below(value: &Spanned<DeValue<'_>>, path: &str, entries: &mut Vec<Entry>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(table, path, entries),
        DeValue::Array(array) => array.iter().for_each(|it| below(it, path, entries)),
        _ => {}
    }
}

fn holds_tables(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Table(_) => true,
        DeValue::Array(array) => array.iter().any(holds_tables),
        _ => false,
    }
}

/// The same with every table in braces, so that each key is written once.
fn inline(text: &str) -> String {
    let document: toml::Table = toml::from_str(text).unwrap();
    let lines = document
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    lines.collect()
}

fn sources() -> [String; 2] {
    ["full.toml", "mqtt.toml"].map(|name| inline(&uncommented(name)))
}

#[test]
fn a_misspelt_key_is_refused_by_both() {
    let place = place();
    for text in sources() {
        assert!(is_taken(&text, &place) && is_valid(&text));
        let mut misspelt = 0;
        for entry in entries(&text).iter().filter(|entry| entry.is_ours) {
            let mut wrong = text.clone();
            wrong.insert(entry.key.end, 'x');
            assert!(!is_taken(&wrong, &place), "read: {}", entry.path);
            assert!(!is_valid(&wrong), "valid: {}", entry.path);
            misspelt += 1;
        }
        assert!(misspelt > 30, "only {misspelt} keys were found");
    }
}

#[test]
fn a_value_of_another_type_is_refused_by_both() {
    let place = place();
    for text in sources() {
        for entry in entries(&text).iter().filter(|entry| entry.is_whole) {
            for value in ["[[[1]]]", "1.5", "{ of = { another = \"type\" } }"] {
                let mut wrong = text.clone();
                wrong.replace_range(entry.value.clone(), value);
                let path = &entry.path;
                assert!(!is_taken(&wrong, &place), "read: {path} = {value}");
                assert!(!is_valid(&wrong), "valid: {path} = {value}");
            }
        }
    }
}

#[test]
fn keys_that_depend_on_each_other_are_judged_alike() {
    let server = "[servers.a]\nlisten = \"127.0.0.1:0\"\n";
    let upstream = "[upstreams.b]\nendpoints = [\"127.0.0.1:9\"]\n";
    let place = place();
    for (keys, expected) in [
        ("protocol = \"tcp\"\nupstream = \"b\"", true),
        ("protocol = \"tcp\"", false),
        ("protocol = \"tcp\"\nupstream = \"b\"\nroutes = []", false),
        ("protocol = \"thrift\"\nupstream = \"b\"", true),
        (
            "protocol = \"thrift\"\nupstream = \"b\"\nidempotent = true",
            true,
        ),
        (
            "protocol = \"thrift\"\nidempotent = true\nroutes = [{ upstream = \"b\" }]",
            false,
        ),
        (
            "protocol = \"thrift\"\nroutes = [{ upstream = \"b\" }]",
            true,
        ),
        ("protocol = \"mqtt\"\nhttp2 = true", false),
        ("protocol = \"http\"\nanonymous = \"local\"", false),
        ("protocol = \"http\"\ndrain = \"0s\"", true),
        ("protocol = \"http\"\ntimeouts = { idle = \"0s\" }", false),
        ("protocol = \"http\"\ntimeouts = { idle = \"1 m\" }", true),
        ("protocol = \"http\"\ntimeouts = { idle = 1 }", false),
        (
            "protocol = \"http\"\nroutes = [{ path = \"/\", upstream = \"b\" }]",
            true,
        ),
        (
            "protocol = \"http\"\nroutes = [{ path = \"/\", prefix = \"/\", upstream = \"b\" }]",
            false,
        ),
        ("protocol = \"http\"\nroutes = [{ path = \"/\" }]", false),
        (
            "protocol = \"http\"\nroutes = [{ path = \"/\", respond = {}, rewrite = { path = \"/\" } }]",
            false,
        ),
        ("http2 = true", false),
    ] {
        let text = format!("{server}{keys}\n{upstream}");
        assert_eq!(is_taken(&text, &place), expected, "read: {keys}");
        assert_eq!(is_valid(&text), expected, "valid: {keys}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let file = json(
        "[servers.web]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n\
         timeouts = { idle = 5, idel = \"5s\" }\n",
    );
    let errors = validator().iter_errors(&file);
    let mut places: Vec<String> = errors
        .map(|error| error.instance_path().to_string())
        .collect();
    places.sort();
    assert_eq!(
        places,
        ["/servers/web/timeouts", "/servers/web/timeouts/idle"]
    );
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_binary_prints_both() {
    let schema: serde_json::Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    assert_eq!(schema, settings::schema());
    assert_eq!(printed(&["schema", "--markdown"]), settings::reference());
}

#[test]
fn the_page_of_the_guide_is_as_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference.md");
    let committed = std::fs::read_to_string(page).unwrap_or_default();
    assert!(
        committed == settings::reference(),
        "docs/src/reference.md is stale. Print it again: \
         cargo run -- schema --markdown >docs/src/reference.md"
    );
}
