// A layer on an empty stack: nothing makes the innermost service.

use std::convert::Infallible;
use tidegate_service::{FactoryStack, MakeService, Service, layer_fn};

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

struct Loud<S>(S);

impl<S: Service<String>> Service<String> for Loud<S> {
    type Response = S::Response;
    type Error = S::Error;

    async fn call(&self, req: String) -> Result<S::Response, S::Error> {
        self.0.call(req.to_uppercase()).await
    }
}

struct LoudFactory<F>(F);

impl<F: MakeService> MakeService for LoudFactory<F> {
    type Service = Loud<F::Service>;
    type Error = F::Error;

    fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        Ok(Loud(self.0.make_via_ref(old.map(|old| &old.0))?))
    }
}

fn main() {
    let _hello = HelloFactory;
    let stack = FactoryStack::new(()).push(layer_fn(|_: &(), inner| LoudFactory(inner)));
    let _service = stack.make_async();
}

//~ `()` is not a factory: the bound `(): MakeService` is missing
//~ the innermost factory of a stack must be pushed or set with `FactoryStack::replace`
