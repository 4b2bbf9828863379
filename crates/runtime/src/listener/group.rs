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
use super::bind::{BindError, FileIdentity, Occupancy, bind_tcp, bind_unix, unlink};
use super::passed;
use super::seat::Seat;
use crate::worker::WorkerIndex;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) requested: ListenAddr,
    pub(super) bound: ListenAddr,
    state: Mutex<State>,
    file: Option<FileIdentity>,
    retired: AtomicBool,
}

#[derive(Debug)]
struct State {
    backlog: u32,
    /// The worker's socket at its index; a released one is `None`. Workers share a Unix socket,
    /// and one that was passed to the process.
    sockets: Vec<Option<OwnedFd>>,
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
        let (socket, bound, file) = match address {
            ListenAddr::Tcp(wanted) => bind_tcp(*wanted, backlog, occupancy)
                .map(|(socket, bound)| (socket, ListenAddr::Tcp(bound), None)),
            ListenAddr::Unix(path) => {
                bind_unix(path, backlog).map(|(socket, file)| (socket, address.clone(), Some(file)))
            }
            ListenAddr::Passed(name) => {
                passed::bound(name).map(|(socket, bound)| (socket, bound, None))
            }
        }
        .map_err(|source| BindError {
            address: address.clone(),
            source,
        })?;
        Ok(Arc::new(Self {
            requested: address.clone(),
            bound,
            state: Mutex::new(State {
                backlog,
                sockets: vec![Some(socket)],
                seats: Arc::from([Arc::new(Seat::new())]),
            }),
            file,
            retired: AtomicBool::new(false),
        }))
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
        if state.seats.len() < workers {
            let mut seats = state.seats.to_vec();
            seats.resize_with(workers, || Arc::new(Seat::new()));
            state.seats = seats.into();
        }
        Ok(())
    }

    /// A duplicate of the worker's socket: same queue, own life.
    pub(super) fn socket(&self, worker: WorkerIndex) -> Result<OwnedFd, BindError> {
        let state = self.state();
        let index = worker.0 % state.sockets.len();
        match &state.sockets[index] {
            Some(socket) => socket.try_clone().map_err(|source| self.fail(source)),
            None => Err(self.fail(io::ErrorKind::NotConnected.into())),
        }
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
            SockRef::from(socket)
                .listen(i32::try_from(backlog).unwrap_or(i32::MAX))
                .map_err(|source| self.fail(source))?;
        }
        state.backlog = backlog;
        Ok(())
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        // Before the queue is emptied: who comes now is told at once that nobody is here.
        if let (Some(path), Some(identity)) = (self.bound.unix(), self.file) {
            unlink(path, identity);
        }
    }

    /// Gives up the worker's socket of a retired group; its own duplicate is then the last.
    pub(super) fn release(&self, worker: WorkerIndex) {
        let mut state = self.state();
        if self.requested.tcp().is_some()
            && let Some(socket) = state.sockets.get_mut(worker.0)
        {
            *socket = None;
        }
    }
}
