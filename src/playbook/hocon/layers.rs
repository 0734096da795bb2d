//! Where a path leads through what was written: layers, latest first, of which no more are found than are looked at.
//!
//! What was written is evaluated by whoever implements [`Lookup`].

use std::sync::Arc;

use super::budget::Budget;
use super::concat;
use super::frames::{Cycle, Evaluated, Frames};
use super::located::{Data, Located, Pos};
use super::tree::{FieldId, Node, ObjectId, Tree};

/// Where a value may come from; of several, the first counts, and objects merge.
pub(super) enum Layer {
    Value(Located),
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

/// Looking paths up in a tree.
pub(super) trait Lookup<'t> {
    fn tree(&self) -> &'t Tree;

    fn frames(&self) -> &Frames;

    fn frames_mut(&mut self) -> &mut Frames;

    fn budget(&mut self) -> &mut Budget;

    /// The value of all that was written to a field.
    fn whole(&mut self, field: FieldId) -> Evaluated;

    /// One value that was written to a field.
    fn write(&mut self, field: FieldId, index: usize) -> Evaluated;

    /// Values that stand together; white space among them is marked.
    fn joined(&mut self, vals: Vec<(Located, bool)>, pos: Pos) -> Option<Located>;

    /// What is at a path from an object; in a part of a joined field of the root, its name is that of the part.
    fn lookup(&mut self, object: ObjectId, path: &[Arc<str>], part: Option<FieldId>) -> Evaluated {
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        let own = part.filter(|part| object == Tree::ROOT && self.tree().field(*part).name == *first);
        let Some(field) = own.or_else(|| self.tree().members(object).get(first).copied()) else {
            return Ok(None);
        };
        self.below(field, rest)
    }

    /// What is at a path from a field.
    fn below(&mut self, field: FieldId, names: &[Arc<str>]) -> Evaluated {
        let (layer, _) = self.enter(field, names.is_empty());
        self.first(Layers::of(layer, names))
    }

    /// The layer that a field is; whether what is below it cannot count.
    fn enter(&mut self, field: FieldId, last: bool) -> (Layer, bool) {
        let written = self.tree().written(field);
        let mut until = written;
        if let Some((index, seen)) = self.seen(field, last) {
            self.frames_mut().lowest = self.frames().lowest.min(index);
            self.frames_mut().cut = Some(index);
            let frame = &self.frames().stack[index];
            if let Some(items) = &frame.sofar
                && seen == frame.write
            {
                let key = self.tree().field(field).writes[frame.write].key;
                let items = Located::list(items.clone(), key);
                let affordable = self.budget().spend(concat::weight(&items), key);
                return (Layer::Value(if affordable { items } else { Located::new(Data::Bad, key) }), true);
            }
            until = seen;
        }
        let ends = matches!(
            self.tree().field(field).writes.last().map(|write| &write.node),
            Some(Node::Plain(_) | Node::List(..) | Node::Append(_))
        );
        (Layer::Field(field, until), ends && until == written)
    }

    /// How many of the values of a field are seen while it is being looked for itself, and the frame that says so: of all
    /// its frames the one that sees the least. At the end of a path, the parts of `${base} { … }` look back as one.
    fn seen(&mut self, field: FieldId, last: bool) -> Option<(usize, usize)> {
        let mut least: Option<(usize, usize)> = None;
        let mut next = self.frames().innermost[field.index()];
        let mut walked = 0;
        while let Some(index) = next {
            walked += 1;
            let frame = &self.frames().stack[index];
            let since = self.tree().field(field).writes.get(frame.write).and_then(|write| write.since);
            let seen = since.unwrap_or(frame.write);
            if (frame.cuts || last && since.is_some()) && least.is_none_or(|(_, least)| seen < least) {
                least = Some((index, seen));
            }
            next = frame.outer;
        }
        if let Some(write) = self.tree().field(field).writes.last() {
            self.budget().walked(walked, write.key);
        }
        least
    }

