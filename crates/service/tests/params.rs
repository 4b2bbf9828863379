//! The `Param` family: every kind of access, on a config and on a typed context.

use tidegate_service::{
    Param, ParamMaybe, ParamMaybeMut, ParamMaybeRef, ParamMut, ParamRef, ParamRemove, ParamSet,
    ParamTake,
};

#[derive(Clone, Debug, PartialEq)]
struct Timeout(u64);

#[derive(Clone, Debug, PartialEq)]
struct Peer(&'static str);

/// A context whose type tells whether the peer is known.
#[derive(Debug, PartialEq)]
struct Context<P> {
    timeout: Timeout,
    tag: Option<String>,
    peer: P,
}

impl<P> Param<Timeout> for Context<P> {
    fn param(&self) -> Timeout {
        self.timeout.clone()
    }
}

impl<P> ParamRef<Timeout> for Context<P> {
    fn param_ref(&self) -> &Timeout {
        &self.timeout
    }
}

impl<P> ParamMut<Timeout> for Context<P> {
    fn param_mut(&mut self) -> &mut Timeout {
        &mut self.timeout
    }
}

impl<P> ParamMaybe<String> for Context<P> {
    fn param_maybe(&self) -> Option<String> {
        self.tag.param_maybe()
    }
}

impl<P> ParamMaybeRef<String> for Context<P> {
    fn param_maybe_ref(&self) -> Option<&String> {
        self.tag.param_maybe_ref()
    }
}

impl<P> ParamMaybeMut<String> for Context<P> {
    fn param_maybe_mut(&mut self) -> Option<&mut String> {
        self.tag.param_maybe_mut()
    }
}

impl ParamSet<Peer> for Context<()> {
    type Transformed = Context<Peer>;

    fn param_set(self, peer: Peer) -> Context<Peer> {
        Context {
            timeout: self.timeout,
            tag: self.tag,
            peer,
        }
    }
}

impl ParamTake<Peer> for Context<Peer> {
    type Transformed = Context<()>;

    fn param_take(self) -> (Context<()>, Peer) {
        let left = Context {
            timeout: self.timeout,
            tag: self.tag,
            peer: (),
        };
        (left, self.peer)
    }
}

impl ParamRemove<Peer> for Context<Peer> {
    type Transformed = Context<()>;

    fn param_remove(self) -> Context<()> {
        self.param_take().0
    }
}

fn context() -> Context<()> {
    Context {
        timeout: Timeout(5),
        tag: None,
        peer: (),
    }
}

#[test]
fn a_part_is_copied_referred_to_and_changed() {
    let mut context = context();
    let timeout: &mut Timeout = context.param_mut();
    timeout.0 = 7;
    assert_eq!(Param::<Timeout>::param(&context), Timeout(7));
    assert_eq!(ParamRef::<Timeout>::param_ref(&context), &Timeout(7));
}

#[test]
fn a_part_that_may_be_missing_is_an_option() {
    let mut context = context();
    assert_eq!(context.param_maybe_ref(), None);
    context.tag = context.tag.param_set("a".into());
    if let Some(tag) = context.param_maybe_mut() {
        tag.push('b');
    }
    assert_eq!(context.param_maybe(), Some("ab".into()));
    assert_eq!(context.tag.param_remove(), None);
}

#[test]
fn setting_a_part_and_taking_it_changes_the_type() {
    // Only a context whose peer was set can be asked for it.
    fn peer_of(context: Context<Peer>) -> Peer {
        context.param_take().1
    }

    assert_eq!(peer_of(context().param_set(Peer("a"))), Peer("a"));
    let removed = context().param_set(Peer("a")).param_remove();
    assert_eq!(removed, context());
}

#[test]
fn every_value_is_a_parameter_of_itself() {
    let mut timeout = Timeout(1);
    ParamMut::<Timeout>::param_mut(&mut timeout).0 = 2;
    assert_eq!(Param::<Timeout>::param(&timeout), Timeout(2));
    assert_eq!(ParamRef::<Timeout>::param_ref(&timeout), &Timeout(2));
}
