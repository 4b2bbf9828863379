//! Talking to systemd, where it started us: that we are ready, reload, stop, are alive
//! (`sd_notify(3)`), and which sockets it holds for us (`sd_listen_fds(3)`).
//!
//! The environment comes in as a function, so that tests need not change the process's.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The first descriptor systemd passes.
const FIRST_DESCRIPTOR: i32 = 3;
/// The most it may pass.
const DESCRIPTORS_MAX: i32 = 4096;

/// What is told to systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The service is up, or has taken up its new settings.
    Ready,
    /// It takes up new settings, since this moment of the monotonic clock.
    Reloading {
        /// Microseconds.
        monotonic_usec: u64,
    },
    /// It stops.
    Stopping,
    /// It is alive.
    Watchdog,
    /// It needs this much longer to start or stop.
    ExtendTimeout(Duration),
    /// What it does, for a person.
    Status(String),
    /// Its main process.
    MainPid(u32),
}

impl Notice {
    /// A [`Self::Reloading`] that begins now.
    pub fn reloading_now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let micros = u64::try_from(now.tv_nsec).unwrap_or(0) / 1000;
        Self::Reloading {
            monotonic_usec: seconds.saturating_mul(1_000_000).saturating_add(micros),
        }
    }

    /// As `sd_notify(3)` has it.
    pub fn encode(&self) -> String {
        match self {
            Self::Ready => "READY=1\n".to_owned(),
            Self::Reloading { monotonic_usec } => {
                format!("RELOADING=1\nMONOTONIC_USEC={monotonic_usec}\n")
            }
            Self::Stopping => "STOPPING=1\n".to_owned(),
            Self::Watchdog => "WATCHDOG=1\n".to_owned(),
            Self::ExtendTimeout(by) => format!("EXTEND_TIMEOUT_USEC={}\n", by.as_micros()),
            // One line: a second would be a field of its own.
            Self::Status(text) => format!("STATUS={}\n", text.replace('\n', " ")),
            Self::MainPid(pid) => format!("MAINPID={pid}\n"),
        }
    }
}

/// The way to systemd; leads nowhere if it did not start us.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Whether another process speaks for the service now.
    left: AtomicBool,
}

impl Notifier {
    /// As the process's environment says.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`].
    pub fn from_environment() -> io::Result<Self> {
        Self::new(|name| env::var_os(name))
    }

    /// As `NOTIFY_SOCKET` says: a path, or an abstract name after `@`.
    ///
    /// # Errors
    ///
    /// What it says is no address, or there are no sockets to be had.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(address) = variable("NOTIFY_SOCKET").filter(|it| !it.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&address)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A service manager that does not listen must not hold us up.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some((socket, address)),
            left: AtomicBool::new(false),
        })
    }

    /// Whether anybody is told.
    pub const fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Tells it, if somebody listens. A notice that cannot be sent is logged.
    pub fn tell(&self, notice: &Notice) {
        if let Some((socket, address)) = &self.socket
            && !self.left.load(Ordering::Relaxed)
            && let Err(error) = socket.send_to_addr(notice.encode().as_bytes(), address)
        {
            tracing::warn!(?notice, %error, "systemd could not be told");
        }
    }
}

impl Notifier {
    /// Leaves the service to the process `pid`: systemd is told who it is, and from this one
    /// nothing more.
    pub fn leave_to(&self, pid: u32) {
        self.tell(&Notice::MainPid(pid));
        self.left.store(true, Ordering::Relaxed);
    }
}

/// How often systemd wants to hear [`Notice::Watchdog`] at the least, if it does: half of what
/// `WATCHDOG_USEC` says, as `sd_watchdog_enabled(3)` recommends.
pub fn watchdog_interval(
    variable: impl Fn(&str) -> Option<OsString>,
    pid: u32,
) -> Option<Duration> {
    let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
    if variable("WATCHDOG_PID").is_some() && number("WATCHDOG_PID") != Some(u64::from(pid)) {
        return None;
    }
    let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros) / 2)
}

/// A socket systemd holds for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedSocket {
    /// Its `FileDescriptorName=`; `unknown` if it has none.
    pub name: String,
    /// The number of its descriptor.
    pub descriptor: i32,
}

