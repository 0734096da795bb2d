//! The tree to one value: what is substituted, joined and merged.
//!
//! A path is looked for through what was written, latest first, and no more of it is evaluated than the path needs; so an
//! object may refer to itself. A field whose own value is a substitution sees, while that is looked for, only what was
//! written to it before. Work, size and depth are bounded as it goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::budget::{Budget, Wrong};
use super::concat;
use super::frames::{Cycle, Evaluated, Frame, Frames};
use super::layers::{Layer, Layers, Lookup};
use super::limits;
use super::located::{Data, Located, Member, Members, Pos};
use super::path::{way_text, written_path};
use super::settings::Settings;
use super::suggestions;
use super::template::Placeholder;
use super::tree::{FieldId, Mount, Node, ObjectId, Substitution, Tree};

#[cfg(test)]
mod growth_tests;

/// What a tree comes to.
pub(super) struct Resolved<'t> {
    pub(super) root: Located,
    pub(super) wrong: Vec<Wrong>,
    /// It would have taken too much, and the rest of the value is missing.
    pub(super) is_halted: bool,
    /// The variables of the environment that were used, and where.
    pub(super) environment: BTreeMap<&'t str, BTreeSet<Pos>>,
    /// How much was looked at, for the tests of growth.
    #[cfg(test)]
    work: usize,
}

/// The value of the root, and all that is wrong.
pub(super) fn resolve<'t>(tree: &'t Tree, settings: &'t Settings) -> Resolved<'t> {
    let mut resolver = Resolver {
        tree,
        settings,
        given: HashMap::new(),
        environment: BTreeMap::new(),
        known: vec![None; tree.fields()],
        objects: vec![None; tree.objects()],
        looked_back: 0,
        bases: HashMap::new(),
        found: vec![None; tree.substitutions()],
        deferred_first: settings
            .deferred_over
            .as_ref()
            .is_some_and(|key| tree.members(Tree::ROOT).get(key).is_some()),
        frames: Frames::new(tree.fields()),
        budget: Budget::default(),
        closing: None,
    };
    let pos = Pos { source: 0, line: 1, column: 1 };
    let root = resolver.object(Tree::ROOT, pos).unwrap_or_else(|_| Located::new(Data::Bad, pos));
    Resolved {
        root,
        wrong: resolver.budget.problems,
        is_halted: resolver.budget.halted,
        environment: resolver.environment,
        #[cfg(test)]
        work: resolver.budget.steps + resolver.budget.layers,
    }
}

/// How a circle came about: the fields on the way, and the substitution that leads back.
struct Closing {
    fields: Vec<FieldId>,
    wanted: Vec<Arc<str>>,
    pos: Pos,
}

/// Of a longer way, so many fields of its begin and of its end are kept.
const LONG: usize = 32;

/// So many problems get a hint that takes time to find.
const HINTS: usize = 200;

struct Resolver<'t> {
    tree: &'t Tree,
    settings: &'t Settings,
    given: HashMap<&'t str, Option<Located>>,
    environment: BTreeMap<&'t str, BTreeSet<Pos>>,
    /// By field, its value, where that depends on nothing that is being looked for.
    known: Vec<Option<Option<Located>>>,
    /// By substitution, what it stands for: one value, however it is reached.
    found: Vec<Option<Option<Located>>>,
    /// By object, its value, unless a part of it was what a field had been before: that is seen from within the field alone.
    objects: Vec<Option<Located>>,
    /// How often a part of an object was what a field had been before.
    looked_back: usize,
    /// By field and the first `+=` of several, what these add to; as with substitutions, one value.
    bases: HashMap<(usize, usize), Option<Located>>,
    /// Whether the names of values that come later mean these in any case, as they do in a playbook.
    deferred_first: bool,
    frames: Frames,
    budget: Budget,
    /// The last circle that was closed.
    closing: Option<Closing>,
}

impl<'t> Resolver<'t> {
    /// All of an object that was written.
    fn object(&mut self, object: ObjectId, pos: Pos) -> Result<Located, Cycle> {
        if let Some(known) = &self.objects[object.index()] {
            return Ok(known.clone());
        }
        let tree = self.tree;
        let looked_back = self.looked_back;
        let mut members = Members::with_capacity(tree.members(object).len());
        for (name, field) in tree.members(object).iter() {
            let val = match self.frames.innermost[field.index()] {
                // The field needs the object that it is in, which has what the field was before.
                Some(frame) => match self.below(*field, &[])? {
                    None if tree.is_single(*field) => {
                        self.frames.lowest = self.frames.lowest.min(frame);
                        return Err(self.circle(frame));
                    }
                    earlier => {
                        self.looked_back += 1;
                        earlier
                    }
                },
                None => self.whole(*field)?,
            };
            if let Some(val) = val {
                let key = tree.field(*field).writes.last().map_or(pos, |write| write.key);
                members.insert(name.clone(), Member { key, val });
            } else if self.settings.kept.iter().any(|kept| **kept == **name) {
                let key = tree.field(*field).writes.last().map_or(pos, |write| write.key);
                let hint = format!("define what it names, or leave `{name}` out");
                self.budget.wrong(
                    key,
                    format!("`{name}` has no value: what it names is not defined"),
                    Some(hint),
                );
            }
        }
        if !self.budget.spend(members.len() * 32, pos) {
            return Ok(Located::new(Data::Bad, pos));
        }
        let object_val = self.budget.checked(Located::object(members, pos), pos);
        if self.looked_back == looked_back && !self.budget.halted {
            self.objects[object.index()] = Some(object_val.clone());
        }
        Ok(object_val)
    }

