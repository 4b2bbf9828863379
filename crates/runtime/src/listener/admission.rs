//! A site's door: how many connections it may have, and what an accepted socket
//! becomes once it is let in.

use std::io;
use std::net;
use std::os::unix::net as unix;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpStream, UnixStream};

use super::seat::Place;
use crate::io::{Io, PeerAddr};

/// How many connections a site has on all workers and in all generations.
#[derive(Debug, Default)]
pub(super) struct Gate {
    open: AtomicUsize,
}

/// A site's rules for letting connections in. Clones share the count.
#[derive(Clone, Debug)]
pub struct Admission {
    pub(super) gate: Arc<Gate>,
    pub(super) connections_max: usize,
    pub(super) nodelay: bool,
}

impl Admission {
    /// Takes one of the site's places; `None` when it has all the connections it may have.
    pub fn enter(&self) -> Option<Pass> {
        let gate = &self.gate;
        let taken = gate.open.fetch_add(1, Ordering::Relaxed);
        // Made first, so that a refusal gives the place back.
        let pass = Pass {
            gate: Arc::clone(gate),
        };
        (taken < self.connections_max).then_some(pass)
    }

    /// How many connections the site has now.
    pub fn open(&self) -> usize {
        self.gate.open.load(Ordering::Relaxed)
    }
}

/// One of a site's places, given back when dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an open connection holds until it ends: a place at its site and in its worker's load.
#[derive(Debug)]
pub struct Permit {
    _pass: Pass,
    _place: Place,
}

#[derive(Debug)]
pub(super) enum IncomingStream {
    Tcp(net::TcpStream),
    Unix(unix::UnixStream),
}

/// An accepted socket that no event loop knows yet, so that it can still go to any worker.
#[derive(Debug)]
pub struct Incoming {
    pub(super) stream: IncomingStream,
    pub(super) peer: PeerAddr,
    /// `None` when the listener covers many addresses, and the socket has to be asked.
    pub(super) local: Option<PeerAddr>,
    pub(super) place: Place,
}

/// A connection of this worker.
#[derive(Debug)]
pub struct Admitted {
    /// Its byte stream.
    pub io: Io,
    /// Who is at the other end.
    pub peer: PeerAddr,
    /// The address it came in at.
    pub local: PeerAddr,
    /// To be kept for as long as the connection is open.
    pub permit: Permit,
}

impl Incoming {
    /// Who is at the other end.
    pub fn peer(&self) -> PeerAddr {
        self.peer
    }

    /// Makes it a connection of the calling worker.
    ///
    /// # Errors
    ///
    /// The worker's event loop cannot take one more socket; the connection is closed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn admit(self, admission: &Admission, pass: Pass) -> io::Result<Admitted> {
        let (io, local) = match self.stream {
            IncomingStream::Tcp(stream) => {
                // On by inheritance: listening sockets have it set.
                if !admission.nodelay {
                    stream.set_nodelay(false)?;
                }
                let local = match self.local {
                    Some(local) => local,
                    None => PeerAddr::Tcp(stream.local_addr()?),
                };
                (Io::from_tcp(TcpStream::from_std(stream)?), local)
            }
            IncomingStream::Unix(stream) => {
                let io = Io::from_unix(UnixStream::from_std(stream)?);
                (io, PeerAddr::Unix)
            }
        };
        Ok(Admitted {
            io,
            peer: self.peer,
            local,
            permit: Permit {
                _pass: pass,
                _place: self.place,
            },
        })
    }

    /// Closes it because the site has all the connections it may have, and counts that.
    pub fn refuse(self) {
        self.place.load().count_refused();
    }
}
