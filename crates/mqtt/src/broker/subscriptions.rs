//! Who subscribes to what, and which cores want what: the table that a
//! published topic is looked up in.
//!
//! A filter is held once, whoever uses it: its local subscribers, the groups
//! that share it, and the other cores that want its messages.

mod cache;
mod interest;
mod joined;

use std::rc::Rc;

use slab::Slab;
use smallvec::SmallVec;

use self::cache::MatchCache;
pub(super) use self::interest::InterestChange;
use super::{
    grant::{Grant, Joined},
    session::SessionKey,
    shard::{ShardId, ShardSet},
    shared::{Elsewhere, Group, Member},
    system::is_system,
    topics::{FilterId, FilterIndex, has_wildcard},
};

/// The number of a [`Group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) u32);

/// One client's subscription, held at its filter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscriber {
    pub(super) session: SessionKey,
    pub(super) grant: Grant,
}

/// Everybody interested in one filter.
#[derive(Debug, Default)]
struct Interested {
    subscribers: SmallVec<[Subscriber; 1]>,
    /// Most filters have no group: a thin pointer in place of an empty list.
    #[allow(
        clippy::box_collection,
        reason = "a list of three words would double the entry"
    )]
    groups: Option<Box<Vec<GroupId>>>,
    shards: ShardSet,
}

impl Interested {
    fn is_nobody(&self) -> bool {
        self.subscribers.is_empty() && self.groups.is_none() && self.shards.is_empty()
    }
}

/// What one client gets of a topic.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) session: SessionKey,
    pub(super) joined: Joined,
    pub(super) own: OwnMessages,
}

/// Whether a target gets what it publishes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnMessages {
    /// As anybody's.
    Same,
    /// Not at all: every matching subscription is No Local.
    None,
    /// By some of the matching subscriptions only; ask
    /// [`Subscriptions::own_joined`].
    Some,
}

/// Everything that matches one topic name.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// Clients of this core, each once.
    pub(super) targets: Vec<Target>,
    /// Shared subscriptions.
    pub(super) groups: Vec<GroupId>,
    /// Other cores with subscribers that are not in a group.
    pub(super) shards: ShardSet,
}

/// Where a subscription stands in its filter's list: the session keeps it, so
/// that ending it needs no search.
pub(super) type Position = u32;

/// What [`Subscriptions::remove`] moved: the last subscriber into the gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) session: SessionKey,
    pub(super) to: Position,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    index: FilterIndex,
    interested: Vec<Interested>,
    groups: Slab<Group>,
    cache: MatchCache,
    found: Vec<FilterId>,
    changes: Vec<InterestChange>,
    /// Other cores that are to hear of changes.
    others: u8,
    /// Filters and groups with members here that ask for the broker's own topics.
    system: usize,
}

impl Subscriptions {
    /// An empty table; `others`: how many other cores hear of what it wants.
    pub(super) fn new(others: u8) -> Self {
        Self {
            others,
            ..Self::default()
        }
    }

    fn tell(&mut self, change: impl FnOnce(&Self) -> InterestChange) {
        if self.others > 0 {
            let change = change(self);
            self.changes.push(change);
        }
    }

    pub(super) fn index(&self) -> &FilterIndex {
        &self.index
    }

    pub(super) fn group(&self, id: GroupId) -> &Group {
        &self.groups[id.0 as usize]
    }

    pub(super) fn group_mut(&mut self, id: GroupId) -> &mut Group {
        &mut self.groups[id.0 as usize]
    }

    fn enter(&mut self, filter: &str) -> FilterId {
        let id = self.index.insert(filter);
        if self.interested.len() <= id.index() {
            self.interested
                .resize_with(id.index() + 1, Interested::default);
        }
        id
    }

    fn drop_if_unused(&mut self, id: FilterId) {
        if self.interested[id.index()].is_nobody() {
            self.index.remove(id);
        }
    }

    fn changed(&mut self, id: FilterId) {
        let filter = self.index.filter(id);
        self.cache.invalidate(filter, has_wildcard(filter));
    }

