//! From one message to everybody who gets it.

use std::rc::Rc;

use smallvec::SmallVec;

use super::{
    Broker,
    crossing::{Audience, CrossingNumber, ForwardedPublish, ShardContent, SharedName},
    draft::Draft,
    durable::Record,
    grant::Joined,
    handed::{Beside, HandOver, Owner},
    message::Message,
    outbox::RetainFlag,
    retained::{Change, Stamp},
    session::SessionKey,
    shard::{self, ShardId, ShardSet},
    shared::Choice,
    subscriptions::{GroupId, Matched, OwnMessages},
    time::Moment,
};
use crate::codec::QualityOfService;

/// Who a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A client of this core.
    Client(SessionKey),
    /// The broker itself.
    Broker,
    /// A client that is gone: its will.
    Will,
    /// The broker itself, and it tells each core on its own.
    System,
}

/// Whom a message has reached.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Whether anybody matched.
    pub(super) anybody: bool,
    /// Cores that have it now, by the number it went under.
    pub(super) shards: SmallVec<[(ShardId, CrossingNumber); 1]>,
}

impl Broker {
    /// Brings a message to every subscriber on every core.
    pub(super) fn route(&mut self, now: Moment, draft: &mut Draft<'_>, source: Source) -> Reached {
        let retain = draft.is_retained().then(|| {
            let stamp = self.stamps.next(now, self.crossing.me().0);
            self.retain(draft.message(), stamp);
            stamp
        });
        let matched = self.subscriptions.matched(draft.topic().as_bytes());
        let mut reached = Reached {
            anybody: !matched.targets.is_empty() || !matched.groups.is_empty(),
            ..Reached::default()
        };
        if !matched.targets.is_empty() {
            self.send_to_targets(draft.message(), source, &matched);
        }
        let is_common = matched.groups.is_empty() && retain.is_none();
        if is_common && matches!(source, Source::Client(_) | Source::Broker) {
            self.pass_on(draft, matched.shards, &mut reached);
            return reached;
        }
        let mut shared: SmallVec<[(ShardId, SharedName); 1]> = SmallVec::new();
        for group in &matched.groups {
            match source {
                Source::System => self.send_to_group_here(draft.message(), *group),
                _ => self.send_to_group(draft.message(), *group, &mut shared),
            }
        }
        if source != Source::System && self.crossing.count() > 1 {
            reached.anybody |= !matched.shards.is_empty();
            let owner = match source {
                Source::Will => Owner::Nobody,
                _ => Owner::Publisher,
            };
            reached.shards = self.send_to_shards(draft, owner, matched.shards, shared, retain);
        }
        reached
    }

    /// Brings a message to the clients of this core, each once.
    pub(super) fn send_to_targets(
        &mut self,
        message: &Rc<Message>,
        source: Source,
        matched: &Matched,
    ) {
        for target in &matched.targets {
            if source != Source::Client(target.session) || target.own == OwnMessages::Same {
                self.deliver(target.session, message, &target.joined, None);
            } else if target.own == OwnMessages::Some {
                let own = self
                    .subscriptions
                    .own_joined(message.topic().as_bytes(), target.session);
                if let Some(joined) = own {
                    self.deliver(target.session, message, &joined, None);
                }
            }
        }
    }

    /// Brings a message to one member of a group; `away` collects groups of
    /// which it is another core's turn.
    fn send_to_group(
        &mut self,
        message: &Rc<Message>,
        id: GroupId,
        away: &mut SmallVec<[(ShardId, SharedName); 1]>,
    ) {
        let sessions = &self.sessions;
        let limits = self.outbox_limits();
        let group = self.subscriptions.group_mut(id);
        let choice = group.choose(|key| sessions[key].outbox.has_room(limits));
        match choice {
            Choice::Member(member) | Choice::Offline(member) => {
                self.deliver(member.session, message, &Joined::of(member.grant), Some(id));
            }
            Choice::Shard(shard) => away.push((shard, self.shared_name(id))),
            Choice::Nobody => {}
        }
    }

    /// Brings a message that each core has to one member of a group: the first core that
    /// can does it.
    fn send_to_group_here(&mut self, message: &Rc<Message>, id: GroupId) {
        let limits = self.outbox_limits();
        let (me, sessions) = (self.crossing.me(), &self.sessions);
        let group = self.subscriptions.group_mut(id);
        if group.is_first(me)
            && let Choice::Member(member) =
                group.choose_local(|key| sessions[key].outbox.has_room(limits))
        {
            self.deliver(member.session, message, &Joined::of(member.grant), Some(id));
        }
    }

    pub(super) fn shared_name(&self, id: GroupId) -> SharedName {
        let group = self.subscriptions.group(id);
        SharedName {
            filter: self.subscriptions.index().filter(group.filter).into(),
            name: group.name.clone(),
        }
    }

