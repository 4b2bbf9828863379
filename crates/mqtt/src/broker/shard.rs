//! The cores of one broker, by number.

/// Cores that one broker may have.
pub const SHARDS_MAX: u8 = 64;

/// The number of a core, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

/// The core that a client id, or a retained topic, falls to. The same in every
/// run (FNV-1a), so that a session is found where it was.
pub fn shard_of(name: &str, count: u8) -> ShardId {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    const MIX: u64 = 0xff51_afd7_ed55_8ccd;
    let hash = name.bytes().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    // Names that differ in their last letter only differ in few bits until here.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(MIX);
    ShardId(((mixed >> 33) % u64::from(count.max(1))) as u8)
}

/// A set of cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardSet(u64);

impl ShardSet {
    /// The cores from 0 up to, not including, `count`, but for `except`.
    pub fn all_but(except: ShardId, count: u8) -> Self {
        let all = match count {
            SHARDS_MAX.. => u64::MAX,
            count => (1 << count) - 1,
        };
        Self(all & !(1 << except.0))
    }

    /// Whether no core is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `shard` is in it.
    pub fn contains(self, shard: ShardId) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    /// Adds a core.
    pub fn insert(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Takes a core out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0 &= !(1 << shard.0);
    }

    /// What is in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The cores in it, in order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let shard = left.trailing_zeros() as u8;
            (left != 0).then(|| {
                left &= left - 1;
                ShardId(shard)
            })
        })
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<T: IntoIterator<Item = ShardId>>(shards: T) -> Self {
        let mut set = Self::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_over_the_cores() {
        let mut counts = [0; 4];
        for name in 0..1_000 {
            counts[usize::from(shard_of(&format!("client-{name}"), 4).0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (150..350).contains(count)),
            "{counts:?}"
        );
        assert_eq!(shard_of("anything", 1), ShardId(0));
    }

    #[test]
    fn a_set_of_all_cores_but_one() {
        let set = ShardSet::all_but(ShardId(1), 4);
        assert_eq!(
            set.iter().map(|shard| shard.0).collect::<Vec<_>>(),
            [0, 2, 3]
        );
        assert_eq!(ShardSet::all_but(ShardId(0), 64).iter().count(), 63);
        assert!(ShardSet::all_but(ShardId(0), 1).is_empty());
    }
}
