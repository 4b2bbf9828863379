//! One worker's broker core with what it needs of the machine: the time, a deadline, and
//! the tasks of its connections.

mod crossings;
mod tasks;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tidegate_runtime::connections::{self, ConnectionHandle, Connections};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::mailbox::Reserved;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use super::chain::ClientInfo;
use super::commits::Commits;
use super::exchange::{Crossing, Exchange};
use super::gate::Gate;
use super::gathering::Gathering;
use super::generation::{Alive, Generation, keep_up};
use super::local;
use super::meter::Meter;
use super::neighbours::{Backlog, Neighbours};
use super::receipts::Receipts;
use super::settings::ServerSettings;
use crate::broker::durable::Durability;
use crate::broker::shard::{ShardId, shard_of};
use crate::broker::time::Moment;
use crate::broker::{
    self, Broker, ConnectionId, Input, Newcomers, Outgoing, Output, Parcels, Restored,
};
use crate::codec::{Publish, ReasonCode};

/// When to try again to pass on what another core's mailbox had no room for.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(20);

/// A connection's task, as the core reaches it.
#[derive(Debug, Default)]
struct Seat {
    /// The core has something for it.
    ready: bool,
    /// The task waits for that.
    awaited: bool,
    /// The task's. Kept while it runs, as it is the same one every time.
    waker: Option<Waker>,
}

/// The core of one worker.
#[derive(Debug)]
pub(super) struct Core {
    exchange: Arc<Exchange>,
    here: ShardId,
    settings: RefCell<Rc<ServerSettings>>,
    broker: RefCell<Broker>,
    seats: RefCell<Slab<Seat>>,
    neighbours: RefCell<Neighbours>,
    commits: RefCell<Commits>,
    /// Until all cores are there that have kept sessions.
    gathering: RefCell<Option<Gathering>>,
    /// Told when there is something for another core.
    courier: Rc<Notify>,
    /// Whether it has been told and has not come yet.
    courier_called: Cell<bool>,
    /// What it could not deliver.
    undelivered: Cell<Backlog>,
    deadline: Deadline,
    /// What `deadline` is armed for.
    due: Cell<Option<Moment>>,
    /// A task was woken since the running one has begun.
    woken: Cell<bool>,
    /// Everybody is sent away; what becomes of who comes.
    leaving: Cell<Option<Newcomers>>,
    /// Its clients, as all cores have been told.
    present: Cell<u64>,
    /// Whether they want the broker's own topics, as is noted for all to see.
    wants_system: Cell<bool>,
    /// What connections belong to, newest last.
    generations: RefCell<Vec<Generation>>,
    /// Told of every generation that is made.
    successors: Rc<Notify>,
    meter: Meter,
    gate: Gate,
    receipts: Receipts,
    tasks: [AbortHandle; 5],
}

impl Core {
    /// The calling worker's core with what was kept of its state, and the tasks that tell
    /// it the time and what other cores and the store say, for as long as it lives.
    pub(super) fn start(
        exchange: Arc<Exchange>,
        server: &Rc<Alive>,
        kept: Option<Restored>,
    ) -> Rc<Self> {
        let settings = Rc::clone(&server.settings);
        let here = exchange.here();
        let (receiver, incarnation) = exchange.open(here);
        let broker = make_broker(&exchange, &settings, kept);
        let (commits, progress) = Commits::new(Arc::clone(&exchange), here);
        let successors = Rc::new(Notify::new());
        let courier = Rc::new(Notify::new());
        let core = Rc::new_cyclic(|core: &Weak<Self>| Self {
            neighbours: RefCell::new(Neighbours::new(Arc::clone(&exchange), here, incarnation)),
            commits: RefCell::new(commits),
            gathering: RefCell::new(match exchange.store {
                Some(_) => Gathering::of(here, exchange.cores()),
                None => None,
            }),
            meter: Meter::new(exchange.incarnation()),
            gate: Gate::default(),
            receipts: Receipts::default(),
            exchange,
            here,
            settings: RefCell::new(settings),
            broker: RefCell::new(broker),
            seats: RefCell::default(),
            courier: Rc::clone(&courier),
            courier_called: Cell::new(false),
            undelivered: Cell::new(Backlog::None),
            deadline: Deadline::new(),
            due: Cell::new(None),
            woken: Cell::new(false),
            leaving: Cell::new(None),
            present: Cell::new(0),
            wants_system: Cell::new(false),
            generations: RefCell::new(vec![Generation {
                group: connections::being_made().unwrap_or_default(),
                server: Rc::downgrade(server),
            }]),
            successors: Rc::clone(&successors),
            tasks: [
                spawn_local(keep_up(core.clone(), successors)).abort_handle(),
                spawn_local(tasks::tick(core.clone())).abort_handle(),
                spawn_local(tasks::receive(core.clone(), receiver)).abort_handle(),
                spawn_local(tasks::hear(core.clone(), progress)).abort_handle(),
                spawn_local(tasks::deliver(core.clone(), courier)).abort_handle(),
            ],
        });
        local::note(&core.exchange, &core);
        // The one that was here before may have had other clients.
        core.exchange.system_interest.note(here, false);
        core.deliver();
        core
    }

