//! Whatever the readers take, the schema takes: for every configuration that a test uses.

use std::path::Path;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// The schema that the binary prints.
pub(crate) fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::draft202012::new(&tidegate::settings::schema()).unwrap())
}

/// What an editor makes of a file.
pub(crate) fn json(text: &str) -> Value {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Panics if the readers take `text`, whose relative paths start at `base`, and the
/// schema refuses it.
#[track_caller]
pub(crate) fn check(text: &str, base: &Path) {
    if tidegate::settings::parse(text, "test.toml", base).is_err() {
        return;
    }
    let file = json(text);
    let errors: Vec<String> = validator()
        .iter_errors(&file)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?} in {text}");
}
