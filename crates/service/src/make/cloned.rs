//! Factories of services that keep nothing.

use std::convert::Infallible;

use crate::MakeService;

/// Makes services by cloning one: for those that keep no state, or share it among clones.
///
/// There is nothing to hand over, so each update begins with the clone it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct MakeClone<S>(pub S);

/// A factory of clones of `service`.
///
/// ```
/// use std::convert::Infallible;
/// use tidegate_service::{FactoryStack, Service, make_clone, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let double = service_fn(async |number: u32| Ok::<_, Infallible>(number * 2));
/// let stack = FactoryStack::new(())
///     .replace(make_clone(double))
///     .push_map_target(|text: &str| text.len() as u32);
/// assert_eq!(stack.make().unwrap().call("tide").await, Ok(8));
/// # }
/// ```
pub const fn make_clone<S: Clone>(service: S) -> MakeClone<S> {
    MakeClone(service)
}

impl<S: Clone> MakeService for MakeClone<S> {
    type Service = S;
    type Error = Infallible;

    fn make_via_ref(&self, _old: Option<&S>) -> Result<S, Infallible> {
        Ok(self.0.clone())
    }
}
