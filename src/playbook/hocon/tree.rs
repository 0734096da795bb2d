//! All that is written, in order, by key: the stage between the syntax trees of files and the value.
//!
//! A field keeps every value that was written to it, since a later one may refer to an earlier one.

use std::sync::Arc;

use super::located::{Located, Pos};
use super::small_map::SmallMap;

/// An object of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObjectId(u32);

impl ObjectId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A field of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldId(u32);

impl FieldId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Objects and fields, by number: no value of any depth is dropped or copied by recursion.
#[derive(Debug, Default)]
pub(super) struct Tree {
    objects: Vec<Object>,
    fields: Vec<Field>,
    substitutions: usize,
}

#[derive(Debug)]
struct Object {
    members: SmallMap<FieldId>,
    /// The field that it is a value of; `None` for the root.
    owner: Option<FieldId>,
    /// Whether it can be reached by a path, as nothing in a list can.
    reachable: bool,
    /// Whether it is an item of a list, or a part of one.
    is_item: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    owner: ObjectId,
    pub(super) writes: Vec<Write>,
}

/// One value written to a field.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: Pos,
    pub(super) node: Node,
    /// In `x = ${base} { … }`, written as two, the first of them: what looks back from one looks back beyond both.
    pub(super) since: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Node {
    Plain(Located),
    List(Vec<Node>, Pos),
    Object(ObjectId, Pos),
    Substitution(Box<Substitution>),
    Concat(Vec<ConcatPart>, Pos),
    /// `+=`
    Append(Box<Node>),
    /// What several files have under one name, each by itself, joined.
    Parts(Vec<FieldId>, Pos),
}

#[derive(Debug)]
pub(super) struct Substitution {
    /// Its number among those of the tree.
    pub(super) id: usize,
    /// Where what was included is mounted; its path is looked for there first, then from the root.
    pub(super) mount: Mount,
    pub(super) path: Vec<Arc<str>>,
    pub(super) optional: bool,
    /// `${x[]}`: the variables `x_0`, `x_1`, … of the environment.
    pub(super) numbered: bool,
    /// Written in a part of a joined field, for which the field's name means the part.
    pub(super) part: Option<FieldId>,
    pub(super) pos: Pos,
}

/// Where in the tree what a file has is put: an object in a list or the root, and the names that lead on from it.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    pub(super) object: ObjectId,
    pub(super) names: Arc<[Arc<str>]>,
}

impl Mount {
    pub(super) fn root() -> Mount {
        Mount { object: Tree::ROOT, names: Arc::from([]) }
    }

    pub(super) fn is_root(&self) -> bool {
        self.object == Tree::ROOT && self.names.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct ConcatPart {
    pub(super) node: Node,
    /// White space between two others, which counts in text alone.
    pub(super) space: bool,
}

impl Node {
    /// Whether what refers to the field whose value this is means, within it, what the field was before. Neither a list
    /// nor an object looks back, only what is in it.
    pub(super) fn looks_back(&self) -> bool {
        matches!(self, Node::Substitution(_) | Node::Concat(..) | Node::Append(_))
    }

    /// Whether it is something else than an object, whatever its parts come to.
    pub(super) fn is_no_object(&self) -> bool {
        matches!(self, Node::Plain(_) | Node::List(..) | Node::Append(_))
    }

    /// Whether its value depends on nothing else.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Node::Plain(_) => true,
            Node::List(items, _) => items.iter().all(Node::is_plain),
            Node::Object(..)
            | Node::Substitution(_)
            | Node::Concat(..)
            | Node::Append(_)
            | Node::Parts(..) => false,
        }
    }
}

impl Tree {
    pub(super) const ROOT: ObjectId = ObjectId(0);

    pub(super) fn new() -> Tree {
        let mut tree = Tree::default();
        tree.object(None, true, false);
        tree
    }

    fn object(&mut self, owner: Option<FieldId>, reachable: bool, is_item: bool) -> ObjectId {
        self.objects.push(Object { members: SmallMap::default(), owner, reachable, is_item });
        ObjectId(self.objects.len() as u32 - 1)
    }

    /// An object in a list.
    pub(super) fn element(&mut self, owner: Option<FieldId>) -> ObjectId {
        self.object(owner, false, true)
    }

