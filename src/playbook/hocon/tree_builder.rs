//! Syntax trees to one tree: what is written in the files, their includes and what stands over them, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::lex::SubstitutionToken;
use super::limits;
use super::located::{Data, Located, Pos};
use super::parse::{self, Parsed};
use super::read::{self, Unread};
use super::settings::{Input, Override, Settings};
use super::syntax::{AstField, AstNode, Scalar};
use super::syntax_error::At;
use super::tree::{ConcatPart, FieldId, Mount, Node, ObjectId, Substitution, Tree};
use crate::diagnostic::{Place, Problem, Source};

/// What is made of all files.
pub(super) struct Built {
    pub(super) tree: Tree,
    pub(super) sources: Vec<Arc<Source>>,
    pub(super) problems: Vec<Problem>,
}

/// Reads everything.
pub(super) fn build(entry: &Input, settings: &Settings) -> Built {
    let mut builder = TreeBuilder {
        built: Built { tree: Tree::new(), sources: Vec::new(), problems: Vec::new() },
        names: HashSet::new(),
        open: Vec::new(),
        parts: Vec::new(),
        part: None,
        once: settings.once.iter().map(|name| (name.clone(), None)).collect(),
        includes: 0,
        bytes: 0,
    };
    match entry {
        Input::File(path) => builder.named(path),
        Input::Files(paths) => {
            builder.parts = settings.joined.iter().map(|name| Parts::of(name)).collect();
            for path in paths {
                builder.parts.iter_mut().for_each(|parts| parts.is_new = true);
                builder.once.values_mut().for_each(|first| *first = None);
                builder.named(path);
            }
            builder.concat();
        }
        Input::Text { name, text } => {
            let source = read::source(name, text.clone());
            builder.root(source, Path::new(name), None);
        }
    }
    // Who puts something over a playbook means to replace what it says.
    builder.once.clear();
    for over in &settings.overrides {
        match over {
            Override::Vars(path) => builder.named(path),
            Override::Set(text) => builder.set(text),
        }
    }
    builder.built
}

/// What a file is read into.
struct Destination {
    object: ObjectId,
    mount: Mount,
    depth: usize,
}

impl Destination {
    fn root() -> Destination {
        Destination { object: Tree::ROOT, mount: Mount::root(), depth: 0 }
    }
}

/// A file that is being read.
struct File {
    source: u32,
    includes: HashMap<At, bool>,
    /// Where its root is in the whole.
    mount: Mount,
    path: Option<PathBuf>,
}

impl File {
    fn pos(&self, (line, column): At) -> Pos {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Pos { source: self.source, line: number(line), column: number(column) }
    }
}

struct TreeBuilder {
    built: Built,
    /// Names that have been seen, so that each is kept once.
    names: HashSet<Arc<str>>,
    /// The files that are being read, each with the place of the include of the next.
    open: Vec<(PathBuf, Option<Place>)>,
    /// Root keys under which each of several files has its own.
    parts: Vec<Parts>,
    /// The one of them whose value is being read.
    part: Option<FieldId>,
    /// Root keys whose list stands alone, each with the place of the one that there is in this file.
    once: HashMap<String, Option<Pos>>,
    includes: usize,
    bytes: usize,
}

/// What several files have under one key of the root.
struct Parts {
    name: Arc<str>,
    fields: Vec<FieldId>,
    /// The file that is being read has had none yet.
    is_new: bool,
}

impl Parts {
    fn of(name: &str) -> Parts {
        Parts { name: name.into(), fields: Vec::new(), is_new: true }
    }
}

impl TreeBuilder {
    /// All files have been read, whose parts are one from now on.
    fn concat(&mut self) {
        for Parts { name, mut fields, .. } in std::mem::take(&mut self.parts) {
            fields.retain(|field| self.built.tree.written(*field) > 0);
            if fields.len() > 1 {
                self.built.tree.concat(&name, fields);
            }
        }
    }

    /// The part of the file that is being read, where this key of the root has one.
    fn part(&mut self, key: &str) -> Option<FieldId> {
        let parts = self.parts.iter_mut().find(|parts| *parts.name == *key)?;
        if std::mem::take(&mut parts.is_new) {
            parts.fields.push(self.built.tree.part(&parts.name));
        }
        parts.fields.last().copied()
    }

    fn problem(&mut self, problem: Problem) {
        if self.built.problems.len() < limits::PROBLEMS {
            self.built.problems.push(problem);
        }
    }

