//! Accepting, on one worker, from one address.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::yield_now;

use super::address::ListenAddr;
use super::admission::{Incoming, IncomingStream};
use super::backoff::{Backoff, concerns_one_connection};
use super::bind::BindError;
use super::group::Group;
use super::seat::{Load, Place, Seat, less_loaded};
use super::set::SocketId;
use crate::io::PeerAddr;
use crate::mailbox::Receiver;
use crate::worker::WorkerIndex;

/// How many connections are accepted in a row before others of the worker get their turn.
pub const ACCEPT_BATCH: usize = 16;

/// How many connections are still accepted from the queue of an address that is closed:
/// under a flood the queue would never be empty.
pub const EMPTYING_MAX: usize = 65_536;

/// The mailbox of handed-over connections, while this listener is the one that serves it.
#[derive(Debug)]
struct Inbox {
    mail: OwnedMutexGuard<Receiver<Incoming>>,
    load: Arc<Load>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.load.set_serving(false);
    }
}

#[derive(Debug)]
enum Phase {
    Open,
    /// The address is closed: what is queued is still accepted, so many at most.
    Emptying(usize),
    Ended,
}

enum Event {
    Mail(OwnedMutexGuard<Receiver<Incoming>>),
    Handed(Incoming),
    Accepted(io::Result<Option<Socket>>),
    PauseEnded,
}

type Socket = (OwnedFd, Option<SocketAddr>);

/// One worker's ear at one address. See [`Self::accept`].
#[derive(Debug)]
pub struct Listener {
    group: Arc<Group>,
    worker: WorkerIndex,
    /// Which of the group's sockets it is.
    index: usize,
    seats: Arc<[Arc<Seat>]>,
    socket: AsyncFd<OwnedFd>,
    inbox: Option<Inbox>,
    backoff: Backoff,
    in_a_row: usize,
    phase: Phase,
}

