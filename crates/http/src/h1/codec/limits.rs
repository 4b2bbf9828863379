//! What one message may cost at most before it is refused.

/// The most header fields a message may have whatever [`Limits`] say: the
/// parser keeps its field table on the stack.
pub const MAX_HEADER_COUNT: usize = 128;

/// Upper bounds for one message. Every bound that bites has its own
/// [`ParseError`](super::ParseError).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the first line (request line or status line) without its line
    /// end; 8 KiB. More is `414` for a request.
    pub request_line_bytes: usize,
    /// Bytes of all header fields with their line ends and the empty line;
    /// 32 KiB. More is `431`.
    pub header_bytes: usize,
    /// Number of header fields; 100, and never more than [`MAX_HEADER_COUNT`].
    /// More is `431`. Holds for trailers too.
    pub header_count: usize,
    /// Bytes of body data, without chunk framing; 64 MiB. More is `413`, for a
    /// declared length before any of it is read. `u64::MAX` turns it off.
    pub body_bytes: u64,
    /// Bytes of chunk extensions in one whole body, each counted from its
    /// semicolon; 16 KiB. More is `400`.
    pub chunk_extension_bytes: usize,
    /// Bytes of the chunk extensions on one chunk-size line, counted from the
    /// semicolon; 4 KiB. More is `400`.
    pub chunk_line_bytes: usize,
    /// Bytes of the trailer section with its line ends and the empty line;
    /// 8 KiB. More is `431`.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes: 8 << 10,
            header_bytes: 32 << 10,
            header_count: 100,
            body_bytes: 64 << 20,
            chunk_extension_bytes: 16 << 10,
            chunk_line_bytes: 4 << 10,
            trailer_bytes: 8 << 10,
        }
    }
}
