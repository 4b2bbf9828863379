//! What one core tells the others about its subscribers.

/// A change to what a core wants to hear of. Only the first and the last
/// subscriber of a filter are told of, and for a group its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum InterestChange {
    /// Somebody here subscribes to the filter.
    Wanted(Box<str>),
    /// Nobody here does any longer.
    Unwanted(Box<str>),
    /// The members that a shared subscription has here.
    Group {
        /// The filter shared.
        filter: Box<str>,
        /// The ShareName.
        name: Box<str>,
        /// Members with a connection.
        online: u32,
        /// All members.
        members: u32,
    },
}