impl Listener {
    pub(super) fn new(
        group: &Arc<Group>,
        worker: WorkerIndex,
        index: usize,
    ) -> Result<Self, BindError> {
        let socket = group.socket(index)?;
        // SAFETY: an `OwnedFd` keeps its descriptor open and answers with the same number for as
        // long as it lives; the `AsyncFd` owns it, deregisters it before dropping it, and it is
        // only ever lent out by shared reference.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        let socket = socket.map_err(|error| BindError {
            address: group.requested.clone(),
            source: error.into(),
        })?;
        Ok(Self {
            group: Arc::clone(group),
            worker,
            index,
            seats: group.seats(),
            socket,
            inbox: None,
            backoff: Backoff::default(),
            in_a_row: 0,
            phase: Phase::Open,
        })
    }

    /// The address as bound.
    pub fn local_address(&self) -> &ListenAddr {
        &self.group.bound
    }

    /// Which sockets it accepts from.
    pub fn socket_id(&self) -> SocketId {
        SocketId::of_group(&self.group)
    }

    fn seat(&self) -> &Seat {
        // More workers than the set was spread for share a seat as they share a socket.
        &self.seats[self.own_seat()]
    }

    fn own_seat(&self) -> usize {
        self.worker.0 % self.seats.len()
    }

    /// The next connection for this worker: accepted here, or handed over by another worker
    /// that has notably more. `None` once [`Self::close`] was called and nothing is left.
    ///
    /// It never spins: when the machine has no room it pauses, from
    /// [`BACKOFF_FIRST`](super::BACKOFF_FIRST) up to [`BACKOFF_LONGEST`](super::BACKOFF_LONGEST),
    /// and every [`ACCEPT_BATCH`] connections it lets other tasks run.
    /// Cancellation safe: no accepted connection is lost.
    pub async fn accept(&mut self) -> Option<Incoming> {
        loop {
            if self.in_a_row >= ACCEPT_BATCH {
                self.in_a_row = 0;
                yield_now().await;
            }
            let accepted = match self.phase {
                Phase::Open => match self.next_event().await {
                    Event::Mail(mail) => {
                        self.serve_mail(mail);
                        continue;
                    }
                    Event::Handed(incoming) => return Some(incoming),
                    Event::PauseEnded => continue,
                    Event::Accepted(accepted) => accepted,
                },
                Phase::Emptying(left) => match self.next_queued(left) {
                    Some(incoming) => return Some(incoming),
                    None => continue,
                },
                Phase::Ended => return None,
            };
            match accepted {
                Ok(Some(socket)) => {
                    self.in_a_row += 1;
                    self.backoff.reset();
                    if let Some(incoming) = self.share(socket) {
                        return Some(incoming);
                    }
                }
                Ok(None) => self.in_a_row = 0,
                Err(error) => self.failed(&error),
            }
        }
    }

    /// Takes no new connections. At an address that no set names any more, what is queued is
    /// still given out by [`Self::accept`], and the socket is closed once that is done; at any
    /// other address somebody else serves the queue.
    pub fn close(&mut self) {
        if matches!(self.phase, Phase::Open) {
            self.phase = if self.group.is_retired() {
                if let Some(inbox) = &mut self.inbox {
                    inbox.mail.close();
                }
                Phase::Emptying(EMPTYING_MAX)
            } else {
                Phase::Ended
            };
        }
    }

    async fn next_event(&mut self) -> Event {
        // In the middle of a batch nothing else is asked; what was handed over has its turn
        // at the beginning.
        if self.in_a_row > 0 && !self.backoff.is_pausing() {
            let more = self
                .socket
                .try_io(Interest::READABLE, |socket| accept_another(socket));
            match more {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.in_a_row = 0,
                more => return Event::Accepted(more.map(Some)),
            }
        }
        let shares = self.seats.len() > 1;
        let wants_mail = shares && self.inbox.is_none();
        let pausing = self.backoff.is_pausing();
        let mail = Arc::clone(&self.seats[self.own_seat()].mail);
        tokio::select! {
            biased;
            mail = Mutex::lock_owned(mail), if wants_mail => Event::Mail(mail),
            incoming = handed(&mut self.inbox) => Event::Handed(incoming),
            () = self.backoff.pause(), if pausing => Event::PauseEnded,
            accepted = accept_when_ready(&self.socket), if !pausing => Event::Accepted(accepted),
        }
    }

    fn serve_mail(&mut self, mail: OwnedMutexGuard<Receiver<Incoming>>) {
        let load = Arc::clone(&self.seat().load);
        load.set_serving(true);
        self.inbox = Some(Inbox { mail, load });
    }

    /// One more connection of a closed address; `None` when there was none this time.
    fn next_queued(&mut self, left: usize) -> Option<Incoming> {
        if let Some(handed) = self.inbox.as_mut().and_then(|it| it.mail.try_receive()) {
            return Some(handed);
        }
        self.in_a_row += 1;
        self.phase = Phase::Emptying(left.saturating_sub(1));
        match accept_now(self.socket.get_ref()) {
            Ok(socket) if left > 0 => return self.keep(socket),
            Err(error) if left > 0 && concerns_one_connection(&error) => self.failed(&error),
            Ok(_) | Err(_) => {
                self.group.release(self.index);
                self.phase = Phase::Ended;
            }
        }
        None
    }

    /// Gives the connection to a less loaded worker, or else keeps it.
    fn share(&self, socket: Socket) -> Option<Incoming> {
        let mut incoming = self.keep(socket)?;
        let Some(seat) = less_loaded(&self.seats, self.own_seat()) else {
            return Some(incoming);
        };
        let own = std::mem::replace(&mut incoming.place, Place::take(&seat.load));
        match seat.inbox.send(incoming) {
            Ok(()) => {
                self.seat().load.count_handed_over();
                None
            }
            // Full or gone: better a busy worker than none.
            Err(error) => {
                let mut incoming = error.into_inner();
                incoming.place = own;
                Some(incoming)
            }
        }
    }

    fn keep(&self, (socket, peer): Socket) -> Option<Incoming> {
        let load = &self.seat().load;
        load.count_accepted();
        let (stream, peer, local) = match &self.group.bound {
            ListenAddr::Tcp(bound) => {
                let local = (!bound.ip().is_unspecified()).then_some(PeerAddr::Tcp(*bound));
                let stream = IncomingStream::Tcp(TcpStream::from(socket));
                (stream, PeerAddr::Tcp(peer?), local)
            }
            ListenAddr::Unix(_) | ListenAddr::Passed(_) => {
                let stream = IncomingStream::Unix(UnixStream::from(socket));
                (stream, PeerAddr::Unix, Some(PeerAddr::Unix))
            }
        };
        Some(Incoming {
            stream,
            peer,
            local,
            place: Place::take(load),
        })
    }

    #[cold]
    fn failed(&mut self, error: &io::Error) {
        self.seat().load.count_error();
        if concerns_one_connection(error) {
            self.in_a_row += 1;
            return;
        }
        self.seat().load.count_backoff();
        if self.backoff.begin() {
            let address = &self.group.bound;
            tracing::warn!(%address, %error, "cannot accept connections; pausing");
        }
    }
}

async fn handed(inbox: &mut Option<Inbox>) -> Incoming {
    let received = match inbox {
        Some(inbox) => inbox.mail.receive().await,
        None => None,
    };
    match received {
        Some(incoming) => incoming,
        // The seat holds a sender, so an open mailbox never ends.
        None => pending().await,
    }
}

/// Accepts one connection once there may be one; `None` when there was none after all.
async fn accept_when_ready(socket: &AsyncFd<OwnedFd>) -> io::Result<Option<Socket>> {
    let mut ready = socket.readable().await?;
    match ready.try_io(|socket| accept_now(socket.get_ref())) {
        Ok(accepted) => accepted.map(Some),
        Err(_would_block) => Ok(None),
    }
}

/// As [`accept_now`], of a queue in which as a rule there are no more. Accepting from an empty
/// one costs the kernel a socket that it makes and throws away: ten times as much as looking.
fn accept_another(socket: impl AsFd) -> io::Result<Socket> {
    const AT_ONCE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut waiting = [PollFd::new(&socket, PollFlags::IN)];
    match poll(&mut waiting, Some(&AT_ONCE)) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        // Not knowing is no reason to leave anybody waiting.
        Ok(_) | Err(_) => accept_now(socket),
    }
}

fn accept_now(socket: impl AsFd) -> io::Result<Socket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (accepted, peer) = acceptfrom_with(socket, flags)?;
    // A Unix peer has no address of that kind.
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((accepted, peer))
}
