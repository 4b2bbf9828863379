//! One shared subscription: a group of clients of which each message goes to
//! one (section 4.8.2).

use super::{
    grant::Grant,
    session::SessionKey,
    shard::{ShardId, ShardSet},
    topics::FilterId,
};

/// A client in a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) session: SessionKey,
    pub(super) grant: Grant,
}

/// How many members another core has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) shard: ShardId,
    pub(super) online: u32,
    pub(super) members: u32,
}

/// Who gets a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// A client of this core that is connected.
    Member(Member),
    /// Another core, which chooses among its own.
    Shard(ShardId),
    /// Nobody is connected: a client of this core keeps it until somebody is.
    Offline(Member),
    /// There is nobody here.
    Nobody,
}

/// The clients that share a filter under one name.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    pub(super) filter: FilterId,
    /// The ones that are connected come first.
    members: Vec<Member>,
    online: usize,
    elsewhere: Vec<Elsewhere>,
    turn: usize,
}

impl Group {
    pub(super) fn new(name: &str, filter: FilterId) -> Self {
        Self {
            name: name.into(),
            filter,
            members: Vec::new(),
            online: 0,
            elsewhere: Vec::new(),
            turn: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.elsewhere.is_empty()
    }

    /// Connected members here, and all members here.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.online as u32, self.members.len() as u32)
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The members here that are not connected.
    pub(super) fn offline(&self) -> &[Member] {
        &self.members[self.online..]
    }

    /// Whether it has members on any of these cores.
    pub(super) fn is_among(&self, shards: ShardSet) -> bool {
        self.elsewhere.iter().any(|it| shards.contains(it.shard))
    }

    /// Whether somebody anywhere could take a message now.
    pub(super) fn is_served(&self) -> bool {
        self.online > 0 || self.elsewhere.iter().any(|there| there.online > 0)
    }

    /// Adds a connected member, or changes what it was granted. Returns what
    /// was granted before.
    pub(super) fn join(&mut self, member: Member) -> Option<Grant> {
        if let Some(at) = self.position(member.session) {
            return Some(std::mem::replace(&mut self.members[at].grant, member.grant));
        }
        self.members.push(member);
        self.set_online(member.session);
        None
    }

    pub(super) fn leave(&mut self, session: SessionKey) -> bool {
        self.set_offline(session);
        let Some(at) = self.position(session) else {
            return false;
        };
        self.members.swap_remove(at);
        true
    }

    pub(super) fn set_online(&mut self, session: SessionKey) {
        if let Some(at) = self.position(session).filter(|at| *at >= self.online) {
            self.members.swap(at, self.online);
            self.online += 1;
        }
    }

    pub(super) fn set_offline(&mut self, session: SessionKey) {
        if let Some(at) = self.position(session).filter(|at| *at < self.online) {
            self.online -= 1;
            self.members.swap(at, self.online);
        }
    }

    fn position(&self, session: SessionKey) -> Option<usize> {
        self.members
            .iter()
            .position(|member| member.session == session)
    }

    /// Takes notice of the members on another core.
    pub(super) fn set_elsewhere(&mut self, there: Elsewhere) {
        self.elsewhere.retain(|known| known.shard != there.shard);
        if there.members > 0 {
            self.elsewhere.push(there);
        }
    }

    /// The members on another core have no connection any more.
    pub(super) fn set_away_offline(&mut self, shard: ShardId) {
        for there in self.elsewhere.iter_mut().filter(|it| it.shard == shard) {
            there.online = 0;
        }
    }

    /// Whether `me` is the first core of all that have a connected member.
    pub(super) fn is_first(&self, me: ShardId) -> bool {
        let is_behind = |there: &Elsewhere| there.online == 0 || there.shard > me;
        self.online > 0 && self.elsewhere.iter().all(is_behind)
    }

    /// Whose turn it is. Connected members everywhere take turns alike; one
    /// here that `can_take` refuses is passed over while another can. With
    /// nobody connected, a member that is not keeps the message.
    pub(super) fn choose(&mut self, can_take: impl Fn(SessionKey) -> bool) -> Choice {
        let away: usize = self
            .elsewhere
            .iter()
            .map(|there| there.online as usize)
            .sum();
        let all = away + self.online;
        if all == 0 {
            return match self.elsewhere.first() {
                Some(there) if self.members.is_empty() => Choice::Shard(there.shard),
                _ => self.choose_local(can_take),
            };
        }
        self.turn = (self.turn + 1) % all;
        if self.turn < away {
            return Choice::Shard(self.shard_of_turn());
        }
        Choice::Member(Self::pick(
            &self.members[..self.online],
            self.turn - away,
            can_take,
        ))
    }

    /// As [`choose`](Self::choose), among the members of this core.
    pub(super) fn choose_local(&mut self, can_take: impl Fn(SessionKey) -> bool) -> Choice {
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        match (self.online, self.members.len()) {
            (0, 0) => Choice::Nobody,
            (0, all) => Choice::Offline(Self::pick(&self.members, turn % all, can_take)),
            (online, _) => {
                Choice::Member(Self::pick(&self.members[..online], turn % online, can_take))
            }
        }
    }

    /// The first from `start` on that can take it; if none can, that at `start`.
    fn pick(members: &[Member], start: usize, can_take: impl Fn(SessionKey) -> bool) -> Member {
        let (before, from) = members.split_at(start);
        *from
            .iter()
            .chain(before)
            .find(|member| can_take(member.session))
            .unwrap_or(&members[start])
    }

    /// The core on which the `self.turn`th member elsewhere is.
    fn shard_of_turn(&self) -> ShardId {
        let mut left = self.turn;
        for there in &self.elsewhere {
            if left < there.online as usize {
                return there.shard;
            }
            left -= there.online as usize;
        }
        unreachable!("a turn below the sum falls to one of its parts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::{
            grant::{Echo, RetainAs},
            topics::FilterIndex,
        },
        codec::QualityOfService,
    };

    fn group(members: u32) -> Group {
        let filter = FilterIndex::default().insert("a");
        let mut group = Group::new("g", filter);
        for session in 0..members {
            group.join(member(session));
        }
        group
    }

    fn member(session: u32) -> Member {
        Member {
            session: SessionKey(session),
            grant: Grant {
                qos: QualityOfService::AtLeastOnce,
                retain: RetainAs::Cleared,
                echo: Echo::Local,
                identifier: None,
            },
        }
    }

    fn turns(group: &mut Group, times: usize, busy: Option<u32>) -> Vec<u32> {
        let mut turns = vec![0; 8];
        for _ in 0..times {
            match group.choose(|session| Some(session.0) != busy) {
                Choice::Member(member) => turns[member.session.0 as usize] += 1,
                Choice::Shard(shard) => turns[shard.0 as usize] += 1,
                Choice::Offline(member) => turns[4 + member.session.0 as usize] += 1,
                Choice::Nobody => turns[7] += 1,
            }
        }
        turns
    }

    #[test]
    fn members_take_equal_turns() {
        assert_eq!(turns(&mut group(3), 30, None)[..3], [10, 10, 10]);
    }

    #[test]
    fn members_on_other_cores_weigh_as_much() {
        let mut group = group(2);
        group.set_elsewhere(Elsewhere {
            shard: ShardId(4),
            online: 2,
            members: 3,
        });
        assert_eq!(turns(&mut group, 40, None)[..5], [10, 10, 0, 0, 20]);
    }

    #[test]
    fn a_busy_member_is_passed_over_and_an_offline_one_left_out() {
        let mut group = group(3);
        group.set_offline(SessionKey(0));
        assert_eq!(turns(&mut group, 10, Some(1))[..3], [0, 0, 10]);
        group.set_offline(SessionKey(2));
        assert_eq!(turns(&mut group, 10, Some(1))[..3], [0, 10, 0]);
        group.set_offline(SessionKey(1));
        assert_eq!(turns(&mut group, 9, None)[4..], [3, 3, 3, 0]);
        group.set_online(SessionKey(0));
        assert!(group.leave(SessionKey(1)));
        assert_eq!(turns(&mut group, 10, None)[0], 10);
        assert_eq!(group.counts(), (1, 2));
    }

    #[test]
    fn messages_wait_where_the_members_are() {
        let mut group = group(0);
        assert_eq!(turns(&mut group, 3, None)[7], 3);
        group.set_elsewhere(Elsewhere {
            shard: ShardId(2),
            online: 0,
            members: 1,
        });
        assert_eq!(turns(&mut group, 3, None)[2], 3);
    }
}
