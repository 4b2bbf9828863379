// A factory pushed where a layer belongs.

use std::convert::Infallible;
use tidegate_service::{FactoryStack, MakeService, Service};

struct Hello;

impl Service<String> for Hello {
    type Response = ();
    type Error = Infallible;

    async fn call(&self, _req: String) -> Result<(), Infallible> {
        Ok(())
    }
}

struct HelloFactory;

impl MakeService for HelloFactory {
    type Service = Hello;
    type Error = Infallible;

    fn make_via_ref(&self, _old: Option<&Hello>) -> Result<Hello, Infallible> {
        Ok(Hello)
    }
}

fn main() {
    FactoryStack::new(()).push(HelloFactory);
}

//~ the bound `HelloFactory: FactoryLayer<(), ()>` is missing
