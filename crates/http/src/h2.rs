//! HTTP/2 for the same chains, over the `h2` crate.
//!
//! Each request runs as a task of its own on the connection's worker; ending
//! the connection ends them. What a handler sees differs in nothing from
//! HTTP/1.1: `Host` is there, cookies are one field, trailers are a frame.

mod body;
mod stream;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use tidegate_runtime::connections::ConnectionHandle;
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};
use tidegate_runtime::panic::contain;
use tokio::task::JoinSet;

use crate::exchange::HttpHandler;
use crate::fault::{Fault, FaultKind};
use crate::server::{Http2Connection, ServerSettings};

/// How much of one request body may be under way before it is read.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// How much of all request bodies of a connection may be.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How many bytes of responses are held for a client that does not read them.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// How many streams a client may reset before they were accepted.
const PENDING_RESETS_MAX: usize = 20;
/// How many reset streams are remembered.
const RESETS_MAX: usize = 50;
/// The longest a connection that was told to go away may still take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one connection until it ends.
pub(crate) async fn serve<H: HttpHandler>(
    settings: Rc<ServerSettings>,
    handler: Rc<H>,
    connection: Http2Connection,
) -> Result<(), Fault> {
    let Http2Connection { io, handle, info } = connection;
    let deadline = Deadline::new();
    deadline.arm(settings.timeouts.header);
    let handshake = builder(&settings).handshake::<_, Bytes>(io);
    let mut connection = deadline
        .run(handshake)
        .await
        .map_err(|_| {
            let detail = "no HTTP/2 preface in time";
            Fault::late(FaultKind::RequestTimeout, Limit::HeaderTimeout, detail)
        })?
        .map_err(client_fault)?;
    let mut streams = JoinSet::new();
    let mut stage = Stage::Open;
    loop {
        let event = next(&mut connection, &mut streams, &deadline, &handle, stage).await?;
        match event {
            Event::Request(accepted) => {
                let (request, respond) = *accepted;
                handle.mark_busy();
                deadline.disarm();
                let serving = stream::serve(
                    settings.clone(),
                    handler.clone(),
                    info.clone(),
                    request,
                    respond,
                );
                streams.spawn_local(contain(info.peer, serving));
            }
            Event::StreamEnded if streams.is_empty() => {
                handle.mark_idle();
                deadline.arm(settings.timeouts.idle);
            }
            Event::StreamEnded => {}
            // GOAWAY: no new requests, those under way are answered (RFC 9113 section 6.8).
            leaving @ (Event::Drain | Event::Idle) if stage == Stage::Open => {
                if matches!(leaving, Event::Idle) {
                    limit::hit(Limit::IdleTimeout);
                }
                stage = Stage::GoneAway;
                connection.graceful_shutdown();
                if streams.is_empty() {
                    deadline.arm(CLOSE_TIMEOUT);
                }
            }
            Event::Drain => {}
            Event::Idle | Event::Closed => return Ok(()),
        }
        if stage == Stage::GoneAway && streams.is_empty() {
            deadline.arm(CLOSE_TIMEOUT);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    GoneAway,
}

enum Event {
    Request(
        Box<(
            http::Request<h2::RecvStream>,
            h2::server::SendResponse<Bytes>,
        )>,
    ),
    StreamEnded,
    Drain,
    Idle,
    Closed,
}

async fn next(
    connection: &mut Connection<Io, Bytes>,
    streams: &mut JoinSet<()>,
    deadline: &Deadline,
    handle: &ConnectionHandle,
    stage: Stage,
) -> Result<Event, Fault> {
    poll_fn(|cx| {
        match connection.poll_accept(cx) {
            Poll::Ready(None) => return Poll::Ready(Ok(Event::Closed)),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(client_fault(error))),
            Poll::Ready(Some(Ok(accepted))) => {
                return Poll::Ready(Ok(Event::Request(Box::new(accepted))));
            }
            Poll::Pending => {}
        }
        if let Poll::Ready(Some(_)) = streams.poll_join_next(cx) {
            return Poll::Ready(Ok(Event::StreamEnded));
        }
        if stage == Stage::Open && handle.poll_draining(cx).is_ready() {
            return Poll::Ready(Ok(Event::Drain));
        }
        deadline.poll_elapsed(cx).map(|()| Ok(Event::Idle))
    })
    .await
}

fn builder(settings: &ServerSettings) -> Builder {
    let mut builder = Builder::new();
    let header_bytes = u32::try_from(settings.limits.header_bytes).unwrap_or(u32::MAX);
    builder
        .max_concurrent_streams(settings.http2_streams)
        .max_header_list_size(header_bytes)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_concurrent_reset_streams(RESETS_MAX);
    builder
}

fn client_fault(error: h2::Error) -> Fault {
    Fault::new(FaultKind::ClientGone, error.to_string())
}
