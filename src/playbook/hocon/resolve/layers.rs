//! Where a path leads through what was written: layers, latest first, of which no more are found than are looked at.
//!
//! Knows what hides what. What a layer comes to is the resolver's part; each look is counted there.

use std::sync::Arc;

use super::super::join;
use super::super::tree::{FieldId, Node, Tree};
use super::super::value::{Kind, Val};
use super::{Found, Resolver};

/// Where a value may come from; of several, the first counts, and objects merge.
pub(super) enum Layer {
    Value(Val),
    /// The first so many writes of a field.
    Field(FieldId, usize),
    /// What is at a path in one write of a field, which has to be evaluated for it: the names from here on.
    Within(FieldId, usize, usize),
}

/// The layers at the end of a path, found one by one.
pub(super) struct Layers<'p> {
    names: &'p [Arc<str>],
    /// What is still to be looked into, the next one last, each with how many of the names lead to it.
    open: Vec<(Layer, usize)>,
}

impl<'p> Layers<'p> {
    /// Those that these names lead to from a layer.
    pub(super) fn of(layer: Layer, names: &'p [Arc<str>]) -> Layers<'p> {
        Layers { names, open: vec![(layer, 0)] }
    }
}

/// So many layers that are looked at are a step: a look is much less than a substitution.
const LOOKS: usize = 16;

impl Resolver<'_> {
    /// What is at a path from the root; in a part of a joined field, its name is that of the part.
    pub(super) fn lookup(&mut self, path: &[Arc<str>], part: Option<FieldId>) -> Found {
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        let own = part.filter(|part| self.tree.field(*part).name == *first);
        let Some(field) = own.or_else(|| self.tree.members(Tree::ROOT).get(first).copied()) else {
            return Ok(None);
        };
        self.below(field, rest)
    }

    /// What is at a path from a field.
    pub(super) fn below(&mut self, field: FieldId, names: &[Arc<str>]) -> Found {
        let (layer, _) = self.enter(field, names.is_empty());
        self.first(Layers::of(layer, names))
    }

    /// The layer that a field is; whether what is below it cannot count.
    fn enter(&mut self, field: FieldId, last: bool) -> (Layer, bool) {
        let written = self.tree.written(field);
        let mut until = written;
        if let Some(index) = self.open[field.index()] {
            let frame = &self.frames[index];
            let since = self.tree.field(field).writes.get(frame.write).and_then(|write| write.since);
            if frame.cuts || last && since.is_some() {
                self.lowest = self.lowest.min(index);
                self.cut = Some(index);
                if let Some(items) = &frame.sofar {
                    let key = self.tree.field(field).writes[frame.write].key;
                    let items = Val::list(items.clone(), key);
                    let affordable = self.spend(join::weight(&items), key);
                    return (Layer::Value(if affordable { items } else { Val::new(Kind::Bad, key) }), true);
                }
                until = since.unwrap_or(frame.write);
            }
        }
        let ends = matches!(
            self.tree.field(field).writes.last().map(|write| &write.node),
            Some(Node::Plain(_) | Node::List(..) | Node::Append(_))
        );
        (Layer::Field(field, until), ends && until == written)
    }

    /// The next layer at the end of the path.
    fn next(&mut self, layers: &mut Layers<'_>) -> Option<Layer> {
        let tree = self.tree;
        while let Some((layer, level)) = layers.open.pop() {
            let Some(name) = layers.names.get(level) else { return Some(layer) };
            match layer {
                Layer::Within(..) => return Some(layer),
                Layer::Value(val) => match val.kind {
                    Kind::Object(_) => {
                        let member = val.member(name).map(|member| Layer::Value(member.val.clone()));
                        layers.open.extend(member.map(|member| (member, level + 1)));
                    }
                    _ => {
                        // All that would come later is hidden.
                        layers.open.clear();
                        if val.is_bad() {
                            return Some(Layer::Value(val));
                        }
                    }
                },
                Layer::Field(field, until) => {
                    let Some(write) = until.checked_sub(1).and_then(|at| tree.field(field).writes.get(at))
                    else {
                        continue;
                    };
                    self.layers += 1;
                    if self.layers.is_multiple_of(LOOKS) && !self.step(write.key) {
                        return None;
                    }
                    layers.open.push((Layer::Field(field, until - 1), level));
                    match &write.node {
                        Node::Object(object, _) => {
                            let Some(member) = tree.members(*object).get(name) else { continue };
                            let (below, hides) = self.enter(*member, level + 1 == layers.names.len());
                            if hides {
                                layers.open.clear();
                            }
                            layers.open.push((below, level + 1));
                        }
                        Node::Substitution(_) | Node::Joined(..) | Node::Parts(..) => {
                            return Some(Layer::Within(field, until - 1, level));
                        }
                        Node::Plain(_) | Node::List(..) | Node::Append(_) => layers.open.clear(),
                    }
                }
            }
        }
        None
    }

    /// The value of layers: the first that there is; objects merge until something else comes.
    pub(super) fn first(&mut self, mut layers: Layers<'_>) -> Found {
        let Some(first) = self.next(&mut layers) else { return Ok(None) };
        if let Layer::Field(field, until) = first
            && until == self.tree.written(field)
        {
            match self.next(&mut layers) {
                None => return self.whole(field),
                Some(second) => layers.open.push((second, layers.names.len())),
            }
        }
        self.layered(Some(first), layers)
    }

    pub(super) fn layered(&mut self, first: Option<Layer>, mut layers: Layers<'_>) -> Found {
        let mut objects: Vec<Val> = Vec::new();
        let mut next = first.or_else(|| self.next(&mut layers));
        while let Some(layer) = next {
            let ends = match layer {
                Layer::Value(val) => take(val, &mut objects),
                Layer::Within(field, write, level) => match self.write(field, write)? {
                    None => None,
                    Some(val) => match within(val, &layers.names[level..]) {
                        Ok(None) => None,
                        Ok(Some(val)) => take(val, &mut objects),
                        Err(()) => break,
                    },
                },
                Layer::Field(field, until) => {
                    let mut end = None;
                    for index in (0..until).rev() {
                        end = self.write(field, index)?.and_then(|val| take(val, &mut objects));
                        if end.is_some() {
                            break;
                        }
                    }
                    end
                }
            };
            match ends {
                Some(val) if objects.is_empty() || val.is_bad() => return Ok(Some(val)),
                Some(_) => break,
                None => next = self.next(&mut layers),
            }
        }
        let Some(mut merged) = objects.pop() else { return Ok(None) };
        while let Some(over) = objects.pop() {
            let pos = over.pos;
            if !self.spend(join::weight(&merged).saturating_add(join::weight(&over)), pos) {
                return Ok(Some(Val::new(Kind::Bad, pos)));
            }
            merged = join::merge(&merged, over);
            merged = self.checked(merged, pos);
        }
        Ok(Some(merged))
    }
}

/// Keeps an object for merging; gives back what ends that.
fn take(val: Val, objects: &mut Vec<Val>) -> Option<Val> {
    if matches!(val.kind, Kind::Object(_)) {
        objects.push(val);
        return None;
    }
    Some(val)
}

/// What is at a path in a value; `Err` where something else than an object is on the way, which hides all before it.
fn within(mut val: Val, path: &[Arc<str>]) -> Result<Option<Val>, ()> {
    for name in path {
        match &val.kind {
            Kind::Bad => return Ok(Some(val)),
            Kind::Object(object) => match object.members.get(name) {
                Some(member) => val = member.val.clone(),
                None => return Ok(None),
            },
            _ => return Err(()),
        }
    }
    Ok(Some(val))
}
