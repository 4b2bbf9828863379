//! What a pattern's `{names}` stand for in the path that matched it.

/// The parameters of one match, borrowed from the path and the table.
///
/// Values are percent-encoded text exactly as in the canonical path: they are
/// never decoded, so they can go into another path without encoding.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    found: matchit::Params<'a, 'a>,
    /// The name of a rest that matched nothing: matchit knows no empty parameter.
    empty_rest: Option<&'a str>,
}

impl<'a> Params<'a> {
    pub(super) fn new(found: matchit::Params<'a, 'a>, rest: Option<&'a str>) -> Self {
        let empty_rest = rest.filter(|name| found.get(name).is_none());
        Self { found, empty_rest }
    }

    /// No parameters at all.
    pub fn none() -> Self {
        Self {
            found: matchit::Params::new(),
            empty_rest: None,
        }
    }

    /// The value of `name`; the rest of a path may be empty, other values never are.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.found
            .get(name)
            .or_else(|| (self.empty_rest == Some(name)).then_some(""))
    }

    /// Names and values in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let rest = self.empty_rest.map(|name| (name, ""));
        self.found.iter().chain(rest)
    }

    /// Whether the pattern has no parameters.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.empty_rest.is_none()
    }
}
