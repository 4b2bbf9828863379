//! Listening sockets that whoever started the process holds for it, by name.
//!
//! They are taken over once, when the process starts, and kept for its life: a site that names
//! one gets a duplicate, so that the socket's queue outlives every site.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use socket2::{SockRef, Type};

use super::address::ListenAddr;

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`), and the most that are looked at.
const FIRST_DESCRIPTOR: RawFd = 3;
const DESCRIPTORS_MAX: u32 = 4096;

static PASSED: Mutex<BTreeMap<String, OwnedFd>> = Mutex::new(BTreeMap::new());

/// Takes over the sockets of these names and descriptors. To be called once, with what
/// `sd_listen_fds(3)` describes: descriptors that were open when the process began and that
/// nothing else in it knows of. Of two of one name the first is kept.
///
/// # Errors
///
/// One of them is no listening stream socket, or was not passed to this process. The others are taken over.
pub fn take_over(sockets: impl IntoIterator<Item = (String, RawFd)>) -> io::Result<()> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = Ok(());
    let mut left = ours_once();
    for (name, descriptor) in sockets {
        // Each number once, whatever the caller says.
        let Some(at) = left.iter().position(|it| *it == descriptor) else {
            let told = format!("the socket `{name}` was not passed to this process");
            outcome = Err(io::Error::new(io::ErrorKind::NotFound, told));
            continue;
        };
        left.swap_remove(at);
        if let Err(error) = examine(descriptor) {
            let told = format!("the socket `{name}` cannot be used: {error}");
            outcome = Err(io::Error::new(error.kind(), told));
            continue;
        }
        // SAFETY: `examine` found the descriptor open, and `ours_once` that the environment gives
        // it to this very process, to be taken over here and nowhere else. Numbers are given out
        // once in the life of the process and each once, so that nothing else owns this one.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        prepare(&socket)?;
        passed.entry(name).or_insert(socket);
    }
    outcome
}

/// The descriptors that `LISTEN_FDS` gives to this process; none at any later call.
fn ours_once() -> Vec<RawFd> {
    static GIVEN: AtomicBool = AtomicBool::new(false);
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    let is_ours = number("LISTEN_PID") == Some(std::process::id());
    if !is_ours || GIVEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(DESCRIPTORS_MAX);
    (FIRST_DESCRIPTOR..).take(count as usize).collect()
}

/// Whether the descriptor is open and a socket that listens.
fn examine(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is only borrowed for two questions to the kernel, which answers for
    // a number that is not open with an error.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    let socket = SockRef::from(&socket);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no stream socket that listens",
        ));
    }
    Ok(())
}

/// Our own sockets have these from their making.
fn prepare(socket: &OwnedFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    if socket.local_addr()?.as_socket().is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(())
}

/// Keeps what the predecessor was passed.
pub(super) fn keep(name: &str, sockets: Vec<OwnedFd>) {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    for socket in sockets {
        passed.entry(name.to_owned()).or_insert(socket);
    }
}

/// Duplicates of all of them, by name.
pub(super) fn all() -> io::Result<Vec<(String, OwnedFd)>> {
    let passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = passed.iter();
    all.map(|(name, socket)| Ok((name.clone(), socket.try_clone()?)))
        .collect()
}

/// A duplicate of the socket of that name, and where it is bound.
pub(super) fn bound(name: &str) -> io::Result<(OwnedFd, ListenAddr)> {
    let passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(socket) = passed.get(name) else {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no socket of that name was passed to this process",
        ));
    };
    let socket = socket.try_clone()?;
    let address = SockRef::from(&socket).local_addr()?;
    let bound = match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => ListenAddr::Tcp(address),
        (None, Some(path)) => ListenAddr::Unix(path.to_owned()),
        // An abstract socket has no address that could be shown otherwise.
        (None, None) => ListenAddr::Unix(name.into()),
    };
    Ok((socket, bound))
}