    /// What is granted to clients that connect now.
    pub(super) fn settings(&self) -> Rc<ServerSettings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Grants something else from now on. Doing it again changes nothing.
    fn exchange_settings(&self, settings: &Rc<ServerSettings>) {
        let before = self.settings.replace(Rc::clone(settings));
        if Rc::ptr_eq(&before, settings) {
            return;
        }
        if before.broker != settings.broker {
            self.handle(Input::Limits(Box::new(settings.broker)));
        }
        if before.methods != settings.methods {
            self.handle(Input::Authenticator(settings.authenticator()));
        }
        if before.proofs != settings.proofs {
            self.handle(Input::Validity(Rc::new(settings.proofs.clone())));
        }
        if before.topics != settings.topics {
            self.handle(Input::Rules(settings.access_rules()));
        }
        self.settle();
    }

    /// A successor is made on the calling task; its connections are to be served as well.
    pub(super) fn note_successor(&self, server: &Rc<Alive>) {
        let server = Rc::downgrade(server);
        if let Some(group) = connections::being_made() {
            let mut generations = self.generations.borrow_mut();
            generations.retain(Generation::stays);
            generations.push(Generation { group, server });
            drop(generations);
            self.successors.notify_waiters();
        }
    }

    /// What a connection does that is asked to leave: it goes on under the generation that
    /// replaced its own, or, when there is none, the broker is going.
    pub(super) fn follow(&self, handle: &mut ConnectionHandle) {
        let successor = self.group();
        match successor {
            Some(group) => handle.move_to(&group),
            None if handle.is_hurried() => self.shut_down(Newcomers::Refused),
            // Another process listens at all addresses.
            None => self.shut_down(Newcomers::SeenOff),
        }
    }

    /// The newest group that stays.
    pub(super) fn group(&self) -> Option<Connections> {
        let generations = self.generations.borrow();
        let newest = generations.iter().rev().find(|it| it.stays());
        newest.map(|it| it.group.clone())
    }

    /// Puts what the newest generation that stays brings in force.
    pub(super) fn catch_up(&self) {
        let generations = self.generations.borrow();
        let newest = generations.iter().rev().find(|it| it.stays());
        let server = newest.and_then(|it| it.server.upgrade());
        drop(generations);
        if let Some(server) = server {
            self.put_in_force(&server);
        }
    }

    /// From now on what this server brings holds for everybody. Doing it again changes
    /// nothing.
    pub(super) fn put_in_force(&self, server: &Alive) {
        self.exchange_settings(&server.settings);
        self.gate.exchange(&server.extensions());
    }

    /// Whether no other server was made around this core.
    pub(super) fn has_only(&self, server: &Rc<Alive>) -> bool {
        let generations = self.generations.borrow();
        let mut others = generations.iter();
        others.all(|it| std::ptr::eq(it.server.as_ptr(), Rc::as_ptr(server)))
    }

    /// Takes over a connection that a server of another protocol accepted: it belongs to the
    /// newest generation from now on, and is granted what that one grants.
    pub(super) fn adopt(&self, handle: &mut ConnectionHandle) {
        let generations = self.generations.borrow();
        let newest = generations.iter().rev().find(|it| it.stays());
        let Some((group, server)) = newest.and_then(|it| Some((&it.group, it.server.upgrade()?)))
        else {
            return;
        };
        let group = group.clone();
        drop(generations);
        handle.move_to(&group);
        self.put_in_force(&server);
        self.reopen();
    }

