//! A trie over the levels of wildcard filters.

use slab::Slab;
use smallvec::SmallVec;

use super::{
    edges::Edges,
    index::FilterId,
    levels::{LevelId, Levels},
};

/// No node, no level.
const NONE: u32 = u32::MAX;

/// Levels of a topic name kept without an allocation; deeper ones allocate.
const LEVELS_INLINE: usize = 16;

#[derive(Debug)]
struct Node {
    parent: u32,
    /// The level on the edge from the parent; `NONE` for `+`.
    level: u32,
    /// The child by `+`.
    plus: u32,
    /// Children, `plus` included.
    children: u32,
    /// The filter that ends here.
    filter: Option<FilterId>,
    /// The filter that ends in `#` below here.
    rest: Option<FilterId>,
}

impl Node {
    fn new(parent: u32, level: u32) -> Self {
        Self {
            parent,
            level,
            plus: NONE,
            children: 0,
            filter: None,
            rest: None,
        }
    }

    fn is_unused(&self) -> bool {
        self.children == 0 && self.filter.is_none() && self.rest.is_none()
    }
}

#[derive(Debug)]
pub(super) struct Trie {
    nodes: Slab<Node>,
    edges: Edges,
    levels: Levels,
    root: u32,
}

impl Default for Trie {
    fn default() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(NONE, NONE)) as u32;
        Self {
            nodes,
            edges: Edges::default(),
            levels: Levels::default(),
            root,
        }
    }
}

impl Trie {
    /// Whether no filter is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[self.root as usize].is_unused()
    }

    /// Puts a filter in; the node returned takes it out again.
    pub(super) fn insert(&mut self, filter: &[u8], id: FilterId) -> u32 {
        let mut at = self.root;
        for level in filter.split(|byte| *byte == b'/') {
            match level {
                b"#" => {
                    self.nodes[at as usize].rest = Some(id);
                    return at;
                }
                b"+" => at = self.plus_child(at),
                name => at = self.named_child(at, name),
            }
        }
        self.nodes[at as usize].filter = Some(id);
        at
    }

    fn plus_child(&mut self, at: u32) -> u32 {
        let plus = self.nodes[at as usize].plus;
        if plus != NONE {
            return plus;
        }
        let child = self.add(at, NONE);
        self.nodes[at as usize].plus = child;
        child
    }

    fn named_child(&mut self, at: u32, name: &[u8]) -> u32 {
        if let Some(level) = self.levels.get(name)
            && let Some(child) = self.edges.get(at, level)
        {
            return child;
        }
        let level = self.levels.acquire(name);
        let child = self.add(at, level.0);
        self.edges.insert(at, level, child);
        child
    }

    fn add(&mut self, parent: u32, level: u32) -> u32 {
        self.nodes[parent as usize].children += 1;
        u32::try_from(self.nodes.insert(Node::new(parent, level))).expect("nodes outnumber memory")
    }

    /// Takes out the filter that `insert` put at `node`, and every node that
    /// nothing else needs.
    pub(super) fn remove(&mut self, node: u32, id: FilterId) {
        let mut at = node;
        let place = &mut self.nodes[at as usize];
        if place.rest == Some(id) {
            place.rest = None;
        } else {
            place.filter = None;
        }
        while at != self.root && self.nodes[at as usize].is_unused() {
            let gone = self.nodes.remove(at as usize);
            let parent = &mut self.nodes[gone.parent as usize];
            parent.children -= 1;
            if gone.level == NONE {
                parent.plus = NONE;
            } else {
                let level = LevelId(gone.level);
                self.edges.remove(gone.parent, level);
                self.levels.release(level);
            }
            at = gone.parent;
        }
    }

    /// Adds every filter that `topic` matches to `found`, each once.
    pub(super) fn matches(&self, topic: &[u8], found: &mut Vec<FilterId>) {
        let levels: SmallVec<[Option<LevelId>; LEVELS_INLINE]> = topic
            .split(|byte| *byte == b'/')
            .map(|level| self.levels.get(level))
            .collect();
        let reserved = topic.starts_with(b"$");
        let mut paths: SmallVec<[(u32, usize); LEVELS_INLINE]> = SmallVec::new();
        paths.push((self.root, 0));
        while let Some((at, depth)) = paths.pop() {
            let node = &self.nodes[at as usize];
            // A leading wildcard does not match a topic that begins with `$` (4.7.2-1).
            let wildcards = !(reserved && depth == 0);
            if wildcards && let Some(rest) = node.rest {
                found.push(rest);
            }
            let Some(level) = levels.get(depth) else {
                found.extend(node.filter);
                continue;
            };
            if wildcards && node.plus != NONE {
                paths.push((node.plus, depth + 1));
            }
            if let Some(level) = *level
                && let Some(child) = self.edges.get(at, level)
            {
                paths.push((child, depth + 1));
            }
        }
    }

    /// Nodes, edges and levels in use.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.edges.len(), self.levels.len())
    }
}
