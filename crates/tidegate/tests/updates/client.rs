//! A plain HTTP/1.1 client that takes every word of the gateway seriously.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::DEADLINE;

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) body: String,
}

/// One connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(tcp(address)?))
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.try_get(path, "").unwrap()
    }

    pub(crate) fn try_get(&mut self, path: &str, fields: &str) -> io::Result<Reply> {
        self.send(path, fields)?;
        self.reply()
    }

    /// Sends a request; `fields` end with CRLF each.
    pub(crate) fn send(&mut self, path: &str, fields: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n{fields}\r\n");
        self.stream.write_all(request.as_bytes())?;
        self.stream.flush()
    }

    /// Reads a response. The end of the stream before its end is an error.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let (status, closes, length) = self.head()?;
        while self.unread.len() < length {
            self.read_more()?;
        }
        let body = self.unread.drain(..length).collect();
        Ok(Reply {
            status,
            closes,
            body: String::from_utf8(body).unwrap(),
        })
    }

    /// Reads a response's head: status, whether the connection closes, length of the body.
    pub(crate) fn head(&mut self) -> io::Result<(u16, bool, usize)> {
        let end = loop {
            let found = self.unread.windows(4).position(|it| it == b"\r\n\r\n");
            match found {
                Some(at) => break at + 4,
                None => self.read_more()?,
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value);
            values.next()
        };
        let status = head[9..12].parse().unwrap();
        let closes = field("connection") == Some("close");
        let length = field("content-length").map_or(0, |length| length.parse().unwrap());
        Ok((status, closes, length))
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.read_more()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// Waits for the end of the stream; true if it came in order and without a byte more.
    pub(crate) fn ends(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    try_get(address, path).unwrap()
}

pub(crate) fn try_get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    Client::try_connect(address)?.try_get(path, "connection: close\r\n")
}