/// The sockets `LISTEN_FDS` speaks of, if they are meant for the process `pid`.
pub fn passed_sockets(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> Vec<PassedSocket> {
    let number = |name: &str| variable(name)?.to_str()?.parse::<i64>().ok();
    if number("LISTEN_PID") != Some(i64::from(pid)) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS")
        .and_then(|count| i32::try_from(count).ok())
        .unwrap_or(0)
        .clamp(0, DESCRIPTORS_MAX);
    let names = variable("LISTEN_FDNAMES");
    let names = names.as_deref().and_then(|it| it.to_str()).unwrap_or("");
    // An empty name is one all the same: those behind it must not move up to other sockets.
    let mut names = names.split(':');
    (0..count)
        .map(|index| PassedSocket {
            name: match names.next() {
                None | Some("") => "unknown".to_owned(),
                Some(name) => name.to_owned(),
            },
            descriptor: FIRST_DESCRIPTOR + index,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn variables(
        set: &'static [(&'static str, &'static str)],
    ) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            let found = set.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| OsString::from(value))
        }
    }

    #[test]
    fn sd_notify_sequence_exact() {
        let name = format!("tidegate-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let limit = Some(Duration::from_secs(10));
        manager.set_read_timeout(limit).unwrap();
        let path = OsString::from(format!("@{name}"));
        let notifier = Notifier::new(|it| (it == "NOTIFY_SOCKET").then(|| path.clone())).unwrap();
        for notice in [
            Notice::Status("two\nlines".into()),
            Notice::MainPid(7),
            Notice::Ready,
            Notice::Reloading { monotonic_usec: 12 },
            Notice::Ready,
            Notice::Watchdog,
            Notice::ExtendTimeout(Duration::from_secs(5)),
            Notice::Stopping,
        ] {
            notifier.tell(&notice);
        }
        let mut heard = String::new();
        let mut buffer = [0; 256];
        for _ in 0..8 {
            let count = manager.recv(&mut buffer).unwrap();
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        assert_eq!(
            heard,
            "STATUS=two lines\nMAINPID=7\nREADY=1\nRELOADING=1\nMONOTONIC_USEC=12\nREADY=1\n\
             WATCHDOG=1\nEXTEND_TIMEOUT_USEC=5000000\nSTOPPING=1\n"
        );
    }

    #[test]
    fn a_socket_with_a_path_is_found_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let limit = Some(Duration::from_secs(10));
        manager.set_read_timeout(limit).unwrap();
        let notifier = Notifier::new(|it| (it == "NOTIFY_SOCKET").then(|| path.clone().into()));
        notifier.unwrap().tell(&Notice::Ready);
        let mut buffer = [0; 64];
        let count = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1\n");
    }

    #[test]
    fn without_systemd_nobody_is_told() {
        let notifier = Notifier::new(variables(&[])).unwrap();
        assert!(!notifier.is_connected());
        notifier.tell(&Notice::Ready);
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_bites() {
        let ours = variables(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")]);
        assert_eq!(
            watchdog_interval(&ours, 7),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(watchdog_interval(&ours, 8), None);
        assert_eq!(watchdog_interval(variables(&[]), 7), None);
        assert_eq!(
            watchdog_interval(variables(&[("WATCHDOG_USEC", "x")]), 7),
            None
        );
    }

    #[test]
    fn sockets_are_taken_only_from_whom_they_were_meant_for() {
        let set = variables(&[
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "3"),
            ("LISTEN_FDNAMES", "web:admin"),
        ]);
        let sockets = passed_sockets(&set, 7);
        let told: Vec<_> = sockets
            .iter()
            .map(|it| (it.name.as_str(), it.descriptor))
            .collect();
        assert_eq!(told, [("web", 3), ("admin", 4), ("unknown", 5)]);
        assert!(passed_sockets(&set, 8).is_empty());
        let nameless = variables(&[
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "3"),
            ("LISTEN_FDNAMES", "web::admin"),
        ]);
        let sockets = passed_sockets(nameless, 7);
        let names: Vec<_> = sockets.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["web", "unknown", "admin"]);
        let absurd = variables(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "-2")]);
        assert!(passed_sockets(absurd, 7).is_empty());
    }
}
