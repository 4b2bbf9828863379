//! [`FactoryLayer`]: wraps a factory in another factory.
//!
//! Pushed onto a [`FactoryStack`](crate::FactoryStack), which supplies the
//! config. A layer wraps factories rather than services so that the whole
//! chain can be made, and remade, from one value.

use std::fmt;

use crate::{Either, LayeredMakeService, layered::Unlayered};

/// Wraps a factory `F` in another one, set up from a config `C`.
///
/// Implemented for `&L`, for [`Either`] (one of two layers) and for
/// `Option<L>` (a layer that is on or off; inner state survives the switch,
/// see [`LayeredMakeService`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wrap `{F}` with a config of type `{C}`: the bound \
               `{Self}: FactoryLayer<{C}, {F}>` is missing",
    label = "not a layer over `{F}`",
    note = "check what the layer asks of the config (`Param<..>`) and of the factory below it"
)]
pub trait FactoryLayer<C, F> {
    /// The wrapping factory.
    type Factory;

    /// Wraps `inner`.
    fn layer(&self, config: &C, inner: F) -> Self::Factory;
}

impl<C, F, L: FactoryLayer<C, F> + ?Sized> FactoryLayer<C, F> for &L {
    type Factory = L::Factory;

    fn layer(&self, config: &C, inner: F) -> Self::Factory {
        (**self).layer(config, inner)
    }
}

// The bound on the factory belongs to making, not to layering; here it is
// reported at the push of the layer that does not meet it.
impl<C, F, L> FactoryLayer<C, F> for Option<L>
where
    L: FactoryLayer<C, F, Factory: LayeredMakeService>,
{
    type Factory = Either<L::Factory, Unlayered<F>>;

    fn layer(&self, config: &C, inner: F) -> Self::Factory {
        match self {
            Some(layer) => Either::Left(layer.layer(config, inner)),
            None => Either::Right(Unlayered(inner)),
        }
    }
}

/// A [`FactoryLayer`] made of a function; see [`layer_fn`].
#[derive(Clone, Copy)]
pub struct LayerFn<T> {
    function: T,
}

impl<T> fmt::Debug for LayerFn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerFn({})", std::any::type_name::<T>())
    }
}

/// Turns a function of a config and an inner factory into a [`FactoryLayer`].
pub fn layer_fn<T>(function: T) -> LayerFn<T> {
    LayerFn { function }
}

impl<C, F, Factory, T> FactoryLayer<C, F> for LayerFn<T>
where
    T: Fn(&C, F) -> Factory,
{
    type Factory = Factory;

    fn layer(&self, config: &C, inner: F) -> Factory {
        (self.function)(config, inner)
    }
}
