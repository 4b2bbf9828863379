// An async factory behind an Arc.

use std::convert::Infallible;
use tidegate_service::{AsyncMakeService, FactoryStack};

struct Hello;

struct SlowFactory;

impl AsyncMakeService for SlowFactory {
    type Service = Hello;
    type Error = Infallible;

    async fn make_via_ref(&self, _old: Option<&Hello>) -> Result<Hello, Infallible> {
        std::future::pending().await
    }
}

fn main() {
    let shared = std::sync::Arc::new(SlowFactory);
    let _stack = FactoryStack::new(()).replace(shared).into_async();
}

//~ `SlowFactory` is not a factory: the bound `SlowFactory: MakeService` is missing
//~ share a factory that is only async as `Shared<F>`
