//! Handing every listening socket of the process to the process that succeeds it.
//!
//! Both ends of a socket pair, one message a packet (`SOCK_SEQPACKET`, unix(7)): the elder
//! sends each address with its sockets (`SCM_RIGHTS`), the heir answers once it serves them.
//! The sockets are the same ones, queue included, so that nobody who connects meanwhile is
//! refused: both processes accept until the elder stops.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::address::ListenAddr;
use super::group::Group;
use super::passed;

/// How many descriptors go with one packet. The kernel takes 253 (`SCM_MAX_FD`).
const DESCRIPTORS_PER_PACKET: usize = 128;

/// The longest packet: a kind and an address.
const PACKET_BYTES_MAX: usize = 512;

/// How many sockets are inherited at the most.
const INHERITED_MAX: usize = 16_384;

/// How long the heir waits for the next packet of what it inherits.
const PACKET_PATIENCE: Duration = Duration::from_secs(10);

const SOCKETS: u8 = b'S';
const END: u8 = b'E';
const READY: u8 = b'R';

/// All addresses that somebody in the process listens at.
static OPEN: Mutex<Vec<Weak<Group>>> = Mutex::new(Vec::new());

/// What a predecessor left and nobody has asked for yet, in the order it came.
static INHERITED: Mutex<Vec<(ListenAddr, Vec<OwnedFd>)>> = Mutex::new(Vec::new());

/// Remembers an address for a successor.
pub(super) fn note_open(group: &Arc<Group>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|it| it.strong_count() > 0);
    open.push(Arc::downgrade(group));
}

/// The sockets that a predecessor had at the address, if it left any.
pub(super) fn inherited(address: &ListenAddr) -> Option<Vec<OwnedFd>> {
    let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    let at = inherited.iter().position(|(it, _)| it == address)?;
    Some(inherited.remove(at).1)
}

/// Closes what was inherited and is listened at by nobody: its addresses are in no settings
/// any more. Who is queued there is left to the predecessor.
pub fn close_unclaimed() {
    let unclaimed = std::mem::take(&mut *INHERITED.lock().unwrap_or_else(PoisonError::into_inner));
    for (address, _) in &unclaimed {
        tracing::info!(%address, "inherited, but listened at no more");
    }
}

/// The line to a process that is to take everything over.
#[derive(Debug)]
pub struct Heir {
    line: UnixStream,
    groups: Vec<Arc<Group>>,
}

impl Heir {
    /// A line, and the end of it that the heir is to be started with.
    ///
    /// # Errors
    ///
    /// The machine has no more descriptors.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn expect() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let ours = std::os::unix::net::UnixStream::from(ours);
        ours.set_nonblocking(true)?;
        let line = UnixStream::from_std(ours)?;
        let groups = Vec::new();
        Ok((Self { line, groups }, theirs))
    }

    /// Sends duplicates of all listening sockets of the process.
    ///
    /// # Errors
    ///
    /// The heir is gone, or the machine has no more descriptors. Cancelled or failed half-way,
    /// it has changed nothing in this process.
    pub async fn bequeath(&mut self) -> io::Result<()> {
        self.groups = open_groups();
        for group in &self.groups {
            let sockets = group.sockets()?;
            self.send_sockets(&group.requested, &sockets).await?;
        }
        for (name, socket) in passed::all()? {
            self.send_sockets(&ListenAddr::Passed(name.into()), &[socket])
                .await?;
        }
        self.send(&[END], &[]).await
    }

    async fn send_sockets(&self, address: &ListenAddr, sockets: &[OwnedFd]) -> io::Result<()> {
        let mut packet = vec![SOCKETS];
        packet.extend_from_slice(address.to_string().as_bytes());
        for some in sockets.chunks(DESCRIPTORS_PER_PACKET) {
            self.send(&packet, some).await?;
        }
        Ok(())
    }

    async fn send(&self, packet: &[u8], sockets: &[OwnedFd]) -> io::Result<()> {
        let send = || send_packet(self.line.as_fd(), packet, sockets);
        self.line.async_io(Interest::WRITABLE, send).await
    }

    /// Waits until the heir serves. Cancellation safe.
    ///
    /// # Errors
    ///
    /// It ended without saying that it does.
    pub async fn ready(&self) -> io::Result<()> {
        let receive = || receive_packet(self.line.as_fd());
        let (packet, _) = self.line.async_io(Interest::READABLE, receive).await?;
        match packet.first() {
            Some(&READY) => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The sockets are the heir's from now on: closing them here changes nothing for others.
    pub fn leave_to(&self) {
        for group in &self.groups {
            group.leave();
        }
    }
}

/// The line to the process whose sockets this one has taken over. It learns of the end of
/// this process by the end of the line.
#[derive(Debug)]
pub struct Predecessor {
    line: std::os::unix::net::UnixStream,
}

impl Predecessor {
    /// Takes over what comes by `line`; waits for each packet ten seconds at the most.
    ///
    /// # Errors
    ///
    /// The predecessor is gone or silent, or what it says is not understood.
    pub fn inherit(line: OwnedFd) -> io::Result<Self> {
        let line = std::os::unix::net::UnixStream::from(line);
        line.set_read_timeout(Some(PACKET_PATIENCE))?;
        let mut count = 0;
        loop {
            let (packet, sockets) = receive_packet(line.as_fd())?;
            count += sockets.len();
            match packet.split_first() {
                Some((&END, _)) => return Ok(Self { line }),
                Some((&SOCKETS, address)) if !sockets.is_empty() && count <= INHERITED_MAX => {
                    keep(address, sockets)?;
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Tells the predecessor that it is not needed any more.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn tell_ready(&self) -> io::Result<()> {
        send_packet(self.line.as_fd(), &[READY], &[])
    }

    /// Waits until the predecessor has ended.
    ///
    /// # Errors
    ///
    /// The machine has no more descriptors.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn gone(&self) -> io::Result<()> {
        let line = self.line.try_clone()?;
        line.set_nonblocking(true)?;
        let line = UnixStream::from_std(line)?;
        // It says no more, so whatever can be read is the end.
        line.readable().await
    }
}

fn keep(address: &[u8], sockets: Vec<OwnedFd>) -> io::Result<()> {
    let text = str::from_utf8(address).map_err(io::Error::other)?;
    let address = text.parse::<ListenAddr>().map_err(io::Error::other)?;
    if let ListenAddr::Passed(name) = &address {
        passed::keep(name, sockets);
        return Ok(());
    }
    let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    match inherited.last_mut() {
        // A packet had no room for all of them.
        Some((last, more)) if *last == address && !address.is_port_open() => more.extend(sockets),
        _ => inherited.push((address, sockets)),
    }
    Ok(())
}

fn open_groups() -> Vec<Arc<Group>> {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let living = open.iter().filter_map(Weak::upgrade);
    living.filter(|it| it.is_bequeathed()).collect()
}

fn send_packet(line: BorrowedFd<'_>, packet: &[u8], sockets: &[OwnedFd]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_PACKET))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(
        line,
        &[IoSlice::new(packet)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// A packet and its descriptors; no bytes at the end of the line.
fn receive_packet(line: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut packet = [0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_PACKET))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let into = &mut [IoSliceMut::new(&mut packet)];
    let received = recvmsg(line, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    Ok((packet[..received.bytes].to_vec(), sockets))
}
