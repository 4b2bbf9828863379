// A layer asks the config for something it does not have.

use tidegate_service::{FactoryLayer, FactoryStack, Param, layer_fn};

struct Greeting(&'static str);

struct HelloFactory(Greeting);

impl HelloFactory {
    fn layer<C: Param<Greeting>>() -> impl FactoryLayer<C, (), Factory = Self> {
        layer_fn(|config: &C, ()| Self(config.param()))
    }
}

struct Config;

fn main() {
    let stack = FactoryStack::new(Config).push(HelloFactory::layer());
    println!("{}", stack.into_inner().0.0);
}

//~ `Config` has no parameter `Greeting`: the bound `Config: Param<Greeting>` is missing
//~ write `impl Param<Greeting> for Config`
