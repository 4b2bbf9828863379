//! Read buffers, lent to a connection only while it has something to read.
//!
//! Each worker keeps a few buffers of each size for reuse. A connection takes
//! one when its socket is readable and gives it back when it goes idle, so an
//! idle connection holds none. A buffer whose bytes are still referred to (a
//! header value, a body chunk on its way out) cannot be reused and is simply
//! freed with its last reference.

use std::cell::RefCell;

use bytes::BytesMut;

/// The two sizes of buffer in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferSize {
    /// 4 KiB: a request head usually fits; grows on demand up to the head limit.
    Head,
    /// 64 KiB: the cheapest read size for bodies (smaller and larger both cost more).
    Body,
}

/// How many buffers of one size a worker keeps: at most 256 KiB and 4 MiB.
const KEPT_MAX: usize = 64;

impl BufferSize {
    /// The capacity in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Head => 4 * 1024,
            Self::Body => 64 * 1024,
        }
    }
}

#[derive(Default)]
struct Pool {
    head: Vec<BytesMut>,
    body: Vec<BytesMut>,
}

impl Pool {
    fn of(&mut self, size: BufferSize) -> &mut Vec<BytesMut> {
        match size {
            BufferSize::Head => &mut self.head,
            BufferSize::Body => &mut self.body,
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An empty buffer with at least the capacity of `size`.
pub fn take(size: BufferSize) -> BytesMut {
    POOL.with_borrow_mut(|pool| pool.of(size).pop())
        .unwrap_or_else(|| BytesMut::with_capacity(size.bytes()))
}

/// Gives a buffer back. Its content is discarded.
///
/// Kept for reuse if nothing refers to its memory any more and it still is of
/// the size given; freed otherwise.
pub fn give(mut buffer: BytesMut, size: BufferSize) {
    buffer.clear();
    if !buffer.try_reclaim(size.bytes()) || buffer.capacity() > 2 * size.bytes() {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        let kept = pool.of(size);
        if kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_used_again() {
        let mut buffer = take(BufferSize::Body);
        buffer.extend_from_slice(b"spent");
        let address = buffer.as_ptr();
        give(buffer, BufferSize::Body);
        let again = take(BufferSize::Body);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn a_buffer_somebody_reads_is_not_used_again() {
        let mut buffer = take(BufferSize::Head);
        buffer.extend_from_slice(b"value in use");
        let value = buffer.split_to(5).freeze();
        give(buffer, BufferSize::Head);
        let mut other = take(BufferSize::Head);
        other.extend_from_slice(b"XXXXXXXXXXXX");
        assert_eq!(&value[..], b"value");
    }

    #[test]
    fn an_oversized_buffer_is_not_kept() {
        let grown = BytesMut::with_capacity(10 * BufferSize::Head.bytes());
        let address = grown.as_ptr();
        give(grown, BufferSize::Head);
        assert_ne!(take(BufferSize::Head).as_ptr(), address);
    }
}
