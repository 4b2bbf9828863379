//! How large a message may be, and in which ways.

/// Bounds of what a peer may send. What is beyond them is refused before memory is
/// set aside for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message: transport, envelope and body.
    pub message_bytes: usize,
    /// Bytes of a TTHeader's variable part; the format itself ends at 262140.
    pub header_bytes: usize,
    /// Bytes of a method's name, with the service's where one is in front of it.
    pub method_bytes: usize,
    /// How deep structs and containers may lie in each other, where a body is walked.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What Apache Thrift's own servers take by default, rounded up.
            message_bytes: 16 * 1024 * 1024,
            header_bytes: 64 * 1024,
            method_bytes: 1024,
            depth: 64,
        }
    }
}
