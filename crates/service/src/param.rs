//! [`Param`] and its family: typed access to the parts of a config or context.
//!
//! A layer asks its config for exactly what it needs (`C: Param<Timeouts>`)
//! and so works with any config that can give it. Implemented by configs and
//! contexts; called by layers and services.

/// Gives a `T` by value. Every `T: Clone` gives itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameter `{T}`: the bound `{Self}: Param<{T}>` is missing",
    label = "does not provide a `{T}`",
    note = "a layer asks its config for this: write `impl Param<{T}> for {Self}`"
)]
pub trait Param<T> {
    /// The parameter.
    fn param(&self) -> T;
}

impl<T: Clone> Param<T> for T {
    fn param(&self) -> T {
        self.clone()
    }
}

/// Gives a `T` by reference. Every `T` gives itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameter `{T}` to refer to: the bound `{Self}: ParamRef<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamRef<T> {
    /// The parameter.
    fn param_ref(&self) -> &T;
}

impl<T> ParamRef<T> for T {
    fn param_ref(&self) -> &T {
        self
    }
}

/// Gives a `T` to change in place. Every `T` gives itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameter `{T}` to change: the bound `{Self}: ParamMut<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamMut<T> {
    /// The parameter.
    fn param_mut(&mut self) -> &mut T;
}

impl<T> ParamMut<T> for T {
    fn param_mut(&mut self) -> &mut T {
        self
    }
}

/// Gives a `T` by value, if there is one. An `Option` gives what it holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` never has a parameter `{T}`: the bound `{Self}: ParamMaybe<{T}>` is missing",
    label = "does not provide a `{T}`"
)]
pub trait ParamMaybe<T> {
    /// The parameter, if there is one.
    fn param_maybe(&self) -> Option<T>;
}

impl<T: Clone> ParamMaybe<T> for Option<T> {
    fn param_maybe(&self) -> Self {
        self.clone()
    }
}

/// Gives a `T` by reference, if there is one. An `Option` gives what it holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` never has a parameter `{T}`: the bound `{Self}: ParamMaybeRef<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamMaybeRef<T> {
    /// The parameter, if there is one.
    fn param_maybe_ref(&self) -> Option<&T>;
}

impl<T> ParamMaybeRef<T> for Option<T> {
    fn param_maybe_ref(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// Gives a `T` to change in place, if there is one. An `Option` gives what it
/// holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` never has a parameter `{T}`: the bound `{Self}: ParamMaybeMut<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamMaybeMut<T> {
    /// The parameter, if there is one.
    fn param_maybe_mut(&mut self) -> Option<&mut T>;
}

impl<T> ParamMaybeMut<T> for Option<T> {
    fn param_maybe_mut(&mut self) -> Option<&mut T> {
        self.as_mut()
    }
}

/// Takes a `T` in. The result may be of another type, so that code which runs
/// later can demand, by its bounds, that the parameter was set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no place for a parameter `{T}`: the bound `{Self}: ParamSet<{T}>` is \
               missing",
    label = "cannot take a `{T}`"
)]
pub trait ParamSet<T> {
    /// What holds the parameter afterwards.
    type Transformed;

    /// Sets the parameter.
    fn param_set(self, item: T) -> Self::Transformed;
}

impl<T> ParamSet<T> for Option<T> {
    type Transformed = Self;

    fn param_set(self, item: T) -> Self {
        Some(item)
    }
}

/// Drops the `T` it holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameter `{T}` to remove: the bound `{Self}: ParamRemove<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamRemove<T> {
    /// What is left.
    type Transformed;

    /// Removes the parameter.
    fn param_remove(self) -> Self::Transformed;
}

impl<T> ParamRemove<T> for Option<T> {
    type Transformed = Self;

    fn param_remove(self) -> Self {
        None
    }
}

/// Hands out the `T` it holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameter `{T}` to take: the bound `{Self}: ParamTake<{T}>` is \
               missing",
    label = "does not hold a `{T}`"
)]
pub trait ParamTake<T> {
    /// What is left.
    type Transformed;

    /// Takes the parameter out.
    fn param_take(self) -> (Self::Transformed, T);
}
