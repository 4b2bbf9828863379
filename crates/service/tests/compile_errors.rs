//! A chain stacked wrongly must say what is missing, in words.
//!
//! Each file in `compile_errors/` is compiled against the crate. It must fail
//! with every text it names in a `//~` comment, or compile if it names none.
//! The compiler is run directly, so a case takes a fraction of a second and
//! only the texts that are this crate's own are pinned.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{self, Command, Output},
};

fn rustc() -> Command {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut command = Command::new(rustc);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("COLUMNS", "1000")
        .args(["--edition=2024", "--emit=metadata", "--color=never"]);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Compiles the crate itself, which has no dependencies.
fn compile_crate(directory: &Path) -> PathBuf {
    let metadata = directory.join("libtidegate_service.rmeta");
    let output = rustc()
        .args(["--crate-type=lib", "--crate-name=tidegate_service", "-o"])
        .args([metadata.as_os_str(), "src/lib.rs".as_ref()])
        .output()
        .expect("rustc runs wherever cargo test does");
    assert!(output.status.success(), "{}", stderr(&output));
    metadata
}

fn compile_case(case: &Path, metadata: &Path) -> Output {
    let mut extern_crate = OsString::from("tidegate_service=");
    extern_crate.push(metadata);
    rustc()
        .arg("--crate-type=bin")
        .arg("--extern")
        .arg(extern_crate)
        .arg("-o")
        .arg(metadata.with_file_name("case.rmeta"))
        .arg(case)
        .output()
        .unwrap()
}

/// What `case` falls short of, if anything.
fn judge(case: &Path, output: &Output) -> Option<String> {
    let source = fs::read_to_string(case).unwrap();
    let expected: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("//~ "))
        .collect();
    let errors = stderr(output);
    if output.status.success() != expected.is_empty() {
        return Some(format!("{case:?}: exit {}:\n{errors}", output.status));
    }
    let missing: Vec<_> = expected
        .into_iter()
        .filter(|text| !errors.contains(text))
        .collect();
    (!missing.is_empty()).then(|| format!("{case:?}: {missing:#?} is missing from:\n{errors}"))
}

#[test]
fn errors_of_a_mis_stacked_chain_name_the_missing_bound() {
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compile_errors-{}", process::id()));
    fs::create_dir_all(&directory).unwrap();
    let metadata = compile_crate(&directory);
    let mut cases: Vec<_> =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compile_errors"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
    cases.sort();
    assert!(cases.len() > 5, "the cases are gone");

    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| judge(case, &compile_case(case, &metadata)))
        .collect();
    fs::remove_dir_all(&directory).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
