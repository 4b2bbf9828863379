//! Runs an example of a crate as its reader would, and gives back what it printed.
//!
//! For the crates' `tests/examples.rs`: an example that only compiles may still be wrong.

#![forbid(unsafe_code)]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use std::{env, thread};

/// How long an example may take.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// What an example printed, line by line, once it has ended well.
///
/// # Panics
///
/// If it cannot be built or started, fails, or takes longer than [`TIMEOUT`].
pub fn lines_of(package: &str, example: &str) -> Vec<String> {
    let mut command = Command::new(built(package, example));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().expect("the example starts"));
    let mut output = running.0.stdout.take().expect("it is piped");
    let (send, printed) = sync_channel(1);
    let reader = thread::Builder::new().name("example's output".to_owned());
    let reader = reader.spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        // Nobody waits any more after the time limit.
        let _ = send.send(read.map(|_| text));
    });
    reader.expect("a thread starts");
    let text = match printed.recv_timeout(TIMEOUT) {
        Ok(text) => text.expect("it prints text"),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            panic!("{example} has not ended after {TIMEOUT:?}")
        }
    };
    let status = running.0.wait().expect("it ends");
    assert!(status.success(), "{example} {status}; it printed\n{text}");
    text.lines().map(str::to_owned).collect()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if it has ended, and then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where cargo puts the example: beside the directory the calling test was built in.
fn built(package: &str, example: &str) -> PathBuf {
    let mut path = env::current_exe().expect("a test knows where it is");
    path.pop();
    path.pop();
    let path = path
        .join("examples")
        .join(example)
        .with_extension(env::consts::EXE_EXTENSION);
    // `cargo test` builds examples first; `cargo test --test examples` does not.
    if !path.exists() {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--package",
            package,
            "--example",
            example,
        ]);
        assert!(cargo.status().expect("cargo starts").success(), "{example}");
    }
    path
}
