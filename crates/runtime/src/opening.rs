//! The first bytes of a connection, looked at before anybody serves it: whoever chooses a
//! protocol or a destination by them.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;

use crate::buffer::{self, BufferSize};
use crate::connections::{Accepted, NEWCOMER_GRACE};
use crate::deadline::Deadline;
use crate::limit::{self, Limit};

/// The most bytes that are read before there is a verdict, whoever looks.
pub const OPENING_BYTES_MAX: usize = 20 * 1024;

/// Why a connection was given up before it was served.
#[derive(Debug, Error)]
pub enum OpeningError<E> {
    /// The client did not say enough in time, or had to make room for another.
    #[error("the client did not say what it wants in time")]
    Late,
    /// The connection broke, or ended.
    #[error("the connection ended before it was clear what it is for: {0}")]
    Io(io::Error),
    /// What it says is of no use.
    #[error(transparent)]
    Refused(E),
}

/// What becomes of a connection whose client says nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is closed when the time is over.
    Refused,
    /// The look is over without a verdict: in some protocols the server speaks first.
    Accepted,
}

/// Reads until `decide`, which is given all bytes that have come so far, has a verdict.
/// They all stay in front of the stream.
///
/// Takes `timeout` at most, and [`OPENING_BYTES_MAX`] bytes. A client that has not said
/// anything is the first to go when room is needed. Gives nothing when the client stayed
/// silent and `silence` allows that.
///
/// # Errors
///
/// The client was too slow, the connection ended, or `decide` refused it.
pub async fn read_opening<T, E>(
    accepted: &mut Accepted,
    timeout: Duration,
    silence: Silence,
    mut decide: impl FnMut(&[u8]) -> Result<Option<T>, E>,
) -> Result<Option<T>, OpeningError<E>> {
    let Accepted { io, handle, .. } = accepted;
    let deadline = Deadline::new();
    deadline.arm(timeout);
    handle.mark_idle();
    let mut is_hastened = false;
    let mut bytes = BytesMut::new();
    let verdict = poll_fn(|cx| {
        while io.poll_readable(cx).is_ready() {
            // Who says nothing yet has no buffer.
            if bytes.capacity() == 0 {
                bytes = buffer::take(BufferSize::Head);
            } else if bytes.len() == bytes.capacity() {
                bytes.reserve(BufferSize::Head.bytes());
            }
            match io.poll_read_into(cx, &mut bytes) {
                Poll::Ready(Ok(0)) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Err(OpeningError::Io(end)));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(OpeningError::Io(error))),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
            match decide(&bytes) {
                Ok(None) if bytes.len() >= OPENING_BYTES_MAX => {
                    return Poll::Ready(Err(OpeningError::Late));
                }
                Ok(None) => {}
                Ok(verdict) => return Poll::Ready(Ok(verdict)),
                Err(error) => return Poll::Ready(Err(OpeningError::Refused(error))),
            }
        }
        if !is_hastened && handle.poll_leaving(cx).is_ready() {
            if handle.is_evicted() {
                return Poll::Ready(Err(OpeningError::Late));
            }
            is_hastened = true;
            deadline.arm(NEWCOMER_GRACE);
        }
        deadline.poll_elapsed(cx).map(|()| match silence {
            Silence::Accepted if bytes.is_empty() => Ok(None),
            _ => {
                limit::hit(Limit::OpeningTimeout);
                Err(OpeningError::Late)
            }
        })
    })
    .await;
    handle.mark_busy();
    if bytes.is_empty() {
        buffer::give(bytes, BufferSize::Head);
    } else {
        io.set_prefix(bytes.freeze());
    }
    verdict
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::connections::Connections;
    use crate::io::{Io, PeerAddr};
    use crate::local::block_on;

    async fn accepted(connections: &Connections) -> (TcpStream, Accepted) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (stream, peer) = listener.accept().await.unwrap();
        let accepted = Accepted {
            io: Io::from_tcp(stream),
            peer: peer.into(),
            local: PeerAddr::Unix,
            handle: connections.register(peer.into()).unwrap(),
        };
        (client.unwrap(), accepted)
    }

    fn three_bytes(bytes: &[u8]) -> Result<Option<u8>, &'static str> {
        match bytes {
            [b'!', ..] => Err("refused"),
            [_, _, third, ..] => Ok(Some(*third)),
            _ => Ok(None),
        }
    }

    #[test]
    fn what_was_looked_at_is_still_there_to_be_read() {
        block_on(async {
            let connections = Connections::new();
            let (mut client, mut accepted) = accepted(&connections).await;
            client.write_all(b"ab").await.unwrap();
            let looking = read_opening(
                &mut accepted,
                Duration::from_secs(60),
                Silence::Refused,
                three_bytes,
            );
            let (verdict, ()) = tokio::join!(looking, async {
                tokio::task::yield_now().await;
                client.write_all(b"cdef").await.unwrap();
            });
            assert_eq!(verdict.unwrap(), Some(b'c'));
            client.write_all(b"g").await.unwrap();
            client.shutdown().await.unwrap();
            let mut all = Vec::new();
            accepted.io.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"abcdefg");
        });
    }

    #[test]
    fn silence_and_dribbling_end_at_the_deadline() {
        block_on(async {
            let connections = Connections::new();
            let soon = Duration::from_millis(100);
            for (said, silence) in [
                (&b""[..], Silence::Refused),
                (b"ab", Silence::Refused),
                (b"ab", Silence::Accepted),
            ] {
                let (mut client, mut accepted) = accepted(&connections).await;
                client.write_all(said).await.unwrap();
                let begun = Instant::now();
                let verdict = read_opening(&mut accepted, soon, silence, three_bytes).await;
                assert!(matches!(verdict, Err(OpeningError::Late)));
                assert!(begun.elapsed() >= soon);
            }
            let (_client, mut accepted) = accepted(&connections).await;
            let verdict = read_opening(&mut accepted, soon, Silence::Accepted, three_bytes);
            assert_eq!(verdict.await.unwrap(), None);
        });
    }

    #[test]
    fn an_end_and_a_refusal_are_told_apart() {
        block_on(async {
            let connections = Connections::new();
            let long = Duration::from_secs(60);
            let (client, mut ended) = accepted(&connections).await;
            drop(client);
            let verdict = read_opening(&mut ended, long, Silence::Accepted, three_bytes).await;
            assert!(matches!(verdict, Err(OpeningError::Io(_))));
            let (mut client, mut refused) = accepted(&connections).await;
            client.write_all(b"!").await.unwrap();
            let verdict = read_opening(&mut refused, long, Silence::Accepted, three_bytes).await;
            assert!(matches!(verdict, Err(OpeningError::Refused("refused"))));
        });
    }
}
