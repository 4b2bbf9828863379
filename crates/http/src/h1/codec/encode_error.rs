//! Why a message cannot be written as asked.

/// A message its own side got wrong. What was written of it before cannot be
/// completed: abort the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A request cannot end with the connection (RFC 9112 section 6.3).
    #[error("a request body needs a length")]
    RequestUntilClose,
    /// The status rules a body out (1xx, 204, 304), or the method does.
    #[error("this message cannot have a body")]
    BodyNotAllowed,
    /// More data than `Content-Length` announced.
    #[error("the body is longer than its Content-Length by {excess_bytes} bytes")]
    BodyTooLong {
        /// Bytes beyond the announced length.
        excess_bytes: u64,
    },
    /// Less data than `Content-Length` announced.
    #[error("the body is shorter than its Content-Length by {missing_bytes} bytes")]
    BodyTooShort {
        /// Bytes that never came.
        missing_bytes: u64,
    },
    /// Data or trailers after the end of the body.
    #[error("data after the end of the body")]
    AfterEnd,
    /// A target without anything the method could be asked of.
    #[error("the URI gives no request target for this method")]
    NoTarget,
}
