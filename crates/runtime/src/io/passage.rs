//! A connection on its way from one worker to another, with its TLS session, its WebSocket
//! and the bytes read ahead: between the two it belongs to no event loop.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::{Io, Socket, Stream};

/// A connection that no worker serves. Dropping it closes it.
#[derive(Debug)]
pub struct Passage(Io);

/// A socket that is registered with no event loop: nothing can be read or written.
#[derive(Debug)]
pub struct ParkedSocket(Option<StdSocket>);

#[derive(Debug)]
enum StdSocket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Io {
    /// Takes the connection off this worker's event loop.
    ///
    /// # Errors
    ///
    /// The event loop does not let go of the socket; the connection is lost.
    pub fn depart(mut self) -> io::Result<Passage> {
        let socket = self.socket_mut();
        let nowhere = Socket::Parked(ParkedSocket(None));
        let parked = match std::mem::replace(socket, nowhere) {
            Socket::Tcp(stream) => ParkedSocket(Some(StdSocket::Tcp(stream.into_std()?))),
            Socket::Unix(stream) => ParkedSocket(Some(StdSocket::Unix(stream.into_std()?))),
            Socket::Parked(parked) => parked,
        };
        *socket = Socket::Parked(parked);
        Ok(Passage(self))
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match &mut self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_mut().0,
            Stream::WebSocket(stream) => stream.carrier_mut().socket_mut(),
        }
    }
}

impl Passage {
    /// Puts the connection onto the calling worker's event loop.
    ///
    /// # Errors
    ///
    /// The event loop does not take the socket; the connection is lost.
    pub fn arrive(self) -> io::Result<Io> {
        let Self(mut io) = self;
        let socket = io.socket_mut();
        if let Socket::Parked(ParkedSocket(parked)) = socket {
            match parked.take() {
                Some(StdSocket::Tcp(stream)) => *socket = Socket::Tcp(TcpStream::from_std(stream)?),
                Some(StdSocket::Unix(stream)) => {
                    *socket = Socket::Unix(UnixStream::from_std(stream)?);
                }
                None => return Err(unregistered()),
            }
        }
        Ok(io)
    }
}

fn unregistered() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the connection is between two workers",
    )
}

impl AsyncRead for ParkedSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(unregistered()))
    }
}

impl AsyncWrite for ParkedSocket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(unregistered()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(unregistered()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(unregistered()))
    }
}

// What it is for.
const _: () = {
    const fn crosses_threads<T: Send>() {}
    crosses_threads::<Passage>();
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::local::block_on;

    #[test]
    fn a_connection_goes_on_in_another_thread_with_what_was_read_ahead() {
        let (passage, mut far) = block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap());
            let (near, far) = (near.await.unwrap(), listener.accept().await.unwrap().0);
            let near = Io::from_tcp(near).with_prefix(Bytes::from_static(b"one "));
            (near.depart().unwrap(), far.into_std().unwrap())
        });
        let there = std::thread::Builder::new().spawn(move || {
            block_on(async {
                let mut io = passage.arrive().unwrap();
                io.write_all(b"here").await.unwrap();
                let mut read = [0; 7];
                io.read_exact(&mut read).await.unwrap();
                read
            })
        });
        far.set_nonblocking(false).unwrap();
        io::Write::write_all(&mut far, b"two").unwrap();
        let mut read = [0; 4];
        io::Read::read_exact(&mut far, &mut read).unwrap();
        assert_eq!(&read, b"here");
        assert_eq!(&there.unwrap().join().unwrap(), b"one two");
    }
}
