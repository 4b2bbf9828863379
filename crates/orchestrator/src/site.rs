//! What a deployment is called.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A site's name: one entry of the operator's configuration, one chain behind its listeners.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteName(Arc<str>);

impl SiteName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// A map by name is asked with a text.
impl Borrow<str> for SiteName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SiteName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for SiteName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Arc<String>> for SiteName {
    fn from(name: Arc<String>) -> Self {
        Self(name.as_str().into())
    }
}

/// Which deployment of the process: every worker uses the same number for the same one.
///
/// Numbers only grow, and one may be skipped when a deployment was rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a generation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It gets the new connections.
    Serving,
    /// It was replaced or removed; its connections were asked to leave.
    Draining,
}