    /// A file that the user has named.
    fn named(&mut self, path: &Path) {
        let source = read::file(path, true);
        let identity = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.open.push((identity, None));
        self.root(source, path, Some(path.to_owned()));
        self.open.pop();
    }

    fn root(&mut self, source: Result<Arc<Source>, Unread>, name: &Path, path: Option<PathBuf>) {
        match source {
            Ok(source) => self.file(source, Destination::root(), path),
            Err(Unread::Missing) => {
                self.problem(Problem::new(None, format!("there is no file {}", name.display())));
            }
            Err(Unread::Because(message)) => self.problem(Problem::new(None, message)),
            Err(Unread::Text(problem)) => self.problem(problem),
        }
    }

    /// `--set key=value`
    fn set(&mut self, text: &str) {
        let name = "--set";
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
            let message = format!("`--set {text}` is not of the form `key=value`");
            return self.problem(Problem::new(None, message));
        };
        let plain = value.trim();
        let typed = plain.starts_with(['[', '{', '"'])
            || ["true", "false", "null"].contains(&plain)
            || serde_json::from_str::<serde_json::Number>(plain).is_ok();
        let value = if typed { plain.to_owned() } else { serde_json::Value::from(value).to_string() };
        let source = match read::source(name, format!("{key}={value}").into_bytes()) {
            Ok(source) => source,
            Err(Unread::Text(problem)) => return self.problem(problem),
            Err(_) => return self.problem(Problem::new(None, format!("`--set {key}=…` is too long"))),
        };
        match parse::parse(&source) {
            Ok(parsed) if matches!(parsed.fields.as_slice(), [only] if !only.key.is_empty()) => {
                self.parsed(source, parsed, Destination::root(), None);
            }
            Ok(_) => self.problem(Problem::new(parse::place(&source, 1, 1), "this is not one `key=value`")),
            Err(problems) => problems.into_iter().for_each(|problem| self.problem(problem)),
        }
    }

    /// All that a file has, into an object.
    fn file(&mut self, source: Arc<Source>, target: Destination, path: Option<PathBuf>) {
        self.bytes = self.bytes.saturating_add(source.text().len());
        if self.bytes > limits::FILES {
            let message = format!("all files together have more than {} MiB", limits::FILES >> 20);
            return self.problem(Problem::new(None, message));
        }
        match parse::parse(&source) {
            Ok(parsed) => self.parsed(source, parsed, target, path),
            Err(problems) => problems.into_iter().for_each(|problem| self.problem(problem)),
        }
    }

    fn parsed(&mut self, source: Arc<Source>, parsed: Parsed, target: Destination, path: Option<PathBuf>) {
        let number = u32::try_from(self.built.sources.len()).unwrap_or(u32::MAX);
        self.built.sources.push(source);
        let Parsed { fields, includes } = parsed;
        let file = File { source: number, includes, mount: target.mount, path };
        self.fields(&file, fields, target.object, target.depth);
    }

    fn place(&self, pos: Pos) -> Option<Place> {
        let source = self.built.sources.get(pos.source as usize)?;
        Some(parse::place(source, pos.line as usize, pos.column as usize))
    }

    fn fields(&mut self, file: &File, fields: Vec<AstField>, object: ObjectId, depth: usize) {
        for field in fields {
            if let AstNode::Include { path, pos } = &field.value {
                self.include(file, path, *pos, (object, depth));
            } else {
                self.field(file, field, object, depth);
            }
        }
    }

    fn field(&mut self, file: &File, field: AstField, object: ObjectId, depth: usize) {
        let key = file.pos(field.pos);
        let depth = depth + field.key.len();
        if field.key.len() > limits::PATH {
            let message = format!("this path has more than {} names", limits::PATH);
            return self.problem(Problem::new(self.place(key), message));
        }
        if depth > limits::DEPTH {
            return self.too_deep(key);
        }
        let outside = self.part;
        if object == Tree::ROOT
            && let Some(first) = field.key.first()
        {
            self.part = self.part(first);
            self.written_once(&field, key);
        }
        self.written(file, field, object, key, depth);
        self.part = outside;
    }

    /// Tells of a list that takes the place of another one, where nobody means that.
    fn written_once(&mut self, field: &AstField, key: Pos) {
        let ([name], AstNode::Array { items, .. }) = (field.key.as_slice(), &field.value) else { return };
        let Some(first) = self.once.get_mut(name.as_str()).filter(|_| !field.append && !items.is_empty())
        else {
            return;
        };
        let Some(first) = first.replace(key) else { return };
        let before = self.place(first).map_or_else(String::new, |place| format!(" at {place}"));
        let message = format!("this `{name}` replaces the earlier one{before}, which would be lost");
        let hint = format!("write `{name} += …` for one more, or `{name}: ${{{name}}} [ … ]` for several");
        self.problem(Problem::new(self.place(key), message).hint(hint));
    }

    /// What is written to a field, whose path is no longer than it may be.
    fn written(&mut self, file: &File, field: AstField, mut object: ObjectId, key: Pos, depth: usize) {
        let Some((last, way)) = field.key.split_last() else { return };
        for name in way {
            let name = self.name(name);
            let field = self.built.tree.entry(object, &name);
            object = self.built.tree.object_of(field, key, key, None);
        }
        let name = self.name(last);
        let id = self.built.tree.entry(object, &name);
        if field.append {
            self.item(file, &field.value);
            let node = self.node(file, field.value, id, depth);
            self.built.tree.write(id, key, Node::Append(Box::new(node)), None);
        } else {
            self.assign(file, field.value, id, key, depth);
        }
    }

    fn too_deep(&mut self, pos: Pos) {
        let message = format!("values are nested more than {} deep here", limits::DEPTH);
        self.problem(Problem::new(self.place(pos), message));
    }

    /// An item of a list is no two objects that happen to stand together: with a comma between them there would be two
    /// items, and without it one of them would be gone.
    fn item(&mut self, file: &File, item: &AstNode) {
        let AstNode::Concat { nodes, .. } = item else { return };
        let nodes: Vec<&AstNode> = nodes.iter().filter(|node| !is_space(node)).collect();
        for pair in nodes.windows(2) {
            if let [AstNode::Object { .. }, second @ AstNode::Object { .. }] = pair {
                let place = self.place(start(file, second));
                let message = "two objects stand together as one item of a list";
                let hint = "is a comma or a new line missing between them?";
                self.problem(Problem::new(place, message).hint(hint));
            }
        }
    }

    fn assign(&mut self, file: &File, value: AstNode, field: FieldId, key: Pos, depth: usize) {
        match value {
            AstNode::Object { fields, pos } => {
                let pos = file.pos(pos);
                let object = self.built.tree.object_of(field, key, pos, None);
                self.fields(file, fields, object, depth);
            }
            AstNode::Concat { nodes, .. } if is_object(&nodes) => self.layers(file, nodes, field, key, depth),
            other => {
                let node = self.node(file, other, field, depth);
                self.built.tree.write(field, key, node, None);
            }
        }
    }

    /// `${base} { … }` is written as one after the other, so that each part can be looked into on its own.
    fn layers(&mut self, file: &File, nodes: Vec<AstNode>, field: FieldId, key: Pos, depth: usize) {
        let literal = nodes.iter().all(|node| matches!(node, AstNode::Object { .. }) || is_space(node));
        let since = (!literal).then(|| self.built.tree.written(field));
        for node in nodes.into_iter().filter(|node| !is_space(node)) {
            if let AstNode::Object { fields, pos } = node {
                let pos = file.pos(pos);
                let object = self.built.tree.object_of(field, key, pos, since);
                self.fields(file, fields, object, depth);
            } else {
                let node = self.node(file, node, field, depth);
                self.built.tree.write(field, key, node, since);
            }
        }
    }

    /// A value that is not a field's object. Recursive: the token lint bounds the brackets.
    fn node(&mut self, file: &File, node: AstNode, field: FieldId, depth: usize) -> Node {
        match node {
            AstNode::Scalar { scalar, raw, pos } => Node::Plain(self.scalar(scalar, raw, file.pos(pos))),
            AstNode::Space { raw, pos } => Node::Plain(self.scalar(Scalar::Text, raw, file.pos(pos))),
            AstNode::Array { items, pos } => {
                let pos = file.pos(pos);
                let items = items.into_iter().map(|item| {
                    self.item(file, &item);
                    self.node(file, item, field, depth + 1)
                });
                Node::List(items.collect(), pos)
            }
            AstNode::Object { fields, pos } => {
                let object = self.built.tree.element(Some(field));
                self.fields(file, fields, object, depth + 1);
                Node::Object(object, file.pos(pos))
            }
            AstNode::Concat { nodes, pos } => {
                let first = nodes.first().map_or(file.pos(pos), |first| start(file, first));
                let pieces = nodes.into_iter().map(|node| {
                    let space = is_space(&node);
                    ConcatPart { node: self.node(file, node, field, depth), space }
                });
                Node::Concat(pieces.collect(), first)
            }
            AstNode::Substitution { wanted: SubstitutionToken { path, optional, numbered }, pos } => {
                let pos = file.pos(pos);
                if path.len() > limits::PATH {
                    let message = format!("this path has more than {} names", limits::PATH);
                    self.problem(Problem::new(self.place(pos), message));
                }
                let path = path.iter().take(limits::PATH).map(|name| self.name(name)).collect();
                Node::Substitution(Box::new(Substitution {
                    id: self.built.tree.substitution(),
                    mount: file.mount.clone(),
                    path,
                    optional,
                    numbered,
                    part: self.part,
                    pos,
                }))
            }
            // An include stands where a key may; the parser gives it nowhere else.
            AstNode::Include { pos, .. } => Node::Plain(Located::new(Data::Bad, file.pos(pos))),
        }
    }

    fn scalar(&mut self, scalar: Scalar, raw: String, pos: Pos) -> Located {
        let data = match scalar {
            Scalar::Null => Data::Null,
            Scalar::Boolean => Data::Bool(raw == "true"),
            Scalar::Number => Data::Number(raw.into()),
            // Short ones come again and again.
            Scalar::Text if raw.len() < 24 => Data::Text(self.name(&raw)),
            Scalar::Text => Data::Text(raw.into()),
        };
        Located::new(data, pos)
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    fn include(&mut self, file: &File, path: &str, at: At, (object, depth): (ObjectId, usize)) {
        let optional = file.includes.get(&at).copied().unwrap_or(false);
        let place = self.place(file.pos(at));
        let found = read::included(file.path.as_deref(), path);
        let identity = std::fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
        self.includes += 1;
        if let Some(mistake) = self.refused(&found, &identity, optional) {
            let problem = Problem::new(place, mistake);
            let way = self.way();
            return self.problem(if way.is_empty() { problem } else { problem.hint(way) });
        }
        let problem = match read::file(&found, false) {
            Ok(source) => {
                let target = Destination { object, mount: self.built.tree.mount(object), depth };
                self.open.push((identity, place));
                self.file(source, target, Some(found));
                self.open.pop();
                return;
            }
            Err(Unread::Missing) if optional => return,
            Err(Unread::Missing) => {
                let how = format!("write `include optional(\"{path}\")` if it may be missing");
                let way = self.way();
                let hint = if way.is_empty() { how } else { format!("{way}; {how}") };
                Problem::new(place, format!("there is no file {}", found.display())).hint(hint)
            }
            Err(Unread::Because(message)) => Problem::new(place, message),
            Err(Unread::Text(problem)) => problem,
        };
        self.problem(problem);
    }

    /// Why a file is not included, if it exists or not.
    fn refused(&self, found: &Path, identity: &Path, optional: bool) -> Option<String> {
        if self.open.iter().any(|(open, _)| open == identity) {
            let names = self.open.iter().map(|(open, _)| open.as_path()).skip_while(|open| *open != identity);
            let names: Vec<String> =
                names.chain([identity]).map(|name| short(name).display().to_string()).collect();
            return Some(format!("this include leads back to itself: {}", names.join(" -> ")));
        }
        if self.open.len() > limits::INCLUDE_DEPTH {
            return Some(format!("files include each other more than {} deep", limits::INCLUDE_DEPTH));
        }
        if self.includes > limits::INCLUDES {
            return Some(format!("files are included more than {} times", limits::INCLUDES));
        }
        let properties = found.extension().is_some_and(|extension| extension == "properties");
        (properties && !optional).then(|| "property files cannot be included".to_owned())
    }

    /// How the file that is being read was come to; empty in the one that the user has named.
    fn way(&self) -> String {
        let includes: Vec<String> =
            self.open.iter().rev().filter_map(|(_, place)| Some(place.as_ref()?.to_string())).collect();
        if includes.is_empty() { String::new() } else { format!("included at {}", includes.join(", at ")) }
    }
}

/// Relative to the working directory, where it is below that.
fn short(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| path.to_owned())
}

fn is_space(node: &AstNode) -> bool {
    matches!(node, AstNode::Space { .. })
}

/// Whether pieces that stand together can only be an object.
fn is_object(nodes: &[AstNode]) -> bool {
    let fits = |node: &AstNode| {
        is_space(node) || matches!(node, AstNode::Object { .. } | AstNode::Substitution { .. })
    };
    nodes.iter().all(fits) && nodes.iter().any(|node| matches!(node, AstNode::Object { .. }))
}

fn start(file: &File, node: &AstNode) -> Pos {
    file.pos(node.pos())
}
