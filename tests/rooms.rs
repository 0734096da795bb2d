//! The rooms of the source: imports go down the layers, and no two files import each other, also not over a third.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The layers of the library, from the top. Rooms of one line may import each other as long as there is no circle.
const LAYERS: &[&[&str]] = &[
    &["lib"],
    &["cli", "testing"],
    &["conductor"],
    &["board"],
    &["flow", "playbook"],
    &["view"],
    &["host"],
    &["engine"],
    &["report"],
    &["graph"],
    &["job"],
    &["context"],
    &["event"],
    &["diagnostic"],
    &["secret", "clock", "digest", "panics", "suggest", "units"],
];

/// A path of module names from the root of its crate, which is empty.
type Module = Vec<String>;

fn files_beneath(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    for entry in entries {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files_beneath(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn module_of(root: &Path, file: &Path) -> Module {
    let inside = file.strip_prefix(root).expect("the file is beneath its root").with_extension("");
    let names: Vec<String> =
        inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    match names.as_slice() {
        [only] if only == "lib" || only == "main" => Vec::new(),
        _ => names,
    }
}

/// The modules of a crate by name, each with its file.
fn modules(root: &Path) -> BTreeMap<Module, PathBuf> {
    let mut files = Vec::new();
    files_beneath(root, &mut files);
    files.into_iter().map(|file| (module_of(root, &file), file)).collect()
}

/// All paths that begin with `crate`, `self`, `super` or a module that the file declares, anywhere in a file but in its own
/// test modules.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
    /// The modules that the file declares.
    children: BTreeSet<String>,
    /// The module that is read: that of the file, or one that is written out in it.
    inside: Module,
}

impl Paths {
    fn collect(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(after) = end_of_test_module(&tokens[at..]) {
                at += after;
                continue;
            }
            match &tokens[at] {
                // `$crate` in a macro is for those who call it.
                TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                    at += if matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))) { 2 } else { 1 };
                }
                TokenTree::Ident(name) if self.begins(&name.to_string()) && is_separator(&tokens, at + 1) => {
                    // What stands behind `::` is a part of a path from elsewhere.
                    let is_part = at >= 2 && is_separator(&tokens, at - 2);
                    at = if is_part { at + 1 } else { self.path(&tokens, at, Vec::new()) };
                }
                TokenTree::Group(group) => {
                    let name = name_of_module(&tokens[..at]);
                    self.inside.extend(name.clone());
                    self.collect(group.stream());
                    self.inside.truncate(self.inside.len() - usize::from(name.is_some()));
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    fn begins(&self, name: &str) -> bool {
        ["crate", "self", "super"].contains(&name) || self.children.contains(name)
    }

    /// Reads a path, or a tree of paths as `use` has them, and says where it ends.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, mut path: Vec<String>) -> usize {
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(name)) => path.push(name.to_string().replace("r#", "")),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is_punctuation(token, ',')) {
                        if !branch.is_empty() {
                            self.path(branch, 0, path.clone());
                        }
                    }
                    return at + 1;
                }
                _ => {}
            }
            if !is_separator(tokens, at + 1) {
                self.found.push(absolute(&self.inside, &path));
                return at + 1;
            }
            at += 3;
        }
    }
}

fn is_punctuation(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == wanted)
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|pair| pair.iter().all(|token| is_punctuation(token, ':')))
}

/// How many tokens `#[cfg(test)] mod name { … }` takes, where they stand first.
fn end_of_test_module(tokens: &[TokenTree]) -> Option<usize> {
    let [hash, TokenTree::Group(attribute), TokenTree::Ident(keyword), _, TokenTree::Group(_), ..] = tokens
    else {
        return None;
    };
    let is_test = attribute.stream().to_string().replace(' ', "") == "cfg(test)";
    (is_punctuation(hash, '#') && is_test && *keyword == "mod").then_some(5)
}