    /// Passes a message to the cores where filters match, and nothing else is to be done.
    fn pass_on(&mut self, draft: &mut Draft<'_>, matching: ShardSet, reached: &mut Reached) {
        for shard in matching.iter() {
            reached.anybody = true;
            let number = self.pack(shard, draft).unwrap_or_else(|| {
                let audience = Audience::Matching(Vec::new());
                self.forward(shard, draft, audience, None)
            });
            reached.shards.push((shard, number));
        }
    }

    /// Passes a message on as most are: short, and for everybody whose filters match.
    fn pack(&mut self, shard: ShardId, draft: &Draft<'_>) -> Option<CrossingNumber> {
        let outline = draft.outline();
        let is_packed = self.joint.is_none() && self.keeping.is_none() && outline.is_short();
        is_packed.then(|| {
            self.counters.forwarded += 1;
            self.crossing.pack(shard, &outline)
        })
    }

    /// Passes a message to the cores that want it.
    fn send_to_shards(
        &mut self,
        draft: &mut Draft<'_>,
        owner: Owner,
        matching: ShardSet,
        mut shared: SmallVec<[(ShardId, SharedName); 1]>,
        retain: Option<Stamp>,
    ) -> SmallVec<[(ShardId, CrossingNumber); 1]> {
        let mut reached = SmallVec::new();
        let mut wanted = matching;
        for (shard, _) in &shared {
            wanted.insert(*shard);
        }
        if retain.is_some() {
            wanted = ShardSet::all_but(self.crossing.me(), self.crossing.count());
        }
        for shard in wanted.iter() {
            let mut names = Vec::new();
            shared.retain(|(chosen, name)| {
                let here = *chosen == shard;
                if here {
                    names.push(name.clone());
                }
                !here
            });
            let beside = match matching.contains(shard) {
                true => Beside::Matching,
                false => Beside::Nobody,
            };
            // All cores have what is retained, so that one that died gets it anyway. What is
            // for those whose filters match is its publisher's until it is taken.
            let has_owner = names.is_empty() && owner == Owner::Publisher;
            let number = match (beside, draft.qos()) {
                (Beside::Nobody, _) if names.is_empty() => {
                    self.forward(shard, draft, Audience::Retained, retain)
                }
                (_, qos) if has_owner || qos == QualityOfService::AtMostOnce => {
                    self.forward(shard, draft, Audience::Matching(names), retain)
                }
                _ => {
                    let hand_over = HandOver {
                        message: Rc::clone(draft.message()),
                        beside,
                        groups: names,
                        retain,
                        owner,
                        placings: 0,
                    };
                    self.forward_kept(shard, hand_over)
                }
            };
            reached.push((shard, number));
        }
        reached
    }

    /// Passes a message to one other core.
    pub(super) fn forward(
        &mut self,
        shard: ShardId,
        draft: &mut Draft<'_>,
        audience: Audience,
        retain: Option<Stamp>,
    ) -> CrossingNumber {
        self.counters.forwarded += 1;
        let forwarded = ForwardedPublish {
            message: draft.message().parts().clone(),
            audience,
            retain,
            joint: self.joint,
            run: self.keeping,
        };
        self.say(shard, ShardContent::Publish(Box::new(forwarded)))
    }

    /// Sends a numbered message to another core.
    pub(super) fn say(&mut self, shard: ShardId, content: ShardContent) -> CrossingNumber {
        self.crossing.say(shard, content)
    }

    /// Keeps or removes the retained message of a topic (3.3.1-5, 3.3.1-6).
    pub(super) fn retain(&mut self, message: &Rc<Message>, stamp: Stamp) {
        self.stamps.saw(stamp);
        let topic = message.topic().as_str();
        // Of all cores that keep it, the one the topic falls to has it stored.
        let stored = shard::shard_of(topic, self.crossing.count()) == self.crossing.me();
        let stored = stored && !topic.starts_with('$');
        if message.payload().is_empty() {
            if self.retained.remove(topic, stamp) == Change::Made && stored {
                self.journal.write(Record::RetainedDrop(topic.into()));
            }
            return;
        }
        match self
            .retained
            .set(topic, stamp, Rc::clone(message), message.bytes())
        {
            Change::Made if stored => {
                self.journal
                    .write(Record::RetainedPut(stamp, Rc::clone(message)));
            }
            Change::Full(_) => self.counters.retained_exceeded += 1,
            Change::Made | Change::Stale => {}
        }
    }

    /// The RETAIN flag of a forwarded message (3.3.1-12, 3.3.1-13).
    pub(super) fn retain_flag(message: &Message, joined: &Joined) -> RetainFlag {
        use super::grant::RetainAs;
        match (message.is_retained(), joined.retain) {
            (true, RetainAs::Published) => RetainFlag::Set,
            _ => RetainFlag::Clear,
        }
    }

    /// The QoS of a forwarded message (3.8.4-8).
    pub(super) fn delivery_qos(message: &Message, joined: &Joined) -> QualityOfService {
        message.qos().min(joined.qos)
    }
}
