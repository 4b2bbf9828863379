//! Read buffers, lent to a connection only while it has something to read.
//!
//! Each worker keeps a few buffers of each size for reuse. A connection takes
//! one when its socket is readable and gives it back when it goes idle, so an
//! idle connection holds none. A buffer is usually given back while a header
//! value or a body chunk still refers to its bytes: whether it can be used again
//! is looked at when it is wanted.

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

/// How many kept buffers are looked at before a new one is made.
const LOOKED_AT_MAX: usize = 4;

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
    POOL.with_borrow_mut(|pool| {
        let kept = pool.of(size);
        for _ in 0..LOOKED_AT_MAX {
            let Some(mut buffer) = kept.pop() else {
                break;
            };
            // Fails while somebody still refers to its bytes; they then free it.
            if buffer.try_reclaim(size.bytes()) {
                return buffer;
            }
        }
        BytesMut::with_capacity(size.bytes())
    })
}

/// Gives a buffer back. Its content is discarded.
///
/// Kept for reuse if it still is of about the size given; freed otherwise, with
/// the last reference to its memory.
pub fn give(mut buffer: BytesMut, size: BufferSize) {
    buffer.clear();
    if buffer.capacity() > 2 * size.bytes() {
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
        give(grown, BufferSize::Head);
        assert!(take(BufferSize::Head).capacity() < 10 * BufferSize::Head.bytes());
    }
}