    /// The core that has this client's session, if it is not this one.
    pub(super) fn home_elsewhere(&self, client_identifier: &str) -> Option<ShardId> {
        // A client without a name gets one that falls to this core.
        if client_identifier.is_empty() {
            return None;
        }
        let home = shard_of(client_identifier, self.exchange.cores());
        (home != self.here).then_some(home)
    }

    /// A place in another core's mailbox, if there is one, behind all that was said to it.
    pub(super) fn reserve(&self, shard: ShardId) -> Option<Reserved<Crossing>> {
        self.deliver();
        self.neighbours.borrow_mut().reserve(shard)
    }

    pub(super) fn now(&self) -> Moment {
        self.exchange.epoch.now()
    }

    pub(super) fn broker(&self) -> std::cell::Ref<'_, Broker> {
        self.broker.borrow()
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whose session a connection has.
    pub(super) fn client_of(&self, connection: ConnectionId) -> Option<ClientInfo> {
        let (id, identity) = self.broker.borrow().client_of(connection)?;
        Some(ClientInfo { id, identity })
    }

    /// As [`Broker::resolve_topic`].
    pub(super) fn resolve_topic(
        &self,
        connection: ConnectionId,
        packet: &mut Publish,
    ) -> Result<(), ReasonCode> {
        self.broker.borrow_mut().resolve_topic(connection, packet)
    }

    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Which core it is.
    pub(super) fn here(&self) -> ShardId {
        self.here
    }

    /// A number for a new connection.
    pub(super) fn take_seat(&self) -> ConnectionId {
        let key = self.seats.borrow_mut().insert(Seat::default());
        ConnectionId(u32::try_from(key).expect("a process has fewer than 2^32 descriptors"))
    }

    /// Tells the core of the connection's end, and frees its number.
    pub(super) fn leave_seat(&self, connection: ConnectionId) {
        self.gate.forget(connection);
        self.handle(Input::Closed { connection });
        let seat = self.seats.borrow_mut().try_remove(connection.0 as usize);
        drop(seat);
        self.settle();
    }

    /// Tells the core of something. [`settle`](Self::settle) has to follow, once for any
    /// number of calls.
    pub(super) fn handle(&self, input: Input) {
        self.broker.borrow_mut().handle(self.now(), input);
    }

    /// Says that the connection's task runs: it need not be woken.
    pub(super) fn attend(&self, connection: ConnectionId) {
        self.woken.set(false);
        if let Some(seat) = self.seats.borrow_mut().get_mut(connection.0 as usize) {
            seat.awaited = false;
        }
    }

    /// Whether there is something for this connection and for others, whose tasks were woken
    /// by the one that runs.
    pub(super) fn is_shared_out(&self, connection: ConnectionId) -> bool {
        let seats = self.seats.borrow();
        let seat = seats.get(connection.0 as usize);
        self.woken.get() && seat.is_some_and(|seat| seat.ready)
    }

    /// What the core has for a connection, if it was named ready.
    pub(super) fn next_packet(&self, connection: ConnectionId) -> Option<Outgoing> {
        let now = self.now();
        let next = self.broker.borrow_mut().next_packet(now, connection);
        if next.is_none()
            && let Some(seat) = self.seats.borrow_mut().get_mut(connection.0 as usize)
        {
            seat.ready = false;
        }
        if let Some(Outgoing::Publish(message)) = &next {
            self.gate.note_delivery(self, connection, message);
        }
        next
    }

