//! One connection: bytes to packets to the core, and back.
//!
//! Packets are read and written many at a time, in buffers that are held only while there
//! is something in them. The link knows no session; whatever a packet means, the
//! core says. What it does say by itself is what comes before a session: that the client
//! takes too long, speaks another version, or may not come in.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tidegate_runtime::connections::{Accepted, ConnectionHandle, NEWCOMER_GRACE};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::{Io, PeerAddr};
use tidegate_runtime::mailbox::Reserved;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use super::admit::{self, Admission, Asking};
use super::core::{Core, RETRY_AFTER};
use super::exchange::{Crossing, Moved};
use super::inbox::{Expected, Inbox};
use super::send_queue::SendQueue;
use super::settings::ServerSettings;
use crate::broker::access::Identity;
use crate::broker::shard::ShardId;
use crate::broker::{ConnectOrigin, ConnectionId, Input, Outgoing};
use crate::codec::{
    Connect, ConnectAck, ConnectAckProperties, DecodeError, Decoder, Encoder, PACKET_BYTES_LARGEST,
    Packet, ProtocolVersion, ReasonCode,
};

/// How many times a link reads before it writes and others have their turn.
const READS_PER_TURN: usize = 4;

/// Encoded bytes beyond which no more packets are taken from the core: what one buffer has
/// room for with one more small packet, or it would be held twice as large for each client
/// that does not read.
const SEND_BYTES_MAX: usize = 56 * 1024;

/// How often a connection asks for a place at the core where its client is at home, with
/// [`RETRY_AFTER`] between: two seconds, in which a worker that has died is there again.
const PLACE_TRIES_MAX: u32 = 100;

/// Why a connection ended otherwise than the protocol has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The client sent no CONNECT in time.
    #[error("no CONNECT came in time")]
    ConnectTimeout,
    /// The client took its last packets too slowly.
    #[error("the client did not read to the end in time")]
    CloseTimeout,
    /// The client broke the protocol before it was connected.
    #[error("{0}")]
    Protocol(#[from] DecodeError),
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// CONNECT has not come.
    New,
    /// As before, and everybody is to leave: there is a moment left for it to come.
    Late,
    /// Who sent CONNECT is being found out; what came behind it waits.
    Asking,
    /// The core has it.
    Open,
    /// What is queued is written, then the end.
    Flushing,
    /// The end was written; the client's is awaited, so that what it still sends does not
    /// make the kernel throw our last packets away.
    Lingering,
}

/// A connection's number at the core, given back with it.
pub(super) struct Seat {
    pub(super) core: Rc<Core>,
    pub(super) connection: ConnectionId,
}

impl Seat {
    pub(super) fn take(core: &Rc<Core>) -> Self {
        Self {
            core: Rc::clone(core),
            connection: core.take_seat(),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.leave_seat(self.connection);
    }
}

/// How a connection's life on this worker ends.
pub(super) enum Ended {
    Closed,
    /// Its client is at home on another core.
    Moves(Box<Departure>),
}

/// A connection that is to go to another core.
pub(super) struct Departure {
    connect: Box<Connect>,
    rest: Bytes,
    home: ShardId,
}

/// A connection being served.
pub(super) struct Link {
    seat: Seat,
    io: Io,
    peer: PeerAddr,
    handle: ConnectionHandle,
    /// To the worker that accepted the connection, if that was another; cut when it lets
    /// the connection go.
    tie: Option<oneshot::Sender<()>>,
    settings: Rc<ServerSettings>,
    decoder: Decoder,
    encoder: Encoder,
    inbox: Inbox,
    expected: Expected,
    queue: SendQueue,
    deadline: Deadline,
    phase: Phase,
    /// Others have gone first.
    deferred: bool,
    departure: Option<Box<Departure>>,
    asking: Option<Box<Asking>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("connection", &self.seat.connection)
            .field("peer", &self.peer)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A connection that this worker accepted.
    pub(super) fn new(core: &Rc<Core>, accepted: Accepted) -> Self {
        let Accepted {
            io, peer, handle, ..
        } = accepted;
        // Until its CONNECT a connection may have to make room for another.
        handle.mark_idle();
        let link = Self::of(core, io, peer, handle);
        link.deadline.arm(link.settings.connect_timeout);
        link
    }

