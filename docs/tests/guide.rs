//! What the guide says is so: its settings are read by the readers, its includes and links
//! lead somewhere, and every chapter is in the book and among the doctests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use tidegate::cli::Cli;
use tidegate::settings;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The chapters' file names and texts.
fn chapters() -> Vec<(String, String)> {
    let mut chapters: Vec<_> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    chapters.sort();
    assert!(chapters.len() > 10, "only {} chapters", chapters.len());
    chapters
}

/// The blocks of `text` that are fenced with `language`, each with its line.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let wanted = info.split(',').next() == Some(language);
                open = Some((at + 2, wanted, String::new()));
            }
            (Some(_), Some(_)) => {
                let (line, wanted, block) = open.take().unwrap();
                if wanted {
                    blocks.push((line, block));
                }
            }
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A part of a configuration with what it takes for granted: a server, its kind by its
/// name, and the upstreams that are named. Never replaces what is written.
fn completed(part: &str) -> String {
    let mut text = part.to_owned();
    let written: toml::Table = toml::from_str(part).unwrap_or_else(|error| panic!("{error}"));
    let names = |section: &str| -> BTreeSet<String> {
        let table = written.get(section).and_then(|it| it.as_table());
        table
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let mut servers = names("servers");
    if servers.is_empty() {
        servers.insert("web".to_owned());
    }
    for name in servers {
        if part.contains(&format!("[servers.{name}]\n")) {
            continue;
        }
        let protocol = match name.as_str() {
            "broker" => "mqtt",
            _ => "http",
        };
        text.push_str(&format!(
            "[servers.{name}]\nprotocol = \"{protocol}\"\nlisten = \"127.0.0.1:0\"\n"
        ));
    }
    let defined = names("upstreams");
    let named: BTreeSet<&str> = part
        .split("upstream = \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    for name in named.into_iter().filter(|name| !defined.contains(*name)) {
        text.push_str(&format!(
            "[upstreams.{name}]\nendpoints = [\"127.0.0.1:9\"]\n"
        ));
    }
    text
}

#[test]
fn every_configuration_is_read() {
    let place = tempfile::tempdir().unwrap();
    let mut read = 0;
    for (chapter, text) in chapters() {
        for (line, block) in blocks(&text, "toml") {
            for word in block.split('"') {
                // Whether these hold what they should is not for the settings to say.
                if [".crt", ".key", ".pem", ".token", ".passwords"]
                    .iter()
                    .any(|end| word.ends_with(end))
                {
                    fs::write(place.path().join(word), "").unwrap();
                }
            }
            // What belongs into a Cargo.toml is another matter.
            if block.contains("[dependencies]") {
                continue;
            }
            let whole = completed(&block);
            if let Err(report) = settings::parse(&whole, "guide.toml", place.path()) {
                panic!("{chapter}:{line}: {report}\nin {whole}");
            }
            read += 1;
        }
    }
    assert!(read > 10, "only {read} configurations were found");
}

#[test]
fn includes_and_links_lead_somewhere() {
    for (chapter, text) in chapters() {
        for include in text.split("{{#include ").skip(1) {
            let include = include.split("}}").next().unwrap();
            let (file, anchor) = include.split_once(':').unwrap_or((include, ""));
            let included = fs::read_to_string(source().join(file))
                .unwrap_or_else(|error| panic!("{chapter}: {file}: {error}"));
            for mark in ["ANCHOR: ", "ANCHOR_END: "] {
                let marked = included.lines().filter(|line| {
                    line.trim_start().strip_prefix("// ") == Some(&format!("{mark}{anchor}"))
                });
                assert!(
                    anchor.is_empty() || marked.count() == 1,
                    "{chapter}: {include}: no {mark}{anchor}"
                );
            }
        }
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            let elsewhere = link.contains("://") || file.is_empty();
            assert!(
                elsewhere || source().join(file).exists(),
                "{chapter}: {link}: there is no such file"
            );
        }
    }
}

#[test]
fn every_chapter_is_in_the_book_and_its_code_is_compiled() {
    let summary = fs::read_to_string(source().join("SUMMARY.md")).unwrap();
    let compiled = fs::read_to_string(source().join("../guide.rs")).unwrap();
    for (chapter, text) in chapters() {
        if chapter == "SUMMARY.md" {
            continue;
        }
        assert!(summary.contains(&format!("({chapter})")), "{chapter}");
        // What is included is compiled where it comes from.
        let has_code = text.contains("```rust");
        assert!(
            !has_code || compiled.contains(&format!("src/{chapter}")),
            "{chapter} has code, and guide.rs does not have it"
        );
    }
}

/// The texts after each `start` in all chapters, each with its chapter.
fn after(start: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (chapter, text) in chapters() {
        let rests = text.split(start).skip(1);
        found.extend(rests.map(|rest| (chapter.clone(), rest.to_owned())));
    }
    found
}

#[test]
fn every_command_is_one() {
    let tidegate = Cli::command();
    let mut named = 0;
    for (chapter, rest) in after("`tidegate ").into_iter().chain(after("\ntidegate ")) {
        let line = rest.split(['`', '\n']).next().unwrap();
        let mut command = &tidegate;
        for word in line.split_whitespace() {
            if !command.has_subcommands() || word.starts_with('-') {
                break;
            }
            let inner = command.find_subcommand(word);
            command = inner.unwrap_or_else(|| panic!("{chapter}: tidegate {line}: no {word}"));
            named += 1;
        }
    }
    assert!(named > 10, "only {named} commands were found");
}

#[test]
fn every_metric_is_one() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tidegate/src/admin");
    let files = fs::read_dir(place.join("metrics")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let source: String = files
        .chain([place.join("metrics.rs")])
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let metrics: Vec<_> = after("`tidegate_")
        .into_iter()
        .map(|(chapter, rest)| (chapter, rest.split('`').next().unwrap().to_owned()))
        // Crates' names look alike.
        .filter(|(_, name)| !name.contains("::"))
        .collect();
    assert!(metrics.len() > 10, "only {} metrics", metrics.len());
    for (chapter, name) in metrics {
        let quoted = format!("\"tidegate_{name}\"");
        assert!(source.contains(&quoted), "{chapter}: tidegate_{name}");
    }
}
