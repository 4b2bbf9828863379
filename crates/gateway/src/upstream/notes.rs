//! Where it is noted how a call was made: what the calls of either gateway have in common.

use std::rc::Rc;

/// Takes notes of a call, for the access log.
pub trait CallNotes {
    /// The upstream that is asked.
    fn upstream(&self, name: &Rc<str>);
    /// The endpoint that is asked now.
    fn endpoint(&self, name: &Rc<str>);
    /// It is asked once more.
    fn retry(&self);
}

impl CallNotes for tidegate_thrift::Context {
    fn upstream(&self, name: &Rc<str>) {
        self.note(|facts| facts.upstream = Some(Rc::clone(name)));
    }

    fn endpoint(&self, name: &Rc<str>) {
        self.note(|facts| facts.endpoint = Some(Rc::clone(name)));
    }

    fn retry(&self) {
        self.note(|facts| facts.retries += 1);
    }
}

impl CallNotes for tidegate_http::Context {
    fn upstream(&self, name: &Rc<str>) {
        self.note(|facts| facts.upstream = Some(Rc::clone(name)));
    }

    fn endpoint(&self, name: &Rc<str>) {
        self.note(|facts| facts.endpoint = Some(Rc::clone(name)));
    }

    fn retry(&self) {
        self.note(|facts| facts.retries += 1);
    }
}
