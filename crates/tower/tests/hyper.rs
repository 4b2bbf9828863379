//! hyper's services, both ways, and a chain of ours served by hyper.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tidegate_runtime::local::block_on;
use tidegate_service::{Service, service_fn};
use tidegate_tower::hyper::{AsHyper, FromHyper};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn there_and_back_is_the_same_service() {
    block_on(async {
        let half = service_fn(async |number: u32| match number % 2 {
            0 => Ok(number / 2),
            _ => Err("odd"),
        });
        let there = AsHyper::new(half);
        let back = FromHyper(there.clone());
        assert_eq!(hyper::service::Service::call(&there, 8).await, Ok(4));
        assert_eq!(back.call(42).await, Ok(21));
        assert_eq!(back.call(43).await, Err("odd"));
    });
}

#[test]
fn hyper_serves_one_of_ours() {
    let path_of = service_fn(async |request: Request<Incoming>| {
        let path = Full::<Bytes>::from(request.uri().path().to_owned());
        Ok::<_, Infallible>(Response::new(path))
    });
    let answer = block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let serving = Builder::new().serve_connection(TokioIo::new(ours), AsHyper::new(path_of));
        let asking = async {
            let request = b"GET /here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            theirs.write_all(request).await.unwrap();
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let (served, answer) = tokio::join!(serving, asking);
        served.unwrap();
        answer
    });
    assert!(answer.ends_with("\r\n\r\n/here"), "{answer}");
}
