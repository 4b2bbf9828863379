#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;

use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_runtime::local::block_on;
use tokio::task::yield_now;

use super::*;

/// A frame, and how often it is not there yet.
type Script = VecDeque<(Result<Frame<Bytes>, Fault>, u8)>;

/// Gives the frames it was told to and counts how many were pulled.
struct Scripted {
    frames: Script,
    pulled: Rc<Cell<usize>>,
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.frames.front_mut() {
            Some((_, waits)) if *waits > 0 => {
                *waits -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(_) => self.pulled.set(self.pulled.get() + 1),
            None => {}
        }
        Poll::Ready(self.frames.pop_front().map(|(frame, _)| frame))
    }
}

fn piped(frames: Script) -> (RequestBody, Pump, Rc<Cell<usize>>) {
    let pulled = Rc::new(Cell::new(0));
    let scripted = Scripted {
        frames,
        pulled: pulled.clone(),
    };
    let (body, pump) = RequestBody::new(Body::stream(scripted));
    (body, pump.unwrap(), pulled)
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_and_no_sooner_than_asked(
        chunks in vec((vec(any::<u8>(), 0..9), 0_u8..3), 0..12),
        pauses in vec(0_u8..3, 12),
        trailers in any::<bool>(),
    ) {
        let mut script: Script = chunks
            .iter()
            .map(|(data, waits)| (Ok(Frame::data(Bytes::from(data.clone()))), *waits))
            .collect();
        if trailers {
            let mut fields = HeaderMap::new();
            fields.insert("sum", HeaderValue::from_static("1"));
            script.push_back((Ok(Frame::trailers(fields)), 1));
        }
        let (mut body, pump, pulled) = piped(script);
        let reading = async {
            let (mut read, mut seen_trailers) = (Vec::new(), false);
            for asked in 0.. {
                for _ in 0..pauses[asked % pauses.len()] {
                    yield_now().await;
                }
                assert_eq!(pulled.get(), asked, "pulled ahead of the reader");
                match body.frame().await.transpose().unwrap() {
                    Some(frame) if frame.is_trailers() => seen_trailers = true,
                    Some(frame) => read.push(frame.into_data().unwrap().to_vec()),
                    None => break,
                }
            }
            (read, seen_trailers)
        };
        let ((read, seen_trailers), ()) =
            block_on(async { tokio::join!(reading, pump) });
        let sent: Vec<Vec<u8>> = chunks.into_iter().map(|(data, _)| data).collect();
        prop_assert_eq!(read, sent);
        prop_assert_eq!(seen_trailers, trailers);
    }
}

#[test]
fn a_fault_is_the_readers_and_the_last_there_is() {
    let fault = Fault::new(FaultKind::RequestTimeout, "slow");
    let (mut body, pump, _) = piped([(Err(fault), 0)].into());
    let reading = async {
        let fault = body.frame().await.unwrap().unwrap_err();
        assert_eq!(fault.kind(), FaultKind::RequestTimeout);
        assert!(body.frame().await.is_none());
    };
    block_on(async { tokio::join!(reading, pump) });
}

#[test]
fn a_reader_that_leaves_lets_the_body_go() {
    let (mut body, mut pump, pulled) = piped([(Ok(Frame::data(Bytes::new())), u8::MAX)].into());
    block_on(async {
        let waits = poll_fn(|cx| {
            assert!(Pin::new(&mut body).poll_frame(cx).is_pending());
            Poll::Ready(Pin::new(&mut pump).poll(cx))
        });
        assert!(waits.await.is_pending());
        drop(body);
        pump.await;
    });
    assert_eq!(pulled.get(), 0);
}

#[test]
fn a_reader_in_a_task_of_its_own_learns_that_the_request_is_over() {
    let (mut body, pump, _) = piped([(Ok(Frame::data(Bytes::new())), u8::MAX)].into());
    block_on(async {
        // Not `spawn_local`: what reads may be anywhere, which is why there is a pipe.
        #[allow(clippy::disallowed_methods, reason = "frameworks spawn so")]
        let reader = tokio::spawn(async move { body.frame().await.unwrap().unwrap_err().kind() });
        yield_now().await;
        drop(pump);
        assert_eq!(reader.await.unwrap(), FaultKind::ClientGone);
    });
}

#[test]
fn what_is_at_hand_needs_no_pump() {
    let (body, pump) = RequestBody::new(Body::from("all of it"));
    assert!(pump.is_none());
    assert_eq!(body.size_hint().exact(), Some(9));
    block_on(async {
        assert_eq!(body.collect().await.unwrap().to_bytes(), "all of it");
    });
}