    /// Adds a subscription that its client does not have yet.
    pub(super) fn add(&mut self, filter: &str, subscriber: Subscriber) -> (FilterId, Position) {
        let id = self.enter(filter);
        let subscribers = &mut self.interested[id.index()].subscribers;
        let position = subscribers.len() as Position;
        subscribers.push(subscriber);
        if position == 0 {
            self.system += usize::from(is_system(filter));
            self.tell(|_| InterestChange::Wanted(filter.into()));
        }
        self.changed(id);
        (id, position)
    }

    /// Changes what a subscription grants.
    pub(super) fn replace(&mut self, id: FilterId, position: Position, grant: Grant) {
        self.interested[id.index()].subscribers[position as usize].grant = grant;
        self.changed(id);
    }

    pub(super) fn grant(&self, id: FilterId, position: Position) -> Grant {
        self.interested[id.index()].subscribers[position as usize].grant
    }

    /// Ends a subscription.
    pub(super) fn remove(&mut self, id: FilterId, position: Position) -> Option<Moved> {
        self.changed(id);
        let subscribers = &mut self.interested[id.index()].subscribers;
        subscribers.swap_remove(position as usize);
        let moved = subscribers.get(position as usize).map(|moved| Moved {
            session: moved.session,
            to: position,
        });
        if subscribers.is_empty() {
            subscribers.shrink_to_fit();
            self.system -= usize::from(is_system(self.index.filter(id)));
            self.tell(|table| InterestChange::Unwanted(table.index.filter(id).into()));
            self.drop_if_unused(id);
        }
        moved
    }

    pub(super) fn has_group(&self, id: GroupId) -> bool {
        self.groups.contains(id.0 as usize)
    }

    pub(super) fn find_group(&self, filter: &str, name: &str) -> Option<GroupId> {
        let id = self.index.get(filter.as_bytes())?;
        let groups = self.interested[id.index()].groups.as_ref()?;
        groups
            .iter()
            .copied()
            .find(|group| &*self.group(*group).name == name)
    }

    fn enter_group(&mut self, filter: &str, name: &str) -> GroupId {
        if let Some(group) = self.find_group(filter, name) {
            return group;
        }
        let id = self.enter(filter);
        let group = GroupId(self.groups.insert(Group::new(name, id)) as u32);
        self.interested[id.index()]
            .groups
            .get_or_insert_default()
            .push(group);
        self.changed(id);
        group
    }

    fn drop_group_if_empty(&mut self, group: GroupId) {
        if !self.group(group).is_empty() {
            return;
        }
        let id = self.groups.remove(group.0 as usize).filter;
        self.changed(id);
        let interested = &mut self.interested[id.index()];
        if let Some(groups) = &mut interested.groups {
            groups.retain(|other| *other != group);
            if groups.is_empty() {
                interested.groups = None;
            }
        }
        self.drop_if_unused(id);
    }

    /// Adds a connected client to a group, or changes its grant there.
    pub(super) fn join(
        &mut self,
        filter: &str,
        name: &str,
        member: Member,
    ) -> (GroupId, Option<Grant>) {
        let group = self.enter_group(filter, name);
        let before = self.group_mut(group).join(member);
        if before.is_none() {
            if self.group(group).counts().1 == 1 {
                self.system += usize::from(is_system(filter));
            }
            self.group_changed(group);
        }
        (group, before)
    }

    /// Takes a client out of a group; the group ends with its last member.
    pub(super) fn leave(&mut self, group: GroupId, session: SessionKey) {
        if self.group_mut(group).leave(session) {
            if self.group(group).members().is_empty() {
                let filter = self.index.filter(self.group(group).filter);
                self.system -= usize::from(is_system(filter));
            }
            self.group_changed(group);
            self.drop_group_if_empty(group);
        }
    }

    /// Tells the group that a member's connection has come.
    pub(super) fn set_online(&mut self, group: GroupId, session: SessionKey) {
        self.group_mut(group).set_online(session);
        self.group_changed(group);
    }

    /// Tells the group that a member's connection has gone.
    pub(super) fn set_offline(&mut self, group: GroupId, session: SessionKey) {
        self.group_mut(group).set_offline(session);
        self.group_changed(group);
    }

