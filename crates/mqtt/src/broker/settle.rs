//! After each input: what the store and other cores have taken is let go, and
//! what changed here is told to the other cores.

use super::{
    Broker, ConnectionId,
    crossing::ShardContent,
    durable::{Record, Token},
    held::Until,
    link::Told,
    output::Output,
    reply::Reply,
    route::Reached,
    session::{Kept, SessionKey},
    shard::ShardSet,
};
use crate::codec::PacketIdentifier;

impl Broker {
    /// The store has `token`.
    pub(super) fn committed(&mut self, token: Token) {
        self.journal.commit(token);
        self.release_replies();
        self.release_receipts();
        self.send_committed();
    }

    /// The store could not take `token` yet: what waits for it is refused.
    pub(super) fn commit_failed(&mut self, token: Token) {
        for key in self.holding.clone() {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let Some(link) = &mut session.link else {
                continue;
            };
            let refused = link.replies.fail(token);
            self.not_received(key, refused);
        }
        self.fail_receipts(token);
        self.release_replies();
    }

    /// A refused message was not received: it may come again under its
    /// identifier and is then a new one (4.3.3-9).
    pub(super) fn not_received(&mut self, key: SessionKey, refused: Vec<PacketIdentifier>) {
        let session = &mut self.sessions[key];
        for packet_id in refused {
            session.inbox.remove(packet_id);
            if session.kept == Kept::InStore {
                self.journal
                    .write(Record::ReceivedDrop(session.number, packet_id));
            }
        }
    }

    /// Lets go of replies of any connection that no longer wait.
    pub(super) fn release_replies(&mut self) {
        let mut holding = std::mem::take(&mut self.holding);
        holding.retain(|key| {
            let committed = self.journal.committed();
            let Some(link) = self
                .sessions
                .get_mut(*key)
                .and_then(|session| session.link.as_mut())
            else {
                return false;
            };
            let released = link.replies.release(committed, &self.crossing);
            let holds = link.replies.is_holding();
            if released {
                self.tell(*key);
            }
            holds
        });
        self.holding = holding;
    }

    /// Queues a reply that waits for what `reached` and the journal say.
    pub(super) fn reply(&mut self, key: SessionKey, reply: Reply, until: Until) {
        let committed = self.journal.committed();
        let Some(link) = &mut self.sessions[key].link else {
            return;
        };
        let is_now = until.is_now(committed, &self.crossing);
        let was_holding = link.replies.is_holding();
        link.replies.push(reply, until, is_now);
        if !link.replies.is_holding() {
            self.tell(key);
        } else if !was_holding {
            self.holding.push(key);
        }
    }

    /// Queues a reply that waits for nothing, not even its turn.
    pub(super) fn reply_now(&mut self, key: SessionKey, reply: Reply) {
        if let Some(link) = &mut self.sessions[key].link {
            link.replies.push_now(reply);
            self.tell(key);
        }
    }

    /// What an acknowledgement given now must wait for: the cores that were
    /// reached, and the store if anything was written.
    pub(super) fn until(&self, reached: Reached, wrote: bool) -> Until {
        Until {
            stored: match wrote {
                true => self.journal.latest(),
                false => Token::default(),
            },
            taken: reached.shards,
        }
    }

    /// Says once that there are replies to be sent.
    pub(super) fn tell(&mut self, key: SessionKey) {
        if let Some(link) = &mut self.sessions[key].link
            && link.told == Told::No
        {
            link.told = Told::Yes;
            self.outputs.push_back(Output::Ready(link.connection));
        }
    }

    pub(super) fn tell_connection(&mut self, connection: ConnectionId) {
        self.outputs.push_back(Output::Ready(connection));
    }

    /// Tells the other cores what has changed.
    pub(super) fn settle(&mut self) {
        self.tell_interest();
        self.settle_system();
        self.settle_shutdown();
        self.settle_fullness();
    }

    /// Tells the other cores what subscribers here want.
    pub(super) fn tell_interest(&mut self) {
        let changes = self.subscriptions.take_changes();
        if changes.is_empty() {
            return;
        }
        let others = ShardSet::all_but(self.crossing.me(), self.crossing.count());
        self.interest_told.clear();
        for shard in others.iter() {
            for change in &changes {
                let number = self.say(shard, ShardContent::Interest(change.clone()));
                self.interest_told.retain(|(told, _)| *told != shard);
                self.interest_told.push((shard, number));
            }
        }
    }

    /// What the other cores must have taken before it is true that all know
    /// what subscribers here want; a filter told for an earlier subscriber
    /// may be on its way still.
    pub(super) fn all_know(&mut self) -> Reached {
        self.tell_interest();
        Reached {
            anybody: false,
            shards: self.interest_told.clone(),
        }
    }
}
