//! The example runs, prints its lines, and shows that state survives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

const NAME: &str = "state_survives_an_update";

const PRINTED: &str = "\
SvcB called! 0->1
SvcA called! pass_flag = false, not_pass_flag = false
SvcB called! 1->3
SvcA called! pass_flag = false, not_pass_flag = false
SvcB called! 3->6
SvcA called! pass_flag = false, not_pass_flag = false
SvcB called! 6->10
SvcA called! pass_flag = false, not_pass_flag = true
";

/// Where cargo puts the example: beside the directory this test was built in.
fn example() -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples")
        .join(NAME)
        .with_extension(env::consts::EXE_EXTENSION)
}

#[test]
fn the_example_prints_its_lines_and_keeps_its_counter() {
    // `cargo test` builds examples first; `cargo test --test example` does not.
    if !example().exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME")])
            .args(["--example", NAME])
            .status()
            .unwrap();
        assert!(built.success());
    }
    let output = Command::new(example())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), PRINTED);
}
