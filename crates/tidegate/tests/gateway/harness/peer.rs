//! One end of a connection with the gateway, as a client or as an origin: raw
//! bytes out, strictly parsed messages in, every wait with a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::SockRef;

use super::DEADLINE;
use super::message::{Framing, Head, Message, field};

/// A stream a peer can be made of.
pub(crate) trait Stream: Read + Write + Send {
    /// Says that nothing more is sent.
    fn finish(&mut self);
    /// The socket below.
    fn socket(&self) -> SockRef<'_>;
}

impl Stream for TcpStream {
    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Stream for UnixStream {
    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: it finished sending.
    Finished,
    /// By a reset, or for TLS by going without a word.
    Broken,
}

/// One end of a connection.
pub(crate) struct Peer {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
}

impl Peer {
    /// A peer over `stream`.
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        let socket = stream.socket();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream: Box::new(stream),
            input: Vec::new(),
        }
    }

    /// A client of the gateway at `address`.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }

    /// A client of the gateway at a Unix socket.
    #[track_caller]
    pub(crate) fn connect_unix(path: &Path) -> Self {
        Self::new(UnixStream::connect(path).unwrap())
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes as they are to somebody who may have gone.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Sends as much as the socket takes within its time limit.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Says that nothing more is sent.
    pub(crate) fn finish(&mut self) {
        self.stream.finish();
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        let socket = self.stream.socket();
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// The socket, for its options.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        self.stream.socket()
    }

    /// Whether anything comes within `time`: bytes, the end or a reset.
    pub(crate) fn is_readable(&mut self, time: std::time::Duration) -> bool {
        self.socket().set_read_timeout(Some(time)).unwrap();
        let mut piece = [std::mem::MaybeUninit::uninit()];
        let peeked = self.socket().peek(&mut piece);
        self.socket().set_read_timeout(Some(DEADLINE)).unwrap();
        !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads some more; zero at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let got = String::from_utf8_lossy(&self.input);
                    panic!("nothing came in time after {got:?}");
                }
                Ok(count) => {
                    self.input.extend_from_slice(&piece[..count]);
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads up to and with `end`; `None` if the connection ends before.
    #[track_caller]
    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.input[from..]
                .windows(end.len())
                .position(|it| it == end);
            if let Some(at) = found {
                return Some(self.input.drain(..from + at + end.len()).collect());
            }
            from = self.input.len().saturating_sub(end.len());
            if !self.fill().is_ok_and(|count| count > 0) {
                return None;
            }
        }
    }

    /// Reads exactly so many bytes; `None` if the connection ends before.
    #[track_caller]
    pub(crate) fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.input.len() < count {
            if !self.fill().is_ok_and(|count| count > 0) {
                return None;
            }
        }
        Some(self.input.drain(..count).collect())
    }

    /// Reads a head; `None` if the connection ends before.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Option<Head> {
        self.until(b"\r\n\r\n").map(|block| Head::parse(&block))
    }

    /// Reads a body; `None` if the connection ends, or breaks, before it does.
    #[track_caller]
    pub(crate) fn body(&mut self, head: Head, framing: Framing) -> Option<Message> {
        let mut message = Message {
            head,
            ..Message::default()
        };
        match framing {
            Framing::None => {}
            Framing::Length(length) => message.body = self.exactly(length)?,
            Framing::Chunked => self.chunks(&mut message)?,
            Framing::UntilEnd => {
                let (body, end) = self.rest();
                if end == End::Broken {
                    return None;
                }
                message.body = body;
            }
        }
        Some(message)
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let line = self.until(b"\r\n")?;
            let size = String::from_utf8(line).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16)
                .unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
            if size == 0 {
                break;
            }
            message.body.extend(self.exactly(size)?);
            assert_eq!(self.exactly(2)?, b"\r\n", "a chunk longer than its size");
        }
        loop {
            let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
            match line.trim_end() {
                "" => return Some(()),
                line => message.trailers.push(field(line)),
            }
        }
    }

    /// Reads a whole request; `None` if the connection ends before it does.
    #[track_caller]
    pub(crate) fn request(&mut self) -> Option<Message> {
        let head = self.head()?;
        let framing = head.framing(None);
        self.body(head, framing)
    }

    /// Reads the whole response to a request with `method`; `None` if it is cut short.
    #[track_caller]
    pub(crate) fn try_reply_to(&mut self, method: &str) -> Option<Message> {
        let head = self.head()?;
        let framing = head.framing(Some(method));
        self.body(head, framing)
    }

    /// Reads the whole response to a request with `method`.
    #[track_caller]
    pub(crate) fn reply_to(&mut self, method: &str) -> Message {
        self.try_reply_to(method).expect("a whole response")
    }

    /// Reads the whole response to a `GET`.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Message {
        self.reply_to("GET")
    }

    /// Sends a request and reads its whole response.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        let method = request
            .split(|&byte| byte == b' ')
            .next()
            .unwrap_or_default();
        self.send(request);
        self.reply_to(&String::from_utf8_lossy(method))
    }

    /// Reads and forgets `count` bytes; false if the connection ends before.
    pub(crate) fn skip(&mut self, mut count: usize) -> bool {
        loop {
            let taken = count.min(self.input.len());
            self.input.drain(..taken);
            count -= taken;
            if count == 0 {
                return true;
            }
            if !self.fill().is_ok_and(|count| count > 0) {
                return false;
            }
        }
    }

    /// Reads all that still comes, and how it ends.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            match self.fill() {
                Ok(0) => break End::Finished,
                Ok(_) => {}
                Err(_) => break End::Broken,
            }
        };
        (std::mem::take(&mut self.input), end)
    }

    /// Waits for the end of the connection, before which nothing may come.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> End {
        let (rest, end) = self.rest();
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
        end
    }
}
