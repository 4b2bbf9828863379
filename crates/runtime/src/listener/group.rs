//! All the sockets of one address, and who still wants them.
//!
//! The control side holds a group through [`Tenure`]s, the workers hold it
//! directly. When the last tenure goes the group is retired: the workers empty
//! its queues, each releasing its own socket, and whoever is last closes the rest.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::SockRef;

use super::address::ListenAddr;
use super::bind::{
    BindError, FileIdentity, Occupancy, bind_tcp, bind_unix, listen, refuse_handshakes, unlink,
};
use super::passed;
use super::seat::Seat;
use super::succession;
use crate::worker::WorkerIndex;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) requested: ListenAddr,
    pub(super) bound: ListenAddr,
    state: Mutex<State>,
    file: Option<FileIdentity>,
    retired: AtomicBool,
    /// Whether a successor goes on with the sockets, and the file of a Unix socket.
    left: AtomicBool,
}

#[derive(Debug)]
struct State {
    backlog: u32,
    /// A worker's socket at its index; a released one is `None`. Workers share a Unix socket,
    /// and one that was passed to the process. A predecessor with more workers leaves more
    /// sockets than there are workers.
    sockets: Vec<Option<OwnedFd>>,
    workers: usize,
    seats: Arc<[Arc<Seat>]>,
}

/// A share in the decision that an address is wanted.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) group: Arc<Group>,
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.group.retire();
    }
}

impl Group {
    pub(super) fn bind(
        address: &ListenAddr,
        backlog: u32,
        occupancy: Occupancy,
    ) -> Result<Arc<Self>, BindError> {
        let opened = match (succession::inherited(address), address) {
            (Some(sockets), _) => take_up(sockets, address, backlog),
            (None, ListenAddr::Tcp(wanted)) => bind_tcp(*wanted, backlog, occupancy)
                .map(|(socket, bound)| (vec![socket], ListenAddr::Tcp(bound), None)),
            (None, ListenAddr::Unix(path)) => bind_unix(path, backlog)
                .map(|(socket, file)| (vec![socket], address.clone(), Some(file))),
            (None, ListenAddr::Passed(name)) => {
                passed::bound(name).map(|(socket, bound)| (vec![socket], bound, None))
            }
        };
        let (sockets, bound, file) = opened.map_err(|source| BindError {
            address: address.clone(),
            source,
        })?;
        let group = Arc::new(Self {
            requested: address.clone(),
            bound,
            state: Mutex::new(State {
                backlog,
                sockets: sockets.into_iter().map(Some).collect(),
                workers: 1,
                seats: Arc::from([Arc::new(Seat::new())]),
            }),
            file,
            retired: AtomicBool::new(false),
            left: AtomicBool::new(false),
        });
        succession::note_open(&group);
        Ok(group)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, source: io::Error) -> BindError {
        BindError {
            address: self.requested.clone(),
            source,
        }
    }

    /// Binds what is missing for `workers` workers.
    pub(super) fn spread(&self, workers: usize) -> Result<(), BindError> {
        let mut state = self.state();
        if let (ListenAddr::Tcp(_), ListenAddr::Tcp(bound)) = (&self.requested, &self.bound) {
            let bound = *bound;
            while state.sockets.len() < workers {
                let socket = bind_tcp(bound, state.backlog, Occupancy::Shared);
                let (socket, _) = socket.map_err(|source| self.fail(source))?;
                state.sockets.push(Some(socket));
            }
        }
        state.workers = state.workers.max(workers);
        if state.seats.len() < workers {
            let mut seats = state.seats.to_vec();
            seats.resize_with(workers, || Arc::new(Seat::new()));
            state.seats = seats.into();
        }
        Ok(())
    }

    /// Which sockets are the worker's: one, or several where a predecessor had more workers.
    pub(super) fn sockets_of(&self, worker: WorkerIndex) -> Vec<usize> {
        let state = self.state();
        let (sockets, workers) = (state.sockets.len(), state.workers);
        if sockets <= workers {
            return vec![worker.0 % sockets];
        }
        (worker.0 % workers..sockets).step_by(workers).collect()
    }

    /// A duplicate of a socket: same queue, own life.
    pub(super) fn socket(&self, index: usize) -> Result<OwnedFd, BindError> {
        match self.state().sockets.get(index) {
            Some(Some(socket)) => socket.try_clone().map_err(|source| self.fail(source)),
            Some(None) | None => Err(self.fail(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Duplicates of all of them.
    pub(super) fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let state = self.state();
        let sockets = state.sockets.iter().flatten();
        sockets.map(OwnedFd::try_clone).collect()
    }

    /// Whether a successor gets its sockets here: not what is closed, and not what was passed
    /// to the process, which keeps that by name.
    pub(super) fn is_bequeathed(&self) -> bool {
        !self.is_retired() && !matches!(self.requested, ListenAddr::Passed(_))
    }

    /// From now on the sockets are a successor's: closing them here changes nothing for others.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    pub(super) fn seats(&self) -> Arc<[Arc<Seat>]> {
        Arc::clone(&self.state().seats)
    }

    /// Lets the backlog grow or shrink on sockets that listen already (listen(2) may be repeated).
    pub(super) fn set_backlog(&self, backlog: u32) -> Result<(), BindError> {
        let mut state = self.state();
        if state.backlog == backlog {
            return Ok(());
        }
        for socket in state.sockets.iter().flatten() {
            listen(&SockRef::from(socket), backlog).map_err(|source| self.fail(source))?;
        }
        state.backlog = backlog;
        Ok(())
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        if self.requested.tcp().is_some() && !self.left.load(Ordering::Acquire) {
            for socket in self.state().sockets.iter().flatten() {
                if let Err(error) = refuse_handshakes(&SockRef::from(socket)) {
                    let address = &self.bound;
                    tracing::debug!(%address, %error, "who connects right now may be reset");
                }
            }
        }
        // Before the queue is emptied: who comes now is told at once that nobody is here.
        if let (Some(path), Some(identity)) = (self.bound.unix(), self.file)
            && !self.left.load(Ordering::Acquire)
        {
            unlink(path, identity);
        }
    }

    /// Gives up a socket of a retired group; the caller's duplicate is then the last.
    pub(super) fn release(&self, index: usize) {
        let mut state = self.state();
        if self.requested.tcp().is_some()
            && let Some(socket) = state.sockets.get_mut(index)
        {
            *socket = None;
        }
    }
}

type Opened = (Vec<OwnedFd>, ListenAddr, Option<FileIdentity>);

/// Goes on with what a predecessor had at the address.
fn take_up(sockets: Vec<OwnedFd>, address: &ListenAddr, backlog: u32) -> io::Result<Opened> {
    for socket in &sockets {
        listen(&SockRef::from(socket), backlog)?;
    }
    let tcp = match sockets.first() {
        Some(first) => SockRef::from(first).local_addr()?.as_socket(),
        None => return Err(io::ErrorKind::NotConnected.into()),
    };
    let bound = tcp.map_or_else(|| address.clone(), ListenAddr::Tcp);
    let file = address.unix().map(FileIdentity::of).transpose()?;
    Ok((sockets, bound, file))
}