    fn node(&mut self, node: &Node) -> Evaluated {
        match node {
            Node::Plain(val) => Ok(Some(val.clone())),
            Node::Object(object, pos) => self.object(*object, *pos).map(Some),
            Node::Substitution(substitution) => self.substitution(substitution),
            Node::Append(item) => self.node(item),
            Node::List(items, pos) => {
                let mut vals = Vec::with_capacity(items.len());
                for item in items {
                    vals.extend(self.node(item)?);
                }
                if !self.budget.spend(vals.len() * 32, *pos) {
                    return Ok(Some(Located::new(Data::Bad, *pos)));
                }
                Ok(Some(self.budget.checked(Located::list(vals, *pos), *pos)))
            }
            Node::Concat(pieces, pos) => {
                let mut vals = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    vals.extend(self.node(&piece.node)?.map(|val| (val, piece.space)));
                }
                Ok(self.joined(vals, *pos))
            }
            Node::Parts(fields, pos) => {
                let mut vals = Vec::with_capacity(fields.len());
                for field in fields {
                    vals.extend(self.whole(*field)?.map(|val| (val, false)));
                }
                Ok(self.joined(vals, *pos))
            }
        }
    }

    /// `+=`, with those directly before it, so that many do not need many frames.
    fn append(&mut self, field: FieldId, index: usize) -> Evaluated {
        let tree = self.tree;
        let writes = &tree.field(field).writes;
        let appended = |write: &&super::tree::Write| matches!(write.node, Node::Append(_));
        let first = index + 1 - writes[..=index].iter().rev().take_while(appended).count();
        let frame = self.frames.stack.len() - 1;
        self.frames.stack[frame].write = first;
        let base = match self.bases.get(&(field.index(), first)) {
            Some(base) => base.clone(),
            None if tree.has_path(field) => self.below(tree.top(field), &tree.path(field)[1..])?,
            None => self.first(Layers::of(Layer::Field(field, first), &[]))?,
        };
        self.bases.insert((field.index(), first), base.clone());
        let pos = writes[index].key;
        // Of nothing the first item sees nothing, and not an empty list.
        let mut seen = base.is_some();
        let mut items = match base {
            None => Vec::new(),
            Some(base) if base.is_bad() => return Ok(Some(Located::new(Data::Bad, pos))),
            Some(base) => match concat::elements(&base) {
                Some(items) => items,
                None => {
                    let message = format!("`+=` adds to a list, and this is {} so far", base.what());
                    return Ok(Some(self.budget.wrong(pos, message, None)));
                }
            },
        };
        for (index, write) in writes.iter().enumerate().take(index + 1).skip(first) {
            if !self.budget.step(write.key) {
                break;
            }
            self.frames.stack[frame].write = index;
            if seen {
                self.frames.stack[frame].sofar = Some(std::mem::take(&mut items));
            }
            let item = self.node(&write.node);
            if let Some(sofar) = self.frames.stack[frame].sofar.take() {
                items = sofar;
            }
            items.extend(item?);
            seen = true;
        }
        if !self.budget.spend(items.len() * 32, pos) {
            return Ok(Some(Located::new(Data::Bad, pos)));
        }
        Ok(Some(self.budget.checked(Located::list(items, pos), pos)))
    }

    /// What a substitution stands for. It has one value, however it is reached: the first that is found stays, also when
    /// that was found by looking back.
    fn substitution(&mut self, wanted: &Substitution) -> Evaluated {
        if let Some(found) = &self.found[wanted.id] {
            return Ok(found.clone());
        }
        if !self.budget.step(wanted.pos) {
            return Ok(Some(Located::new(Data::Bad, wanted.pos)));
        }
        let before = (self.frames.cut.take(), std::mem::replace(&mut self.frames.lowest, usize::MAX));
        let found = self.search(wanted);
        let cut = std::mem::replace(&mut self.frames.cut, before.0);
        let depends = self.frames.lowest.saturating_add(1) < self.frames.stack.len();
        self.frames.lowest = self.frames.lowest.min(before.1);
        let circle = match (&found, cut) {
            (&Err(Cycle(frame)), _) | (Ok(None), Some(frame)) => Some(frame),
            _ => None,
        };
        if let Some(frame) = circle
            && (found.is_ok() || self.closing.is_none())
        {
            self.closing = Some(self.closing(frame, wanted));
        }
        // A circle is broken where there is something to look back at, or else by what may be missing.
        if let Some(frame) = circle
            && !self.budget.walked(self.frames.stack.len().saturating_sub(frame), wanted.pos)
        {
            return Ok(Some(Located::new(Data::Bad, wanted.pos)));
        }
        if let Some(frame) = circle
            && (self.can_look_back(frame) || !wanted.optional && frame + 1 < self.frames.stack.len())
        {
            return Err(Cycle(frame));
        }
        let is_final = !depends || matches!(found, Ok(Some(_)));
        let found = match (found, circle) {
            (Ok(Some(val)), _) => Some(val.at(wanted.pos)),
            (Ok(None) | Err(_), _) if wanted.optional => None,
            (_, Some(_)) => Some(self.circular(wanted.pos)),
            (_, None) => {
                let name = written_path(&wanted.path);
                let hint = (self.budget.problems.len() < HINTS)
                    .then(|| suggestions::undefined(wanted, self.tree, self.settings));
                Some(self.budget.wrong(wanted.pos, format!("`{name}` is not defined"), hint))
            }
        };
        if is_final && !self.budget.halted {
            self.found[wanted.id] = Some(found.clone());
        }
        Ok(found)
    }

    /// Whether a field that is being looked for within this frame has an earlier value.
    fn can_look_back(&self, frame: usize) -> bool {
        let inner = self.frames.stack.get(frame + 1..).unwrap_or_default();
        inner.iter().any(|frame| {
            let write = &self.tree.field(frame.field).writes[frame.write];
            frame.cuts && write.since.unwrap_or(frame.write) > 0
        })
    }

    /// A circle that is told of where it is closed, if anything is to be told of it.
    fn circle(&mut self, frame: usize) -> Cycle {
        self.closing = None;
        Cycle(frame)
    }

    fn closing(&self, frame: usize, wanted: &Substitution) -> Closing {
        let frames = self.frames.stack.get(frame..).unwrap_or_default();
        let last = &frames[frames.len().min(LONG).max(frames.len().saturating_sub(LONG))..];
        let fields = frames.iter().take(LONG).chain(last).map(|frame| frame.field).collect();
        Closing { fields, wanted: wanted.path.clone(), pos: wanted.pos }
    }

    /// Tells of a circle.
    fn circular(&mut self, pos: Pos) -> Located {
        let Some(Closing { fields, wanted, pos }) = self.closing.take() else {
            return self.budget.wrong(pos, "this refers to itself", None);
        };
        let name = written_path(&wanted);
        let mut way: Vec<String> = fields.iter().map(|field| written_path(&self.tree.path(*field))).collect();
        way.insert(0, name.clone());
        way.push(name.clone());
        way.dedup();
        let way = if way.len() < 2 { format!("{name} -> {name}") } else { way_text(&way) };
        self.budget.wrong(pos, format!("`{name}` refers to itself: {way}"), None)
    }

    /// What a substitution stands for: the playbook's own, else what is given, else the environment.
    fn search(&mut self, wanted: &Substitution) -> Evaluated {
        let Mount { object, names } = &wanted.mount;
        if !wanted.mount.is_root() {
            let path: Vec<Arc<str>> = names.iter().chain(&wanted.path).cloned().collect();
            if let Some(val) = self.lookup(*object, &path, wanted.part)? {
                return Ok(Some(val));
            }
        }
        let is_deferred = wanted
            .path
            .first()
            .is_some_and(|first| self.settings.deferred.iter().any(|deferred| **deferred == **first));
        if !(is_deferred && self.deferred_first)
            && let Some(val) = self.lookup(Tree::ROOT, &wanted.path, wanted.part)?
        {
            return Ok(Some(val));
        }
        if is_deferred {
            let path = wanted.path.iter().map(|name| name.to_string()).collect();
            let placeholder = Placeholder { path, is_optional: wanted.optional };
            return Ok(Some(Located::new(Data::Unknown(Arc::new(placeholder)), wanted.pos)));
        }
        if wanted.numbered {
            return Ok(self.numbered(wanted));
        }
        if let Some(val) = self.given(wanted) {
            return Ok(Some(val));
        }
        Ok(self.variable(&wanted.path.join("."), wanted.pos))
    }

    fn given(&mut self, wanted: &Substitution) -> Option<Located> {
        let (first, rest) = wanted.path.split_first()?;
        let (name, value) = self.settings.given.get_key_value(first.as_ref())?;
        let val = self.given.entry(name).or_insert_with(|| Located::of_json(value, limits::DEPTH));
        let mut val = val.as_ref()?;
        for name in rest {
            val = &val.member(name)?.val;
        }
        Some(val.clone())
    }

    /// A variable of the environment.
    fn variable(&mut self, name: &str, pos: Pos) -> Option<Located> {
        let (name, text) = self.settings.environment.get_key_value(name)?;
        self.environment.entry(name).or_default().insert(pos);
        Some(Located::new(Data::Text(text.as_str().into()), pos))
    }

    /// `x_0`, `x_1`, … of the environment.
    fn numbered(&mut self, wanted: &Substitution) -> Option<Located> {
        let name = wanted.path.join(".");
        let items = (0..).map_while(|index| self.variable(&format!("{name}_{index}"), wanted.pos));
        let items: Vec<Located> = items.collect();
        (!items.is_empty()).then(|| Located::list(items, wanted.pos))
    }
}

