//! Runs an example of a crate as its reader would, and gives back what it printed.
//!
//! For the crates' `tests/examples.rs`: an example that only compiles may still be wrong.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use std::{env, thread};

/// How long an example may take.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How many lines may wait to be read.
const LINES_MAX: usize = 1024;

/// What an example printed, line by line, once it has ended well.
///
/// # Panics
///
/// If it cannot be built or started, fails, or takes longer than [`TIMEOUT`].
pub fn lines_of(package: &str, example: &str) -> Vec<String> {
    let mut running = Example::start(package, example, &[]);
    let mut lines = Vec::new();
    while let Some(line) = running.next_line() {
        lines.push(line);
    }
    let status = running.child.wait().expect("it ends");
    assert!(
        status.success(),
        "{example} {status}; it printed {lines:#?}"
    );
    lines
}

/// An example that runs. It is stopped when dropped.
#[derive(Debug)]
pub struct Example {
    child: Child,
    lines: Receiver<String>,
    deadline: Instant,
}

impl Example {
    /// Starts an example with arguments.
    ///
    /// # Panics
    ///
    /// If it cannot be built or started.
    pub fn start(package: &str, example: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(built(package, example));
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let output = child.stdout.take().expect("it is piped");
        let (send, lines) = sync_channel(LINES_MAX);
        let reader = thread::Builder::new().name("example's output".to_owned());
        let reader = reader.spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Fails when the test has given up on it.
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        reader.expect("a thread starts");
        Self {
            child,
            lines,
            deadline: Instant::now() + TIMEOUT,
        }
    }

    /// The next line it prints; `None` when it prints no more.
    ///
    /// # Panics
    ///
    /// If [`TIMEOUT`] has passed since its start.
    pub fn next_line(&mut self) -> Option<String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it has not ended after {TIMEOUT:?}"),
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Fails only if it has ended, and then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        cargo.args(["build", "--quiet", "--package", package]);
        cargo.args(["--example", example]);
        assert!(cargo.status().expect("cargo starts").success(), "{example}");
    }
    path
}
