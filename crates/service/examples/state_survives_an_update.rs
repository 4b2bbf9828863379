//! A chain of two services, and an update that keeps the state of both.
//!
//! Run it with `cargo run -p tidegate-service --example state_survives_an_update`.

#![allow(
    unused_imports,
    clippy::use_self,
    clippy::unwrap_used,
    reason = "it imports and names what programs usually do, and every error is Infallible"
)]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_service::{
    AsyncMakeService, BoxedMakeService, BoxedService, MakeService, Param, Service,
    layer::{FactoryLayer, layer_fn},
    stack::FactoryStack,
};

struct SvcA {
    pass_flag: bool,
    not_pass_flag: bool,
}

impl Service<()> for SvcA {
    type Response = ();
    type Error = Infallible;

    async fn call(&self, _req: ()) -> Result<Self::Response, Self::Error> {
        let (pass, not_pass) = (self.pass_flag, self.not_pass_flag);
        println!("SvcA called! pass_flag = {pass}, not_pass_flag = {not_pass}");
        Ok(())
    }
}

struct SvcAFactory {
    init_flag: InitFlag,
}

struct InitFlag(bool);

impl MakeService for SvcAFactory {
    type Service = SvcA;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        let init_flag = self.init_flag.0;
        Ok(SvcA {
            // What the predecessor knows goes on.
            pass_flag: old.map_or(init_flag, |old| old.pass_flag),
            not_pass_flag: init_flag,
        })
    }
}

struct SvcB<T> {
    counter: AtomicUsize,
    inner: T,
}

impl<T> Service<usize> for SvcB<T>
where
    T: Service<(), Error = Infallible>,
{
    type Response = ();
    type Error = Infallible;

    async fn call(&self, req: usize) -> Result<Self::Response, Self::Error> {
        let old = self.counter.fetch_add(req, Ordering::AcqRel);
        let new = old + req;
        println!("SvcB called! {old}->{new}");
        self.inner.call(()).await?;
        Ok(())
    }
}

struct SvcBFactory<T>(T);

impl<T> MakeService for SvcBFactory<T>
where
    T: MakeService<Error = Infallible>,
{
    type Service = SvcB<T::Service>;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, Self::Error> {
        Ok(match old {
            Some(r) => SvcB {
                counter: r.counter.load(Ordering::Acquire).into(),
                inner: self.0.make_via_ref(Some(&r.inner))?,
            },
            None => SvcB {
                counter: 0.into(),
                inner: self.0.make()?,
            },
        })
    }
}

impl SvcAFactory {
    fn layer<C>() -> impl FactoryLayer<C, (), Factory = Self>
    where
        C: Param<InitFlag>,
    {
        layer_fn(|c: &C, ()| SvcAFactory {
            init_flag: c.param(),
        })
    }
}

impl<T> SvcBFactory<T> {
    fn layer<C>() -> impl FactoryLayer<C, T, Factory = Self> {
        layer_fn(|_: &C, inner| SvcBFactory(inner))
    }
}

#[derive(Clone, Copy)]
struct Config {
    init_flag: bool,
}

impl Param<InitFlag> for Config {
    fn param(&self) -> InitFlag {
        InitFlag(self.init_flag)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = Config { init_flag: false };
    let stack = FactoryStack::new(config)
        .push(SvcAFactory::layer())
        .push(SvcBFactory::layer());

    let svc = stack.make_async().await.unwrap();
    svc.call(1).await.unwrap();
    svc.call(2).await.unwrap();
    svc.call(3).await.unwrap();

    // An update with other settings: each layer finds its own predecessor, so
    // the counter goes on from where it was and `pass_flag` keeps its value.
    let updated = FactoryStack::new(Config { init_flag: true })
        .push(SvcAFactory::layer())
        .push(SvcBFactory::layer());
    let new_svc = updated.make_via_ref(Some(&svc)).unwrap();
    new_svc.call(4).await.unwrap();
}