/// The name of the module whose braces come next.
fn name_of_module(before: &[TokenTree]) -> Option<String> {
    match before {
        [.., TokenTree::Ident(keyword), TokenTree::Ident(name)]
        | [.., TokenTree::Ident(keyword), TokenTree::Punct(_), TokenTree::Ident(name)]
            if *keyword == "mod" =>
        {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// The modules that are declared as `mod name;`.
fn children(tokens: &[TokenTree]) -> BTreeSet<String> {
    let declared = tokens.windows(3).filter_map(|three| match three {
        [TokenTree::Ident(keyword), TokenTree::Ident(name), end]
            if *keyword == "mod" && is_punctuation(end, ';') =>
        {
            Some(name.to_string())
        }
        _ => None,
    });
    declared.collect()
}

/// The path from the root of the crate.
fn absolute(inside: &Module, path: &[String]) -> Module {
    let mut whole = if path[0] == "crate" { Vec::new() } else { inside.clone() };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(whole.pop()),
            name => whole.push(name.to_owned()),
        }
    }
    whole
}

/// The file that a path leads to: the longest beginning of it that is one.
fn target(modules: &BTreeMap<Module, PathBuf>, path: &[String]) -> Option<Module> {
    (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| modules.contains_key(module))
}

/// Which modules each module imports, without those of tests.
fn imports(modules: &BTreeMap<Module, PathBuf>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut all = BTreeMap::new();
    for (module, file) in modules {
        if module.iter().any(|name| name == "tests" || name.ends_with("_tests")) {
            continue;
        }
        let text = fs::read_to_string(file).expect("the file can be read");
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let children = children(&tokens.clone().into_iter().collect::<Vec<_>>());
        let mut paths = Paths { inside: module.clone(), children, ..Paths::default() };
        paths.collect(tokens);
        let targets = paths.found.iter().filter_map(|path| target(modules, path));
        all.insert(module.clone(), targets.filter(|target| target != module).collect::<BTreeSet<_>>());
    }
    all
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

/// A line for each set of files that import each other, with the imports between them.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut graph = DiGraph::<&Module, ()>::new();
    let nodes: BTreeMap<&Module, _> = imports.keys().map(|module| (module, graph.add_node(module))).collect();
    for (from, targets) in imports {
        for to in targets.iter().filter_map(|to| nodes.get(to)) {
            graph.add_edge(nodes[from], *to, ());
        }
    }
    let mut found = Vec::new();
    for circle in tarjan_scc(&graph).iter().filter(|circle| circle.len() > 1) {
        let members: BTreeSet<&Module> = circle.iter().map(|node| graph[*node]).collect();
        let edges = members.iter().map(|from| {
            let to = imports[*from].iter().filter(|to| members.contains(to)).map(shown);
            format!("    {} imports {}", shown(from), to.collect::<Vec<_>>().join(", "))
        });
        found.push(format!("files import each other:\n{}", edges.collect::<Vec<_>>().join("\n")));
    }
    found
}

fn layer(module: &Module) -> usize {
    let room = module.first().map_or("lib", String::as_str);
    let found = LAYERS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| panic!("the room `{room}` has no layer: name it in `LAYERS` and CONTRIBUTING.md"))
}

fn upward(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let pairs = imports.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
    let up = pairs.filter(|(from, to)| layer(to) < layer(from));
    up.map(|(from, to)| format!("an import goes up: {} imports {}", shown(from), shown(to))).collect()
}

fn source(folder: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    imports(&modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)))
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn imports_of_the_library_go_down_the_layers() {
    assert_none(&upward(&source("src")));
}

#[test]
fn no_files_of_the_library_import_each_other() {
    assert_none(&circles(&source("src")));
}

#[test]
fn no_files_of_the_jobs_import_each_other() {
    assert_none(&circles(&source("jobs/src")));
}

/// A crate that is written to a folder, and what is found in it.
fn found_in(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }
    let imports = imports(&modules(folder.path()));
    (circles(&imports), upward(&imports))
}

#[test]
fn a_circle_over_a_third_file_is_found_with_its_files() {
    let (circles, upward) = found_in(&[
        ("lib.rs", "mod job; mod graph;"),
        ("job.rs", "mod a; mod b; mod c;"),
        ("job/a.rs", "use super::b::{self, X};"),
        ("job/b.rs", "fn f() -> crate::job::c::Y { Default::default() }"),
        ("job/c.rs", "use std::fmt; use super::{b::Z, a};"),
        ("graph.rs", "use crate::job::a;"),
    ]);
    assert_eq!(
        circles,
        [
            "files import each other:\n    job/a imports job/b\n    job/b imports job/c\n    job/c imports job/a, job/b"
        ]
    );
    assert_eq!(upward, [""; 0]);
}

#[test]
fn a_parent_and_its_child_are_a_circle_and_tests_are_none() {
    let (circles, _) = found_in(&[
        ("job.rs", "mod a; fn f() { a::g() }"),
        ("job/a.rs", "use super::B;"),
        ("graph.rs", "mod names; use self::names::N;"),
        ("graph/names.rs", "#[cfg(test)] mod tests { use super::super::M; } mod inner { use super::N; }"),
    ]);
    assert_eq!(circles, ["files import each other:\n    job imports job/a\n    job/a imports job"]);
}

#[test]
fn an_import_that_goes_up_is_found_in_expressions_and_macros_too() {
    let (_, upward) = found_in(&[
        (
            "job.rs",
            "macro_rules! m { () => { $crate::engine::x() } } fn f() { crate::graph::names::g::<u8>() }",
        ),
        ("graph.rs", ""),
        ("graph/names.rs", "// crate::engine\n const TEXT: &str = \"crate::engine\";"),
        ("engine.rs", "use crate::graph; use crate::{event, job::X};"),
        ("event.rs", "use crate::engine::E;"),
    ]);
    assert_eq!(
        upward,
        ["an import goes up: event imports engine", "an import goes up: job imports graph/names"]
    );
}