impl<'t> Lookup<'t> for Resolver<'t> {
    fn tree(&self) -> &'t Tree {
        self.tree
    }

    fn frames(&self) -> &Frames {
        &self.frames
    }

    fn frames_mut(&mut self) -> &mut Frames {
        &mut self.frames
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn whole(&mut self, field: FieldId) -> Evaluated {
        if let Some(known) = &self.known[field.index()] {
            return Ok(known.clone());
        }
        let before = std::mem::replace(&mut self.frames.lowest, usize::MAX);
        let depth = self.frames.stack.len();
        let found = match self.tree.written(field) {
            // Nearly all are written once.
            1 => self.write(field, 0),
            written => self.layered(None, Layers::of(Layer::Field(field, written), &[])),
        };
        if let Ok(val) = &found
            && self.frames.lowest >= depth
        {
            self.known[field.index()] = Some(val.clone());
        }
        self.frames.lowest = self.frames.lowest.min(before);
        found
    }

    fn write(&mut self, field: FieldId, index: usize) -> Evaluated {
        let tree = self.tree;
        let write = &tree.field(field).writes[index];
        if let Node::Plain(val) = &write.node {
            return Ok(Some(val.clone()));
        }
        if !self.budget.step(write.key) {
            return Ok(Some(Located::new(Data::Bad, write.key)));
        }
        // An object may need itself, as long as no field of it does.
        if !matches!(write.node, Node::Object(..)) {
            let mut outer = self.frames.innermost[field.index()];
            let mut walked = 0;
            while let Some(frame) = outer {
                if self.frames.stack[frame].write == index {
                    self.frames.lowest = self.frames.lowest.min(frame);
                    return Err(self.circle(frame));
                }
                outer = self.frames.stack[frame].outer;
                walked += 1;
            }
            if !self.budget.walked(walked, write.key) {
                return Ok(Some(Located::new(Data::Bad, write.key)));
            }
        }
        if self.frames.stack.len() >= limits::CHAIN {
            let message = format!("substitutions lead to each other more than {} deep", limits::CHAIN);
            return Ok(Some(self.budget.wrong(write.key, message, None)));
        }
        let cuts = write.node.looks_back();
        let outer = self.frames.innermost[field.index()].replace(self.frames.stack.len());
        self.frames.stack.push(Frame { field, write: index, cuts, sofar: None, outer });
        let found = match &write.node {
            Node::Append(_) => self.append(field, index),
            node => self.node(node),
        };
        self.frames.stack.pop();
        self.frames.innermost[field.index()] = outer;
        let found = match found {
            Err(Cycle(frame)) if frame >= self.frames.stack.len() => {
                return Ok(Some(self.circular(write.key)));
            }
            found => found?,
        };
        // A part of what is joined with an object has to be one itself, or a list if the object can be one.
        if let (Some(_), Some(val), Node::Substitution(_)) = (write.since, &found, &write.node)
            && !matches!(val.data, Data::Object(_) | Data::List(_) | Data::Bad)
        {
            let message = format!("{} cannot be joined with an object", val.what());
            return Ok(Some(self.budget.wrong(val.pos, message, None)));
        }
        Ok(found)
    }

    fn joined(&mut self, vals: Vec<(Located, bool)>, pos: Pos) -> Option<Located> {
        let weight = vals.iter().fold(0_usize, |sum, (val, _)| sum.saturating_add(concat::weight(val)));
        if !self.budget.spend(weight, pos) {
            return Some(Located::new(Data::Bad, pos));
        }
        match concat::concat(vals, pos) {
            Ok(None) => None,
            Ok(Some(val)) => Some(self.budget.checked(val, pos)),
            Err((at, message)) => {
                let hint = "is a comma or a new line missing between them?".to_owned();
                Some(self.budget.wrong(at, message, Some(hint)))
            }
        }
    }
}
