//! What keeps a broker's records over restarts: a database on disk, written by a thread of
//! its own for all cores of one server.
//!
//! Cores hand over their commits as [`Batch`]es and hear of them by their tokens. Those
//! that wait together are written together.

mod batch;
mod counts;
mod decode;
mod directory;
mod encode;
mod engine;
mod error;
mod fields;
mod group;
mod handle;
mod joints;
mod key;
mod layout;
mod tail;
mod writer;

pub use self::batch::Batch;
pub use self::counts::StoreCounts;
pub use self::decode::decode;
pub use self::directory::QUARANTINE_FILES_MAX;
pub use self::encode::{encode, sealed};
pub use self::error::{DatabaseError, StoreError};
pub use self::fields::RecordError;
pub use self::handle::{QUEUE_CAPACITY, Refused, Reports, Store};
pub use self::writer::Progress;

/// What a commit that is reported done has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The end of the process, however it comes; not that of the machine.
    Os,
    /// The end of the machine's power too.
    Fsync,
}

#[cfg(test)]
mod tests;
