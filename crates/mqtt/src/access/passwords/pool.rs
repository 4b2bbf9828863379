//! Where passwords are checked: on threads of their own, for it takes long by intent.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::known::Known;
use super::secret::Secret;

/// Threads that check passwords. They compete with the workers for the processor, and each
/// takes as much memory as the hash asks for.
pub const THREADS: usize = 2;

/// Passwords that may wait to be checked, in all servers together; more clients are told
/// that the server is busy. At the default costs the last one waits some seconds.
pub const WAITING_MAX: usize = 256;

/// Why a password was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// [`WAITING_MAX`] others wait.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The threads are gone.
    #[error("the threads that check passwords have ended")]
    Ended,
}

/// Threads that check passwords, ended by the drop of the last that can ask them. Remembers
/// those that were right.
pub struct PasswordPool {
    queue: SyncSender<Job>,
    known: Arc<Mutex<Option<Known>>>,
    /// Of a password that nobody has.
    nobody: Arc<Secret>,
}

struct Job {
    secret: Arc<Secret>,
    password: Bytes,
    answer: oneshot::Sender<bool>,
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool").finish_non_exhaustive()
    }
}

impl PasswordPool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The system starts no thread, or gives no randomness.
    pub fn start() -> io::Result<Self> {
        let nobody = Secret::hash(b"").map_err(io::Error::other)?;
        let (queue, jobs) = sync_channel(WAITING_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..THREADS {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("tg-passwords-{number}"))
                .spawn(move || work(&jobs))?;
        }
        Ok(Self {
            queue,
            known: Arc::new(Mutex::new(Known::new())),
            nobody: Arc::new(nobody),
        })
    }

    /// Whether `password` is the one of `secret`. Dropping the future takes the answer's
    /// receiver away, and the check is not begun if it has not been.
    ///
    /// # Errors
    ///
    /// Too many wait, or the threads are gone.
    pub async fn verify(&self, secret: &Arc<Secret>, password: Bytes) -> Result<bool, PoolError> {
        let mark = self.known().as_ref().map(|it| it.mark(secret, &password));
        if let (Some(known), Some(mark)) = (self.known().as_ref(), &mark)
            && known.contains(mark)
        {
            return Ok(true);
        }
        let is_right = self.ask(Arc::clone(secret), password).await?;
        if is_right && let (Some(known), Some(mark)) = (self.known().as_mut(), mark) {
            known.add(mark);
        }
        Ok(is_right)
    }

    /// Takes as long as the check of a password, and finds it wrong.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`].
    pub async fn verify_nobody(&self, password: Bytes) -> Result<(), PoolError> {
        self.ask(Arc::clone(&self.nobody), password).await.map(drop)
    }

    async fn ask(&self, secret: Arc<Secret>, password: Bytes) -> Result<bool, PoolError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            secret,
            password,
            answer,
        };
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => PoolError::Busy,
            TrySendError::Disconnected(_) => PoolError::Ended,
        })?;
        answered.await.map_err(|_| PoolError::Ended)
    }

    /// Held for a look-up, by whoever connects.
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        // Each step leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else {
            return;
        };
        // The client may have given up while it waited.
        if !job.answer.is_closed() {
            let is_right = job.secret.verify(&job.password);
            let _ = job.answer.send(is_right);
        }
    }
}
