//! Every example configuration loads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use tidegate::settings;

#[test]
fn all_examples_load() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let directory = tempfile::tempdir().unwrap();
    // Whether these hold a pair is not for the settings to say.
    for file in [
        "example.com.crt",
        "example.com.key",
        "example.net.crt",
        "example.net.key",
    ] {
        std::fs::write(directory.path().join(file), "").unwrap();
    }
    std::fs::copy(
        examples.join("users.thrift"),
        directory.path().join("users.thrift"),
    )
    .unwrap();
    let mut loaded = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let copy = directory.path().join(path.file_name().unwrap());
        std::fs::copy(&path, &copy).unwrap();
        if let Err(report) = settings::load(&copy) {
            panic!("{}", report.render(settings::Colour::Plain));
        }
        loaded += 1;
    }
    assert!(loaded >= 4, "only {loaded} examples were found");
}
