//! The paths that rules look at, as a tree, so that one walk over an event finds all their values.

use guard_domain::{FieldPath, PathStep};
use std::collections::BTreeMap;

use super::text_table::{TextTable, TextWords};

/// The number of a path: where its value is kept.
pub(super) type SlotId = u32;
/// The number of a node; the root is 0.
pub(super) type NodeId = u32;

/// The distinct paths of a rule set.
#[derive(Debug, Default)]
pub(super) struct PathTree {
    nodes: Vec<Node>,
    slots: u32,
}

/// A place in an event at which a path ends or goes on.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The path that ends here.
    pub(super) slot: Option<SlotId>,
    keys: TextTable,
    /// The elements that paths go on to, by index.
    elements: Vec<(usize, NodeId)>,
    /// All nodes below, for forgetting them when a key is repeated.
    children: Vec<NodeId>,
}

impl Node {
    /// Whether paths go on to members of an object.
    pub(super) fn has_members(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether paths go on to elements of an array.
    pub(super) fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    /// The node of a member; `words` are those of `key`.
    #[inline(always)]
    pub(super) fn member(&self, words: TextWords, key: &[u8]) -> Option<NodeId> {
        self.keys.find(words, || key)
    }

    /// The node of an element.
    pub(super) fn element(&self, index: usize) -> Option<NodeId> {
        let found = self.elements.iter().find(|(known, _)| *known == index);
        found.map(|(_, node)| *node)
    }

    /// The nodes one step below.
    pub(super) fn children(&self) -> &[NodeId] {
        &self.children
    }
}

impl PathTree {
    /// Makes a tree of paths, and tells the slot of each, in the order given; equal paths have one.
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a FieldPath>) -> (Self, Vec<SlotId>) {
        let mut draft = vec![Draft::default()];
        let mut slots = 0;
        let ids = paths
            .into_iter()
            .map(|path| insert(&mut draft, &mut slots, path))
            .collect();
        let nodes = draft.into_iter().map(Draft::finish).collect();
        (Self { nodes, slots }, ids)
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn slot_count(&self) -> usize {
        self.slots as usize
    }
}

/// A node while paths are added.
#[derive(Default)]
struct Draft<'a> {
    slot: Option<SlotId>,
    keys: BTreeMap<&'a str, NodeId>,
    elements: BTreeMap<usize, NodeId>,
}

fn insert<'a>(nodes: &mut Vec<Draft<'a>>, slots: &mut u32, path: &'a FieldPath) -> SlotId {
    let mut at = 0;
    for step in path.steps() {
        let next = NodeId::try_from(nodes.len()).unwrap_or(NodeId::MAX);
        let Some(node) = nodes.get_mut(at) else { break };
        let child = match step {
            PathStep::Key(key) => *node.keys.entry(key).or_insert(next),
            PathStep::Index(index) => *node.elements.entry(*index).or_insert(next),
        };
        if child == next {
            nodes.push(Draft::default());
        }
        at = child as usize;
    }
    let slot = nodes.get_mut(at).map(|node| {
        *node.slot.get_or_insert_with(|| {
            *slots += 1;
            *slots - 1
        })
    });
    slot.unwrap_or(SlotId::MAX)
}

impl Draft<'_> {
    fn finish(self) -> Node {
        let children = self.keys.values().chain(self.elements.values());
        Node {
            slot: self.slot,
            children: children.copied().collect(),
            keys: TextTable::new(self.keys),
            elements: self.elements.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(tree: &PathTree, keys: &[&str]) -> Option<SlotId> {
        let node = keys.iter().try_fold(0, |at, key| {
            let node = tree.node(at)?;
            node.member(TextWords::of(key.as_bytes()), key.as_bytes())
        })?;
        tree.node(node)?.slot
    }

    #[test]
    fn each_path_has_one_slot() {
        let texts = [
            "context.a",
            "context.ab",
            "context.a.b",
            "context.a",
            "context.abcdefghi",
            "context.abcdefghj",
        ];
        let paths: Vec<_> = texts
            .iter()
            .map(|text| FieldPath::parse(text).unwrap())
            .collect();
        let (tree, slots) = PathTree::new(&paths);
        assert_eq!(slots, [0, 1, 2, 0, 3, 4]);
        assert_eq!(find(&tree, &["context", "ab"]), Some(1));
        assert_eq!(find(&tree, &["context", "a", "b"]), Some(2));
        assert_eq!(find(&tree, &["context", "abcdefghj"]), Some(4));
        assert_eq!(find(&tree, &["context", "abcdefgh"]), None);
        assert_eq!(find(&tree, &["context"]), None);
    }

    #[test]
    fn many_keys_are_all_found() {
        let paths: Vec<_> = (0..3000)
            .map(|i| FieldPath::parse(&format!("context.k{i}")).unwrap())
            .collect();
        let (tree, slots) = PathTree::new(&paths);
        for (i, slot) in slots.iter().enumerate() {
            assert_eq!(find(&tree, &["context", &format!("k{i}")]), Some(*slot));
        }
    }

    #[test]
    fn elements_are_found_by_index() {
        let path = FieldPath::parse("context.m[2]").unwrap();
        let (tree, _) = PathTree::new([&path]);
        let array = tree.node(2).unwrap();
        assert!(array.has_elements() && !array.has_members());
        assert_eq!(array.element(2), Some(3));
        assert_eq!(array.element(1), None);
    }
}