    /// The group that `name` shares `filter` in.
    pub(super) fn find_member_group(
        &self,
        filter: &str,
        name: &str,
        session: SessionKey,
    ) -> Option<GroupId> {
        let group = self.find_group(filter, name)?;
        let is_member = |member: &Member| member.session == session;
        self.group(group)
            .members()
            .iter()
            .any(is_member)
            .then_some(group)
    }

    /// What matches `topic`: remembered, or worked out and remembered.
    pub(super) fn matched(&mut self, topic: &[u8]) -> Rc<Matched> {
        if let Some(matched) = self.cache.get(topic) {
            return matched;
        }
        let mut found = std::mem::take(&mut self.found);
        self.index.matches(topic, &mut found);
        let matched = Rc::new(self.join_all(&found));
        found.clear();
        self.found = found;
        self.cache.insert(topic, Rc::clone(&matched));
        matched
    }

    /// Takes in what another core wants.
    pub(super) fn apply(&mut self, shard: ShardId, change: &InterestChange) -> Option<GroupId> {
        match change {
            InterestChange::Wanted(filter) => {
                let id = self.enter(filter);
                self.interested[id.index()].shards.insert(shard);
                self.changed(id);
                None
            }
            InterestChange::Unwanted(filter) => {
                let id = self.index.get(filter.as_bytes())?;
                self.changed(id);
                self.interested[id.index()].shards.remove(shard);
                self.drop_if_unused(id);
                None
            }
            InterestChange::Group {
                filter,
                name,
                online,
                members,
            } => {
                let group = self.enter_group(filter, name);
                self.group_mut(group).set_elsewhere(Elsewhere {
                    shard,
                    online: *online,
                    members: *members,
                });
                self.drop_group_if_empty(group);
                self.groups.contains(group.0 as usize).then_some(group)
            }
        }
    }

    /// Another core wants nothing any longer.
    pub(super) fn forget(&mut self, shard: ShardId) {
        for id in self.index.ids() {
            if self.interested[id.index()].shards.contains(shard) {
                self.changed(id);
                self.interested[id.index()].shards.remove(shard);
                self.drop_if_unused(id);
            }
        }
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|(key, _)| GroupId(key as u32))
            .collect();
        for group in groups {
            self.group_mut(group).set_elsewhere(Elsewhere {
                shard,
                online: 0,
                members: 0,
            });
            self.drop_group_if_empty(group);
        }
    }

    /// The members that another core has have no connection any more.
    pub(super) fn set_away_offline(&mut self, shard: ShardId) {
        for (_, group) in &mut self.groups {
            group.set_away_offline(shard);
        }
    }

    /// Everything that subscribers here want, as a core is told that knows nothing.
    pub(super) fn wanted_here(&self) -> Vec<InterestChange> {
        let wanted = self.index.ids().into_iter().filter_map(|id| {
            let is_wanted = !self.interested[id.index()].subscribers.is_empty();
            is_wanted.then(|| InterestChange::Wanted(self.index.filter(id).into()))
        });
        let groups = self
            .groups
            .iter()
            .map(|(_, group)| self.group_interest(group));
        wanted.chain(groups).collect()
    }

    /// Whether somebody here asks for the broker's own topics.
    pub(super) fn wants_system(&self) -> bool {
        self.system > 0
    }

    /// The next change that other cores must hear of.
    pub(super) fn take_changes(&mut self) -> Vec<InterestChange> {
        std::mem::take(&mut self.changes)
    }

    fn group_changed(&mut self, id: GroupId) {
        // Who joins and is not there must not seem to be there for a moment: messages would
        // be handed over for that.
        let group = self.group(id);
        let filter = self.index.filter(group.filter);
        let is_same = |last: &InterestChange| {
            matches!(last, InterestChange::Group { filter: it, name, .. }
                if **it == *filter && *name == group.name)
        };
        if self.changes.last().is_some_and(is_same) {
            self.changes.pop();
        }
        self.tell(|table| table.group_interest(table.group(id)));
    }

    fn group_interest(&self, group: &Group) -> InterestChange {
        let (online, members) = group.counts();
        InterestChange::Group {
            filter: self.index.filter(group.filter).into(),
            name: group.name.clone(),
            online,
            members,
        }
    }
}

#[cfg(test)]
mod tests;