    /// The next layer at the end of the path.
    fn next(&mut self, layers: &mut Layers<'_>) -> Option<Layer> {
        let tree = self.tree();
        while let Some((layer, level)) = layers.open.pop() {
            let Some(name) = layers.names.get(level) else { return Some(layer) };
            match layer {
                Layer::Within(..) => return Some(layer),
                Layer::Value(val) => match val.data {
                    Data::Object(_) => {
                        if val.is_closed() {
                            layers.open.clear();
                        }
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
                    if !self.budget().looked(1, write.key) {
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
                        Node::Substitution(_) | Node::Concat(..) | Node::Parts(..) => {
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
    fn first(&mut self, mut layers: Layers<'_>) -> Evaluated {
        let Some(first) = self.next(&mut layers) else { return Ok(None) };
        if let Layer::Field(field, until) = first
            && until == self.tree().written(field)
        {
            match self.next(&mut layers) {
                None => return self.whole(field),
                Some(second) => layers.open.push((second, layers.names.len())),
            }
        }
        self.layered(Some(first), layers)
    }

    fn layered(&mut self, first: Option<Layer>, mut layers: Layers<'_>) -> Evaluated {
        let mut merging = Merging::default();
        let mut next = first.or_else(|| self.next(&mut layers));
        while let Some(layer) = next {
            match layer {
                Layer::Value(val) => merging.take(val),
                Layer::Within(field, write, level) => {
                    if let Some(val) = self.unless_circle(field, write, &mut merging)? {
                        within(val, &layers.names[level..], &mut merging);
                    }
                }
                Layer::Field(field, until) => self.writes(field, until, &mut merging)?,
            }
            if merging.is_over {
                break;
            }
            next = self.next(&mut layers);
        }
        self.merged(merging)
    }

    /// The first so many values of a field, latest first.
    fn writes(&mut self, field: FieldId, until: usize, merging: &mut Merging) -> Result<(), Cycle> {
        let tree = self.tree();
        let writes = &tree.field(field).writes;
        let mut index = until;
        // Of `${base} { … }`, where its parts begin and end, and how many objects there were behind it.
        let mut group = (0, 0, 0);
        while index > 0 && !merging.is_over {
            index -= 1;
            if !merging.objects.is_empty() && writes[index].node.is_no_object() {
                // What is hidden is not worked out.
                merging.is_over = true;
                break;
            }
            let since = writes[index].since;
            if let Some(since) = since
                && (group.1 == 0 || since != group.0)
            {
                group = (since, index + 1, merging.objects.len());
            }
            let was = merging.circle;
            match self.unless_circle(field, index, merging)? {
                Some(val) if since.is_some() && matches!(val.data, Data::List(_)) => {
                    merging.objects.truncate(group.2);
                    let mut vals = Vec::new();
                    for part in group.0..group.1 {
                        vals.extend(self.write(field, part)?.map(|val| (val, false)));
                    }
                    if let Some(joined) = self.joined(vals, writes[group.0].key) {
                        merging.take(joined);
                    }
                    index = group.0;
                }
                Some(val) => merging.take(val),
                None if was != merging.circle && since.is_some() => {
                    merging.objects.truncate(group.2);
                    index = group.0;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// One value of a field; `None` also where it leads to itself and what was before it may count.
    fn unless_circle(&mut self, field: FieldId, write: usize, merging: &mut Merging) -> Evaluated {
        match self.write(field, write) {
            Err(Cycle(frame)) if self.tree().field(field).writes[write].node.looks_back() => {
                merging.circle = Some(frame);
                Ok(None)
            }
            found => found,
        }
    }

    fn merged(&mut self, merging: Merging) -> Evaluated {
        let Merging { mut objects, end, is_over, circle } = merging;
        if end.is_some() {
            return Ok(end);
        }
        let Some(mut merged) = objects.pop() else {
            return circle.map_or(Ok(None), |frame| Err(Cycle(frame)));
        };
        if is_over {
            merged = merged.closed();
        }
        while let Some(over) = objects.pop() {
            let pos = over.pos;
            if !self.budget().spend(concat::weight(&merged).saturating_add(concat::weight(&over)), pos) {
                return Ok(Some(Located::new(Data::Bad, pos)));
            }
            merged = concat::merge(&merged, over);
            merged = self.budget().checked(merged, pos);
        }
        Ok(Some(merged))
    }
}

/// Objects that merge, the latest first, until something else comes.
#[derive(Default)]
pub(super) struct Merging {
    objects: Vec<Located>,
    /// What there is in place of objects.
    end: Option<Located>,
    /// Nothing that was before counts.
    is_over: bool,
    /// A circle that stood in the way of one of them.
    circle: Option<usize>,
}

impl Merging {
    fn take(&mut self, val: Located) {
        if matches!(val.data, Data::Object(_)) {
            self.is_over = val.is_closed();
            self.objects.push(val);
        } else {
            self.is_over = true;
            if self.objects.is_empty() || val.is_bad() {
                self.end = Some(val);
            }
        }
    }
}

/// Takes what is at a path in a value. Something else than an object on the way hides all before it.
fn within(mut val: Located, path: &[Arc<str>], merging: &mut Merging) {
    let mut is_closed = false;
    for name in path {
        let Data::Object(object) = &val.data else {
            merging.is_over = true;
            merging.end = val.is_bad().then_some(val);
            return;
        };
        is_closed |= object.closed;
        let Some(member) = object.members.get(name) else {
            merging.is_over = is_closed;
            return;
        };
        val = member.val.clone();
    }
    merging.take(val);
    merging.is_over |= is_closed;
}
