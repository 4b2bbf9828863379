//! Where an MQTT server keeps its state, and how surely.

use std::path::PathBuf;

use tidegate_mqtt::store::Promise;

use super::findings::Finding;
use super::section::Section;

/// `durability` and `data_directory` of an MQTT server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What an acknowledged message survives.
    pub promise: Promise,
    /// Of this server alone; made when it is not there.
    pub directory: PathBuf,
}

/// What `data_directory` may be.
const DIRECTORY: &str = "the path of a directory, such as \"/var/lib/tidegate/broker\"";

impl Store {
    /// `Some(None)` if nothing is kept.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Option<Self>> {
        let words = [
            ("none", None),
            ("os", Some(Promise::Os)),
            ("fsync", Some(Promise::Fsync)),
        ];
        let promise = section.choice("durability", &words);
        let about = "What an acknowledged message survives: nothing (the default), the end of the \
                     process, or of the machine.";
        let promise = promise.about(about);
        let promise = promise.optional();
        let directory = section.read("data_directory", DIRECTORY, |found| {
            let text = found.text(DIRECTORY)?;
            if text.is_empty() {
                return found.refuse("the path is empty", DIRECTORY);
            }
            let path = found.findings().resolve(text);
            match std::fs::metadata(&path) {
                Ok(metadata) if !metadata.is_dir() => {
                    found.refuse(format!("{} is a file", path.display()), DIRECTORY)
                }
                // Whether it can be made and written shows when the server is staged.
                _ => Some(path),
            }
        });
        let about = "Where it keeps sessions and messages; required with a durability.";
        let directory = directory.about(about);
        match promise?.flatten() {
            Some(promise) => {
                let directory = directory.required()?;
                Some(Some(Self { promise, directory }))
            }
            None => {
                directory.optional()?;
                refuse_idle_directory(section)?;
                Some(None)
            }
        }
    }
}

/// Who names a directory expects something to be in it.
fn refuse_idle_directory(section: &Section<'_>) -> Option<()> {
    let Some(span) = section.key_span("data_directory") else {
        return Some(());
    };
    let finding = Finding::new(
        span,
        section.path().child("data_directory"),
        "nothing is kept there with durability \"none\"",
    );
    let finding = finding.expected("`durability` \"os\" or \"fsync\" beside it");
    section.findings().push(finding);
    None
}
