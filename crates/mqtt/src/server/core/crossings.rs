//! What comes from other cores: their messages, and connections whose clients are at home
//! here.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::Core;
use crate::broker::shard::ShardId;
use crate::broker::{Input, Parcels};
use crate::server::exchange::{Crossing, Incarnation, Moved};
use crate::server::gathering::Gathering;
use crate::server::link::Link;
use crate::server::neighbours::Meeting;
use crate::server::serving::Serving;

impl Core {
    /// Has the courier come, behind all tasks that are ready to run.
    pub(super) fn call_courier(&self) {
        if !self.courier_called.replace(true) {
            self.courier.notify_one();
        }
    }

    /// Sends all that is for other cores, and does what comes of that.
    pub(super) fn deliver(&self) {
        self.hand_out();
        self.work_off();
        // Whoever is in the place of another is told everything.
        if self.broker().parcels() >= Parcels::Some {
            self.call_courier();
        }
    }

    /// Sends all that is for other cores.
    pub(super) fn hand_out(&self) {
        let mut neighbours = self.neighbours.borrow_mut();
        let mut broker = self.broker.borrow_mut();
        while let Some((to, parcel)) = broker.poll_parcel() {
            neighbours.put(to, parcel);
        }
        self.undelivered.set(neighbours.flush());
    }

    pub(super) fn cross(self: &Rc<Self>, crossing: Crossing) {
        match crossing {
            Crossing::Parcel {
                from,
                incarnation,
                parcel,
            } => {
                if self.meet(from, incarnation) != Meeting::Gone {
                    self.handle(Input::Shard { from, parcel });
                }
            }
            Crossing::Connection(moved) => self.arrived(*moved),
            Crossing::Visit(visit) => visit.make(self),
            Crossing::Greeting { from, incarnation } => {
                if self.meet(from, incarnation) != Meeting::Gone {
                    self.greeted_by(from);
                }
            }
        }
    }

    fn arrived(self: &Rc<Self>, moved: Moved) {
        if let Some(gathering) = &mut *self.gathering.borrow_mut() {
            gathering.keep(moved);
            return;
        }
        self.welcome(moved);
    }

    fn meet(&self, from: ShardId, incarnation: Incarnation) -> Meeting {
        let meeting = self.neighbours.borrow_mut().meet(from, incarnation);
        if meeting == Meeting::Restarted {
            self.handle(Input::NeighbourRestarted(from));
        }
        meeting
    }

    fn greeted_by(self: &Rc<Self>, from: ShardId) {
        let gathering = {
            let mut gathering = self.gathering.borrow_mut();
            gathering.take_if(|gathering| gathering.greeted_by(from))
        };
        for moved in gathering.into_iter().flat_map(Gathering::end) {
            self.welcome(moved);
        }
    }

    /// Ready once clients may be served.
    pub(in crate::server) fn poll_gathered(&self, cx: &Context<'_>) -> Poll<()> {
        match &mut *self.gathering.borrow_mut() {
            Some(gathering) => gathering.poll(cx),
            None => Poll::Ready(()),
        }
    }

    fn welcome(self: &Rc<Self>, moved: Moved) {
        // Where everybody leaves, the newcomer is told so like the others.
        let newest = || Some(self.generations.borrow().last()?.group.clone());
        let Some(group) = self.group().or_else(newest) else {
            return;
        };
        group.spawn(moved.peer, None, |handle| {
            Serving::arrived(Link::arrive(self, moved, handle))
        });
    }
}