    pub(super) fn fields(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    /// How many substitutions there are.
    pub(super) fn substitutions(&self) -> usize {
        self.substitutions
    }

    /// The number of one more.
    pub(super) fn substitution(&mut self) -> usize {
        self.substitutions += 1;
        self.substitutions - 1
    }

    /// How an object is come to.
    pub(super) fn mount(&self, object: ObjectId) -> Mount {
        let mut names = Vec::new();
        let mut object = object;
        while let Object { owner: Some(field), is_item: false, .. } = &self.objects[object.0 as usize] {
            let field = self.field(*field);
            names.push(field.name.clone());
            object = field.owner;
        }
        names.reverse();
        Mount { object, names: names.into() }
    }

    pub(super) fn members(&self, object: ObjectId) -> &SmallMap<FieldId> {
        &self.objects[object.0 as usize].members
    }

    pub(super) fn field(&self, field: FieldId) -> &Field {
        &self.fields[field.index()]
    }

    pub(super) fn is_reachable(&self, object: ObjectId) -> bool {
        self.objects[object.0 as usize].reachable
    }

    /// The field of this name, made if there is none.
    pub(super) fn entry(&mut self, object: ObjectId, name: &Arc<str>) -> FieldId {
        let next = FieldId(self.fields.len() as u32);
        let members = &mut self.objects[object.0 as usize].members;
        if let Some(field) = members.get(name) {
            return *field;
        }
        members.insert(name.clone(), next);
        self.fields.push(Field { name: name.clone(), owner: object, writes: Vec::new() });
        next
    }

    /// A field of the root of its own, which is found under this name from now on. One of the same name that there is
    /// already is a part of what will be joined.
    pub(super) fn part(&mut self, name: &Arc<str>) -> FieldId {
        let part = FieldId(self.fields.len() as u32);
        self.objects[Tree::ROOT.0 as usize].members.insert(name.clone(), part);
        self.fields.push(Field { name: name.clone(), owner: Tree::ROOT, writes: Vec::new() });
        part
    }

    /// Makes the value under a name of the root that of these parts.
    pub(super) fn concat(&mut self, name: &Arc<str>, parts: Vec<FieldId>) {
        let last = parts.iter().rev().find_map(|part| self.field(*part).writes.last());
        let key = last.map_or(Pos::NOWHERE, |write| write.key);
        let whole = self.part(name);
        self.write(whole, key, Node::Parts(parts, key), None);
    }

    /// The object that what is now written to this field goes into: the last one written, if it was one.
    pub(super) fn object_of(&mut self, field: FieldId, key: Pos, pos: Pos, since: Option<usize>) -> ObjectId {
        if let Some(last) = self.fields[field.index()].writes.last_mut()
            && let Node::Object(object, at) = &mut last.node
            && last.since.is_none()
            && since.is_none()
        {
            (last.key, *at) = (key, pos);
            return *object;
        }
        let reachable = self.is_reachable(self.fields[field.index()].owner);
        let object = self.object(Some(field), reachable, false);
        let node = Node::Object(object, pos);
        let writes = &mut self.fields[field.index()].writes;
        if writes.is_empty() {
            writes.reserve_exact(1);
        }
        writes.push(Write { key, node, since });
        object
    }

    /// Writes a value that is no object.
    pub(super) fn write(&mut self, field: FieldId, key: Pos, node: Node, since: Option<usize>) {
        let writes = &mut self.fields[field.index()].writes;
        if node.is_plain() {
            // Nothing can look back beyond a value that refers to nothing.
            writes.clear();
        }
        if writes.is_empty() {
            // Nearly all are written once.
            writes.reserve_exact(1);
        }
        writes.push(Write { key, node, since });
    }

    /// Whether a field has one value alone, which may be joined of several.
    pub(super) fn is_single(&self, field: FieldId) -> bool {
        let writes = &self.field(field).writes;
        writes.len() == 1 || writes.last().is_some_and(|last| last.since == Some(0))
    }

    pub(super) fn written(&self, field: FieldId) -> usize {
        self.field(field).writes.len()
    }

    /// The path of a field from the root, as it would be written; of what is in a list, that of the list with it.
    pub(super) fn path(&self, field: FieldId) -> Vec<Arc<str>> {
        let mut path = Vec::new();
        let mut at = Some(field);
        while let Some(field) = at {
            let field = self.field(field);
            path.push(field.name.clone());
            at = self.objects[field.owner.0 as usize].owner;
        }
        path.reverse();
        path
    }

    /// The field of the root that the path of a field begins with.
    pub(super) fn top(&self, field: FieldId) -> FieldId {
        let mut top = field;
        while let Some(owner) = self.objects[self.field(top).owner.0 as usize].owner {
            top = owner;
        }
        top
    }

    /// Whether a path from the root leads to this field.
    pub(super) fn has_path(&self, field: FieldId) -> bool {
        self.is_reachable(self.field(field).owner)
    }
}