    /// A connection that another worker accepted, with its CONNECT.
    pub(super) fn arrive(
        core: &Rc<Core>,
        moved: Moved,
        handle: ConnectionHandle,
    ) -> io::Result<Self> {
        let io = moved.passage.arrive()?.with_prefix(moved.rest);
        let mut link = Self::of(core, io, moved.peer, handle);
        link.tie = Some(moved.tie);
        link.decoder = Decoder::server_after(&moved.connect, link.settings.broker.packet_bytes);
        link.admit(moved.connect);
        Ok(link)
    }

    fn of(core: &Rc<Core>, io: Io, peer: PeerAddr, handle: ConnectionHandle) -> Self {
        let settings = core.settings();
        Self {
            seat: Seat::take(core),
            io,
            peer,
            handle,
            tie: None,
            decoder: Decoder::server(settings.connect_packet_bytes),
            settings,
            encoder: Encoder::new(ProtocolVersion::V5, PACKET_BYTES_LARGEST),
            inbox: Inbox::default(),
            expected: Expected::default(),
            queue: SendQueue::default(),
            deadline: Deadline::new(),
            phase: Phase::New,
            deferred: false,
            departure: None,
            asking: None,
        }
    }

    /// Sends the connection to its core, and keeps its place here until it ends there. It waits
    /// for a place there, but not for ever.
    pub(super) async fn depart(mut self, departure: Departure) -> Result<(), LinkError> {
        let Some(to) = self.place_at(departure.home).await else {
            self.speak_as(&departure.connect);
            self.refuse_connect(ReasonCode::ServerBusy);
            return poll_fn(|cx| self.poll(cx)).await.map(drop);
        };
        let Self {
            seat,
            io,
            peer,
            mut handle,
            ..
        } = self;
        let core = Rc::clone(&seat.core);
        drop(seat);
        handle.mark_busy();
        let (tie, mut ended) = oneshot::channel();
        to.send(Crossing::Connection(Box::new(Moved {
            passage: io.depart()?,
            peer,
            connect: departure.connect,
            rest: departure.rest,
            tie,
        })));
        poll_fn(|cx| {
            if handle.poll_draining(cx).is_ready() {
                core.follow(&mut handle);
                // Asks again under the group that it belongs to now.
                let _ = handle.poll_draining(cx);
            }
            Pin::new(&mut ended).poll(cx)
        })
        .await
        // It never says anything: its end is what is awaited.
        .or(Ok(()))
    }

    /// A place in the mailbox of another core.
    async fn place_at(&self, home: ShardId) -> Option<Reserved<Crossing>> {
        for _ in 1..PLACE_TRIES_MAX {
            if let Some(place) = self.seat.core.reserve(home) {
                return Some(place);
            }
            self.deadline.arm(RETRY_AFTER);
            poll_fn(|cx| self.deadline.poll_elapsed(cx)).await;
        }
        self.seat.core.reserve(home)
    }

    /// Serves the connection until it ends on this worker.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ended, LinkError>> {
        self.seat.core.attend(self.seat.connection);
        if self.poll_place(cx).is_ready() {
            return Poll::Ready(Ok(Ended::Closed));
        }
        if self.deadline.poll_elapsed(cx).is_ready() {
            match self.phase {
                Phase::New => return Poll::Ready(Err(LinkError::ConnectTimeout)),
                Phase::Late => self.finish(),
                Phase::Asking => {
                    self.asking = None;
                    self.refuse_connect(ReasonCode::ServerUnavailable);
                }
                Phase::Lingering => return Poll::Ready(Ok(Ended::Closed)),
                Phase::Open | Phase::Flushing => {
                    return Poll::Ready(Err(LinkError::CloseTimeout));
                }
            }
        }
        let is_new = matches!(self.phase, Phase::New | Phase::Late);
        if is_new && self.seat.core.poll_gathered(cx).is_pending() {
            return Poll::Pending;
        }
        let read = self.poll_receive(cx)?;
        self.poll_admitted(cx)?;
        if let Some(departure) = self.departure.take() {
            return Poll::Ready(Ok(Ended::Moves(departure)));
        }
        if read == Received::End {
            return Poll::Ready(Ok(Ended::Closed));
        }
        if self.lets_others_go_first() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(Err(error)) = self.poll_transmit(cx) {
            return Poll::Ready(Err(error.into()));
        }
        if read == Received::More {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Messages go to their receivers before acknowledgements go to the sender, who only
    /// waits for leave to send more. Once: the sender's turn comes next, whatever it sends.
    fn lets_others_go_first(&mut self) -> bool {
        self.deferred = !self.deferred && self.seat.core.is_shared_out(self.seat.connection);
        self.deferred
    }

    /// Ready when the connection has no place any more.
    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(tie) = &mut self.tie
            && tie.poll_closed(cx).is_ready()
        {
            return Poll::Ready(());
        }
        if self.handle.poll_leaving(cx).is_ready() && self.is_unknown() {
            self.finish();
        }
        if self.handle.poll_draining(cx).is_ready() && !self.handle.is_evicted() {
            self.seat.core.follow(&mut self.handle);
            // Asks again under the group that it belongs to now.
            if self.handle.poll_draining(cx).is_ready() && self.phase == Phase::New {
                // Its client connected in good faith and may be about to say who it is.
                self.phase = Phase::Late;
                self.deadline.arm(NEWCOMER_GRACE);
            }
        }
        Poll::Pending
    }

