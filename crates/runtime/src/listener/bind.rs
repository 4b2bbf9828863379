//! Making listening sockets: the only place that knows the options they need.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use super::address::ListenAddr;

/// An address that could not be listened at.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {source}")]
pub struct BindError {
    /// The address that was asked for.
    pub address: ListenAddr,
    /// What the kernel, or the file system, said.
    pub source: io::Error,
}

/// Whether somebody else may be at the address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occupancy {
    /// Then it is an error, even if they would share it.
    Exclusive,
    /// We are there ourselves, and share it.
    Shared,
}

/// Which file a path meant when we made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Binds a TCP socket and listens; answers with the address the kernel gave it.
pub(super) fn bind_tcp(
    address: SocketAddr,
    backlog: u32,
    occupancy: Occupancy,
) -> io::Result<(OwnedFd, SocketAddr)> {
    if occupancy == Occupancy::Exclusive && address.port() != 0 {
        // SO_REUSEPORT would let us join whoever else of this user listens here and take a
        // part of their connections. A bind without it tells whether there is anybody.
        tcp_socket(address)?.bind(&address.into())?;
    }
    let socket = tcp_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    listen(&socket, backlog)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket.into(), bound))
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Whatever the machine's default: `[::]` means IPv6, so that `0.0.0.0` can stand beside it.
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit it, which spares a system call for each.
    socket.set_tcp_nodelay(true)?;
    // Connections of a predecessor in TIME_WAIT do not keep the address from us.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

pub(super) fn listen(socket: &Socket, backlog: u32) -> io::Result<()> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// Lets a listening socket ignore whoever begins to connect, while handshakes that have begun
/// go on: its queue can then be emptied for good, and nobody who was told to be connected is
/// reset by its end. Who is ignored asks again in a second, and then learns who listens.
pub(super) fn refuse_handshakes(socket: &Socket) -> io::Result<()> {
    // In the classic packet filter of socket(7), over the TCP header: of the flags at byte 13,
    // SYN without ACK is dropped.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Binds a Unix socket and listens. A socket file that nobody listens on is replaced.
pub(super) fn bind_unix(path: &Path, backlog: u32) -> io::Result<(OwnedFd, FileIdentity)> {
    remove_stale(path)?;
    let socket = unix_socket()?;
    socket.bind(&SockAddr::unix(path)?)?;
    listen(&socket, backlog)?;
    Ok((socket.into(), FileIdentity::of(path)?))
}

fn unix_socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let message = "a file that is no socket is in the way";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) => {}
    }
    match unix_socket()?.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog is somebody listening, too.
        Ok(()) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::AddrInUse.into())
        }
        Err(error) => Err(error),
    }
}

/// Removes a Unix socket's file, if it is still the one we made.
pub(super) fn unlink(path: &Path, identity: FileIdentity) {
    if FileIdentity::of(path).is_ok_and(|present| present == identity)
        && let Err(error) = fs::remove_file(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove the socket file");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn accepted_sockets_send_without_delay() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (socket, bound) = bind_tcp(any, 1, Occupancy::Exclusive).unwrap();
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(bound).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
