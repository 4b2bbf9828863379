//! What concerns the whole process: workers, access log, name resolution.

use super::scalars::Zero;
use super::section::Section;
use std::path::PathBuf;
use std::time::Duration;

/// `[runtime]`: the worker threads. Changes need a restart, `command_timeout` apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// How many workers; 0 means one per core.
    pub workers: usize,
    /// Whether each worker is pinned to a core.
    pub pin: bool,
    /// How long all workers together may take to build or swap a service chain.
    pub command_timeout: Duration,
    /// How long a stop leaves everything as it is, but known to be unready.
    pub lame_duck: Duration,
    /// How long a new process may take to serve in this one's place.
    pub upgrade_timeout: Duration,
}

/// More worker threads than this are a mistake.
const WORKERS_MAX: u32 = 1024;

/// Nobody waits longer for a new process.
const UPGRADE_TIMEOUT_MAX: Duration = Duration::from_secs(600);

impl Runtime {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("The worker threads. All but `command_timeout` needs a restart to change.");
        Some(Self {
            workers: section
                .integer("workers", 0..=WORKERS_MAX)
                .about("How many; 0 means one per core.")
                .or(0) as usize,
            pin: section
                .boolean("pin")
                .about("Whether each worker stays on a core of its own.")
                .or(true),
            command_timeout: section
                .duration("command_timeout", Zero::Refused)
                .about("How long all workers together may take to build an update.")
                .or(Duration::from_secs(10)),
            lame_duck: section
                .duration("lame_duck", Zero::Allowed)
                .about("How long a stop goes on accepting, known to be unready.")
                .or(Duration::ZERO),
            upgrade_timeout: section
                .duration("upgrade_timeout", Zero::Refused)
                .about(
                    "How long the new process of an upgrade may take to serve; at most 10 minutes.",
                )
                .or(Duration::from_secs(60))
                .min(UPGRADE_TIMEOUT_MAX),
        })
    }
}

/// `[access_log]`: one JSON line per request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where the lines go.
    pub file: LogTarget,
    /// Bytes each worker holds back before it hands them to the writer.
    pub buffer: usize,
    /// The longest a line is held back.
    pub flush: Duration,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// `"stdout"`
    Stdout,
    /// `"stderr"`
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

impl AccessLog {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("One JSON line per request; without it there is no access log.");
        let expected = "\"stdout\", \"stderr\" or the path of a file";
        let file = section.read("file", expected, |found| match found.text(expected)? {
            "" => found.refuse("the path is empty", expected),
            "stdout" => Some(LogTarget::Stdout),
            "stderr" => Some(LogTarget::Stderr),
            path => Some(LogTarget::File(found.findings().resolve(path))),
        });
        let file = file.about("Where the lines go; a file is appended to.");
        let file = file.required();
        let buffer = section.memory("buffer", Zero::Refused);
        let buffer =
            buffer.about("Bytes each worker holds back before it hands them to the writer.");
        let buffer = buffer.or(64 << 10);
        let flush = section
            .duration("flush", Zero::Refused)
            .about("The longest a line is held back.")
            .or(Duration::from_secs(1));
        Some(Self {
            file: file?,
            buffer,
            flush,
        })
    }
}

/// `[dns]`: how names of upstreams are turned into addresses, off the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// How often a name is looked up again.
    pub refresh: Duration,
    /// How long one look-up may take; the last good answer is kept when it fails.
    pub timeout: Duration,
}

impl Dns {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("How names of endpoints become addresses.");
        Some(Self {
            refresh: section
                .duration("refresh", Zero::Refused)
                .about("How often a name is looked up again.")
                .or(Duration::from_secs(30)),
            timeout: section
                .duration("timeout", Zero::Refused)
                .about("How long one look-up may take; the last good answer is kept when it fails.")
                .or(Duration::from_secs(5)),
        })
    }
}