    /// Whether the core has yet to hear of it.
    const fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Late | Phase::Asking)
    }

    /// Goes on with a client once it is known who it is.
    fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        let Phase::Asking = self.phase else {
            return Ok(());
        };
        let asking = self.asking.as_mut().map(|asking| asking.poll(cx));
        let Some(Poll::Ready((connect, admitted))) = asking else {
            return Ok(());
        };
        self.asking = None;
        self.admitted(connect, admitted);
        // What it sent in the meantime was not read.
        cx.waker().wake_by_ref();
        let mut behind = self.inbox.open(self.expected);
        let understood = self.take_packets(&mut behind);
        self.inbox.close(behind, &self.decoder, &mut self.expected);
        understood
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<Received, LinkError> {
        if self.phase == Phase::Asking {
            return Ok(Received::All);
        }
        for _ in 0..READS_PER_TURN {
            let gate = self.seat.core.gate();
            if gate.poll_open(self.seat.connection, cx).is_pending() {
                return Ok(Received::All);
            }
            match self.io.poll_readable(cx) {
                Poll::Pending => return Ok(Received::All),
                Poll::Ready(result) => result?,
            }
            let mut bytes = self.inbox.open(self.expected);
            let read = self.io.poll_read_into(cx, &mut bytes);
            if let Poll::Ready(Ok(count @ 1..)) = read {
                self.seat.core.meter().count_received(count);
                let understood = self.take_packets(&mut bytes);
                self.inbox.close(bytes, &self.decoder, &mut self.expected);
                understood?;
            } else {
                self.inbox.close(bytes, &self.decoder, &mut self.expected);
            }
            match read {
                Poll::Pending => return Ok(Received::All),
                Poll::Ready(Ok(0)) => return Ok(Received::End),
                Poll::Ready(result) => drop(result?),
            }
        }
        Ok(Received::More)
    }

    /// Hands all whole packets to the core.
    fn take_packets(&mut self, bytes: &mut BytesMut) -> Result<(), LinkError> {
        let result = loop {
            if matches!(self.phase, Phase::Flushing | Phase::Lingering) {
                bytes.clear();
                break Ok(());
            }
            match self.decoder.decode(bytes) {
                Ok(Some(Packet::Connect(packet))) => self.connect(packet, bytes),
                Ok(Some(packet)) => self.seat.core.take_in(Input::Packet {
                    connection: self.seat.connection,
                    packet,
                }),
                Ok(None) => break Ok(()),
                Err(error) => {
                    bytes.clear();
                    break self.refuse_bytes(error);
                }
            }
            if self.departure.is_some() || self.phase == Phase::Asking {
                break Ok(());
            }
        };
        self.seat.core.settle();
        result
    }

    fn connect(&mut self, packet: Box<Connect>, behind: &mut BytesMut) {
        let core = &self.seat.core;
        let Some(home) = core.home_elsewhere(packet.client_identifier.as_str()) else {
            self.decoder
                .set_packet_bytes_max(self.settings.broker.packet_bytes);
            self.admit(packet);
            return;
        };
        self.departure = Some(Box::new(Departure {
            connect: packet,
            rest: behind.split().freeze(),
            home,
        }));
    }

    /// Answers in the client's version, within the size it takes.
    fn speak_as(&mut self, packet: &Connect) {
        let packet_bytes_max = packet
            .properties
            .packet_bytes_max
            .map_or(PACKET_BYTES_LARGEST, |bytes| bytes.get());
        self.encoder = Encoder::new(packet.version, packet_bytes_max);
    }

    /// Lets a client in whose session is, or will be, here. The core has to be settled.
    fn admit(&mut self, packet: Box<Connect>) {
        self.speak_as(&packet);
        self.handle.mark_busy();
        match admit::ask(&self.settings, self.peer, &self.io, &packet) {
            Admission::Now(admitted) => self.admitted(packet, admitted),
            Admission::Later(admission) => {
                self.deadline.arm(self.settings.connect_timeout);
                self.phase = Phase::Asking;
                self.asking = Some(Box::new(Asking::new(packet, admission)));
            }
        }
    }

    fn admitted(&mut self, packet: Box<Connect>, admitted: Result<Identity, ReasonCode>) {
        self.deadline.disarm();
        self.phase = Phase::Open;
        match admitted {
            Ok(identity) => self.seat.core.take_in(Input::Connect {
                connection: self.seat.connection,
                packet,
                origin: ConnectOrigin { identity },
            }),
            Err(reason) => self.refuse_connect(reason),
        }
    }

    /// The client sent what is no packet, or not one that it may send.
    fn refuse_bytes(&mut self, error: DecodeError) -> Result<(), LinkError> {
        if self.phase == Phase::Open {
            self.seat.core.take_in(Input::Malformed {
                connection: self.seat.connection,
                reason: error.reason_code(),
            });
            return Ok(());
        }
        let DecodeError::ProtocolVersion { level } = error else {
            return Err(error.into());
        };
        // MQTT-3.1.2-2. A client of an older version cannot read the answer of a newer.
        let version = match level {
            0..5 => ProtocolVersion::V311,
            _ => ProtocolVersion::V5,
        };
        self.encoder = Encoder::new(version, PACKET_BYTES_LARGEST);
        self.refuse_connect(error.reason_code());
        Ok(())
    }

    fn refuse_connect(&mut self, reason: ReasonCode) {
        self.put_packet(&Packet::ConnectAck(Box::new(ConnectAck {
            session_present: false,
            reason,
            properties: ConnectAckProperties::default(),
        })));
        self.finish();
    }

    fn finish(&mut self) {
        self.phase = Phase::Flushing;
        self.deadline.arm(self.settings.close_timeout);
    }

    /// Writes what the core has, and the end when there is to be no more. Ready when it
    /// is all written.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.fill_queue(cx);
            if self.queue.is_empty() {
                break;
            }
            let before = self.queue.bytes();
            let sent = self.queue.poll_send(&mut self.io, cx);
            let written = before - self.queue.bytes();
            self.seat.core.meter().count_sent(written);
            ready!(sent)?;
        }
        if self.io.has_unsent() {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        if self.phase == Phase::Flushing {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.phase = Phase::Lingering;
            self.deadline.arm(self.settings.linger);
            // Registers the task for the new deadline and for the client's end.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes packets from the core while there are some and there is room.
    fn fill_queue(&mut self, cx: &Context<'_>) {
        let connection = self.seat.connection;
        while self.phase == Phase::Open && self.queue.bytes() < SEND_BYTES_MAX {
            if self.seat.core.poll_ready(connection, cx).is_pending() {
                return;
            }
            match self.seat.core.next_packet(connection) {
                None => {}
                Some(Outgoing::Packet(packet)) => self.put_packet(&packet),
                Some(Outgoing::Publish(publish)) => {
                    let version = self.encoder.version();
                    let written = self.queue.put(|out| publish.write_head(version, out));
                    if written.is_ok() {
                        self.queue.put_payload(publish.message().payload());
                    }
                }
                Some(Outgoing::Close) => self.finish(),
            }
        }
    }

    fn put_packet(&mut self, packet: &Packet) {
        if let Packet::ConnectAck(ack) = packet
            && ack.reason.is_failure()
        {
            self.seat.core.meter().count_refused(ack.reason);
        }
        // What cannot be said to this client is left out: DISCONNECT in MQTT 3.1.1, and
        // what is larger than it takes (MQTT-3.1.2-25).
        let _ = self.queue.put(|out| self.encoder.encode(packet, out));
    }
}

/// What a turn of reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// There is nothing more to read now.
    All,
    /// There may be more.
    More,
    /// The client has finished sending.
    End,
}
