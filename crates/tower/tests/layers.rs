//! Middleware of tower's inside chains of Tidegate's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use tidegate_http::{Body, ConnectionInfo, Exchange, Fault, FaultKind, Response, Scheme};
use tidegate_runtime::io::PeerAddr;
use tidegate_runtime::local::block_on;
use tidegate_service::{FactoryStack, MakeService, Service};
use tidegate_tower::http::{RequestBody, TowerHandler, http_layer};
use tidegate_tower::{BoxError, tower_layer};
use tower::ServiceBuilder;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// Answers with how many requests it and its predecessors have answered, and reads their bodies.
struct Counter(Rc<Cell<u32>>);

impl Service<Exchange> for Counter {
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        exchange.context.note(|facts| facts.retries += 1);
        let body = exchange.request.into_body().collect().await?.to_bytes();
        if body == "wait" {
            return std::future::pending().await;
        }
        self.0.set(self.0.get() + 1);
        Ok(Response::new(Body::from(self.0.get().to_string())))
    }
}

#[derive(Clone)]
struct CounterFactory;

impl MakeService for CounterFactory {
    type Service = Counter;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Counter>) -> Result<Counter, Infallible> {
        Ok(Counter(old.map_or_else(Rc::default, |old| old.0.clone())))
    }
}

fn exchange(body: Body) -> Exchange {
    let connection = ConnectionInfo::new(PeerAddr::Unix, PeerAddr::Unix, Scheme::Http);
    Exchange {
        request: tidegate_http::Request::new(body),
        context: tidegate_http::Context::new(Rc::new(connection)),
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A time limit of tower's becomes a fault of ours.
fn late(error: BoxError) -> Fault {
    if error.is::<tower::timeout::error::Elapsed>() {
        return Fault::new(FaultKind::UpstreamTimeout, "tower's time limit");
    }
    tidegate_tower::http::fault(error)
}

#[test]
fn a_timeout_of_towers_ends_a_handler_and_an_update_keeps_what_is_inside() {
    block_on(async {
        let layers = || {
            ServiceBuilder::new()
                .map_err(late)
                .timeout(Duration::from_millis(50))
        };
        let stack = || {
            FactoryStack::new(())
                .replace(CounterFactory)
                .push(tower_layer(layers()))
                .check_make_svc::<Exchange>()
        };
        let old = stack().make().unwrap();
        assert_eq!(
            text(old.call(exchange(Body::empty())).await.unwrap()).await,
            "1"
        );
        let fault = old.call(exchange(Body::from("wait"))).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::UpstreamTimeout);

        let new = stack().make_via_ref(Some(&old)).unwrap();
        assert_eq!(
            text(new.call(exchange(Body::empty())).await.unwrap()).await,
            "2"
        );
    });
}

#[test]
fn a_layer_can_be_switched_on_and_off_around_what_keeps_its_state() {
    block_on(async {
        let stack = |is_on: bool| {
            let layer = tower_layer(ConcurrencyLimitLayer::new(1));
            FactoryStack::new(())
                .replace(CounterFactory)
                .push(is_on.then_some(layer))
        };
        let off = stack(false).make_async().await.unwrap();
        off.call(exchange(Body::empty())).await.unwrap();
        let on = stack(true).make_async_via_ref(Some(&off)).await.unwrap();
        assert_eq!(
            text(on.call(exchange(Body::empty())).await.unwrap()).await,
            "2"
        );
    });
}

#[test]
fn permits_in_a_layer_outlive_an_update() {
    block_on(async {
        let shared = GlobalConcurrencyLimitLayer::new(1);
        let stack = || {
            FactoryStack::new(())
                .replace(CounterFactory)
                .push(tower_layer(shared.clone()))
        };
        let old = stack().make().unwrap();
        let new = stack().make_via_ref(Some(&old)).unwrap();
        tokio::select! {
            biased;
            _ = old.call(exchange(Body::from("wait"))) => panic!("it never answers"),
            _ = new.call(exchange(Body::empty())) => panic!("the only permit is taken"),
            () = async { for _ in 0..8 { tokio::task::yield_now().await } } => {}
        }
        // Who gave up has given the permit back.
        assert_eq!(
            text(new.call(exchange(Body::empty())).await.unwrap()).await,
            "1"
        );
    });
}

#[test]
fn layers_of_tower_http_wrap_handlers_and_their_bodies_and_keep_the_context() {
    block_on(async {
        let name = HeaderName::from_static("x-layer");
        let value = HeaderValue::from_static("here");
        let stack = FactoryStack::new(())
            .replace(CounterFactory)
            .push(http_layer(SetResponseHeaderLayer::overriding(name, value)))
            .push(http_layer(RequestBodyLimitLayer::new(4)));
        let service = stack.make().unwrap();

        let accepted = exchange(Body::from("four"));
        let context = accepted.context.clone();
        let response = service.call(accepted).await.unwrap();
        assert_eq!(response.headers().get("x-layer").unwrap(), "here");
        assert_eq!(text(response).await, "1");
        assert_eq!(context.facts(|facts| facts.retries), 1);

        let mut refused = exchange(Body::from("fiver"));
        refused
            .request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(5));
        let response = service.call(refused).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    });
}

/// Forgets what a request carries.
#[derive(Clone)]
struct Forgetful<S>(S);

impl<S: tower::Service<Request<Body>>> tower::Service<Request<Body>> for Forgetful<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        request.extensions_mut().clear();
        self.0.call(request)
    }
}

#[test]
fn a_layer_that_loses_the_context_is_a_fault_and_no_panic() {
    block_on(async {
        let stack = FactoryStack::new(())
            .replace(CounterFactory)
            .push(http_layer(tower::layer::layer_fn(Forgetful)));
        let service = stack.make().unwrap();
        let fault = service.call(exchange(Body::empty())).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Internal);
    });
}

#[test]
fn giving_a_request_up_drops_what_the_service_was_doing() {
    let doing = Rc::new(());
    let held = doing.clone();
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let held = (held.clone(), request);
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        }
    });
    let handler = TowerHandler::new(service);
    block_on(async {
        tokio::select! {
            biased;
            _ = handler.call(exchange(Body::from("unread"))) => panic!("it never answers"),
            () = async { assert!(Rc::strong_count(&doing) > 2) } => {}
        }
    });
    // The service's own, and ours.
    assert_eq!(Rc::strong_count(&doing), 2);
}
