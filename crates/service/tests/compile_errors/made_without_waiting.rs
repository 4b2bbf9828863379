// A stack that may have to wait, made as if it never did.

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
    let _service = FactoryStack::new(()).replace(SlowFactory).into_sync();
}

//~ the bound `SlowFactory: ReadyMakeService` is missing
//~ make it with `make_async`