    /// Ready while the core has something for the connection; wakes its task otherwise.
    pub(super) fn poll_ready(&self, connection: ConnectionId, cx: &Context<'_>) -> Poll<()> {
        let mut seats = self.seats.borrow_mut();
        let Some(seat) = seats.get_mut(connection.0 as usize) else {
            return Poll::Pending;
        };
        if seat.ready {
            return Poll::Ready(());
        }
        seat.awaited = true;
        if !(seat.waker.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker())) {
            seat.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Does what the core wants done. What is for other cores leaves when all tasks have run
    /// that are ready to.
    pub(super) fn settle(&self) {
        self.work_off();
        let parcels = self.broker.borrow().parcels();
        match parcels {
            Parcels::Urgent => self.deliver(),
            Parcels::Some | Parcels::Answers => self.call_courier(),
            Parcels::None if self.undelivered.get() == Backlog::Some => self.call_courier(),
            Parcels::None => {}
        }
        self.tell_all();
    }

    fn work_off(&self) {
        let commits = loop {
            self.take_outputs();
            let commits = self.commits.borrow_mut().flush();
            let restarted = self.neighbours.borrow_mut().next_restarted();
            let state = self.commits.borrow_mut().next_news();
            let news = restarted.map(Input::NeighbourRestarted).or(state);
            match news {
                Some(news) => self.handle(news),
                None => break commits,
            }
        };
        self.rearm(self.undelivered.get().and(commits));
    }

    /// Tells all cores how many clients it has, and whoever tells it the figures whether to.
    fn tell_all(&self) {
        let broker = self.broker.borrow();
        let (present, wants) = (broker.connected_count() as u64, broker.wants_system());
        drop(broker);
        let before = self.present.replace(present);
        if before != present {
            self.exchange.population.change(before, present);
        }
        if self.wants_system.replace(wants) != wants {
            self.exchange.system_interest.note(self.here, wants);
        }
    }

    fn take_outputs(&self) {
        loop {
            let output = self.broker.borrow_mut().poll_output();
            match output {
                Some(Output::Ready(connection)) => self.wake(connection),
                Some(Output::Commit(commit)) => self.commits.borrow_mut().put(commit),
                Some(Output::Published(receipt, outcome)) => {
                    self.receipts.close(receipt, outcome);
                }
                // That shows in its connections.
                Some(Output::Stopped) => {}
                None => return,
            }
        }
    }

    fn wake(&self, connection: ConnectionId) {
        let mut seats = self.seats.borrow_mut();
        let Some(seat) = seats.get_mut(connection.0 as usize) else {
            return;
        };
        seat.ready = true;
        if !std::mem::take(&mut seat.awaited) {
            return;
        }
        let waker = seat.waker.take();
        drop(seats);
        self.woken.set(true);
        // Woken outside the borrow: a waker is foreign code.
        if let Some(waker) = &waker {
            waker.wake_by_ref();
        }
        if let Some(seat) = self.seats.borrow_mut().get_mut(connection.0 as usize) {
            seat.waker = waker;
        }
    }

    fn rearm(&self, backlog: Backlog) {
        let retry = match backlog {
            Backlog::None => None,
            Backlog::Some => Some(self.now() + RETRY_AFTER),
        };
        let next = self.broker.borrow().next_deadline();
        let due = [next, retry].into_iter().flatten().min();
        if self.due.replace(due) == due {
            return;
        }
        match due {
            Some(due) => self.deadline.arm(due.since(self.now())),
            None => self.deadline.disarm(),
        }
    }

    /// Sends every client of this core away, paced by its limits. Doing it again changes
    /// nothing.
    fn shut_down(&self, newcomers: Newcomers) {
        if self.leaving.replace(Some(newcomers)) == Some(newcomers) {
            return;
        }
        self.handle(Input::Shutdown {
            reason: ReasonCode::ServerShuttingDown,
            newcomers,
        });
        self.settle();
    }

    /// Takes clients again after all have been sent away.
    pub(super) fn reopen(&self) {
        if self.leaving.take().is_some() {
            self.handle(Input::Reopen);
            self.settle();
        }
    }

    /// QoS 0 messages that another core was too slow for.
    pub(super) fn crossings_dropped(&self) -> u64 {
        self.neighbours.borrow().dropped()
    }
}

fn make_broker(exchange: &Exchange, settings: &ServerSettings, kept: Option<Restored>) -> Broker {
    let now = exchange.epoch.now();
    let durability = match exchange.store {
        Some(_) => Durability::Stored,
        None => Durability::None,
    };
    let mut broker = Broker::new(
        now,
        broker::Settings {
            shard: exchange.here(),
            shards: exchange.cores(),
            durability,
            limits: settings.broker,
            access: settings.access_rules(),
            validity: Rc::new(settings.proofs.clone()),
            authenticator: settings.authenticator(),
            seed: exchange.seed,
        },
    );
    if let Some(kept) = kept {
        broker.restore(now, kept);
    }
    broker
}

impl Drop for Core {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        // The courier comes no more. What a dying worker was saying is not to be heard.
        if !std::thread::panicking() {
            self.hand_out();
        }
        self.exchange.population.change(self.present.get(), 0);
    }
}
