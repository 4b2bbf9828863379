//! All connections of a load, served by one thread: whoever has something to read or room to
//! write has its turn, and writes once at the end of it.

use super::client::{Client, Path, Session};
use crate::interrupt;
use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};
use std::time::{Duration, Instant};
use tidegate_mqtt::codec::{Publish, QualityOfService};

/// Connections being opened at a time: fewer than any broker's backlog.
const OPENING_MAX: usize = 64;
/// How long the broker may take for what must not take long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const SCRATCH_BYTES: usize = 256 * 1024;
const EVENTS_PER_TURN: usize = 1024;
const TURN_TIMEOUT: Duration = Duration::from_millis(20);

/// Connections, numbered in the order they were opened.
#[derive(Debug)]
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    scratch: Vec<u8>,
    /// Who may have something to write.
    touched: Vec<usize>,
    /// What new connections take.
    path: Path,
}

impl Swarm {
    /// Without connections yet.
    pub(crate) fn new() -> Result<Self> {
        Self::along(Path::Wide)
    }

    /// The same; its connections take `path`.
    pub(crate) fn along(path: Path) -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("no epoll")?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            clients: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            touched: Vec::new(),
            path,
        })
    }

    /// Opens a connection for each name and waits until all are accepted. Returns the number
    /// of the first.
    pub(crate) fn connect(
        &mut self,
        port: u16,
        names: &[String],
        session: Session,
    ) -> Result<usize> {
        self.connect_and_listen(port, names, session, |_, _| Ok(()))
    }

    /// The same for sessions that may have messages at once.
    pub(crate) fn connect_and_listen(
        &mut self,
        port: u16,
        names: &[String],
        session: Session,
        mut on_message: impl FnMut(usize, &Publish) -> Result<()>,
    ) -> Result<usize> {
        let first = self.clients.len();
        for names in names.chunks(OPENING_MAX) {
            for name in names {
                let number = self.clients.len();
                let mut client = Client::open(port, self.path)?;
                self.poll.registry().register(
                    client.socket_mut(),
                    Token(number),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                client.connect(name, session)?;
                self.clients.push(client);
                self.touched.push(number);
            }
            self.settle_and_listen(&mut on_message)?;
        }
        Ok(first)
    }

    /// Subscribes one connection; [`settle`](Self::settle) waits for the answers.
    pub(crate) fn subscribe(
        &mut self,
        number: usize,
        filters: &[String],
        qos: QualityOfService,
    ) -> Result<()> {
        self.touched.push(number);
        self.clients[number].subscribe(filters, qos)
    }

    /// Waits until each CONNECT and SUBSCRIBE is answered.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.settle_and_listen(|_, _| Ok(()))
    }

    fn settle_and_listen(
        &mut self,
        mut on_message: impl FnMut(usize, &Publish) -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while !self.clients.iter().all(Client::is_settled) {
            self.turn(TURN_TIMEOUT, &mut on_message)?;
            ensure!(Instant::now() < deadline, "no answer in time");
        }
        Ok(())
    }

    /// Appends a message of one connection; it leaves with the next [`flush`](Self::flush).
    pub(crate) fn publish(
        &mut self,
        number: usize,
        topic: &str,
        qos: QualityOfService,
        payload: &[u8],
    ) -> Result<()> {
        self.touched.push(number);
        self.clients[number].publish(topic, qos, payload)
    }

    /// Has the next [`flush`](Self::flush) write what one connection still has.
    pub(crate) fn retry(&mut self, number: usize) {
        self.touched.push(number);
    }

    /// One connection.
    pub(crate) fn client(&self, number: usize) -> &Client {
        &self.clients[number]
    }

    /// Waits at most `timeout` for something to come, takes it in and answers it.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut on_message: impl FnMut(usize, &Publish) -> Result<()>,
    ) -> Result<()> {
        interrupt::check()?;
        self.flush()?;
        self.poll.poll(&mut self.events, Some(timeout))?;
        for event in &self.events {
            let Token(number) = event.token();
            let client = &mut self.clients[number];
            if event.is_readable() || event.is_read_closed() {
                client
                    .receive(&mut self.scratch, &mut |message| {
                        on_message(number, message)
                    })
                    .with_context(|| format!("connection {number}"))?;
            }
            if client.unsent_bytes() > 0 {
                self.touched.push(number);
            }
        }
        Ok(())
    }

    /// Writes what connections have to send.
    pub(crate) fn flush(&mut self) -> Result<()> {
        for number in self.touched.drain(..) {
            self.clients[number]
                .send()
                .with_context(|| format!("connection {number}"))?;
        }
        Ok(())
    }

    /// Opens connections, waits until they are accepted, and ends them.
    pub(crate) fn come_and_go(mut self, port: u16, names: &[String]) -> Result<()> {
        self.connect(port, names, Session::Clean)?;
        self.disconnect()
    }

    /// Asks for a sign of life on each connection and waits for all of them.
    pub(crate) fn ping(&mut self) -> Result<()> {
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.ping()?;
            self.touched.push(number);
        }
        self.settle()
    }

    /// Ends all connections in order.
    pub(crate) fn disconnect(mut self) -> Result<()> {
        for client in &mut self.clients {
            client.disconnect()?;
            client.send()?;
        }
        Ok(())
    }
}
