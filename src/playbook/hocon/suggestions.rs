//! What may have been meant by a path that leads nowhere.

use std::sync::Arc;

use super::path::written_path;
use super::settings::Settings;
use super::tree::{Node, ObjectId, Substitution, Tree};
use crate::suggest;

/// What to do about a substitution of what is not there.
pub(super) fn undefined(wanted: &Substitution, tree: &Tree, settings: &Settings) -> String {
    if let Some(variables) = settings.variables.as_deref()
        && wanted.path.first().is_some_and(|first| is_variable(tree, variables, first))
    {
        let full: Vec<Arc<str>> =
            std::iter::once(Arc::from(variables)).chain(wanted.path.iter().cloned()).collect();
        return format!("did you mean `${{{}}}`?", written_path(&full));
    }
    match similar(&wanted.path, tree, settings) {
        Some(known) => format!("did you mean `${{{known}}}`?"),
        None => {
            let name = written_path(&wanted.path);
            format!("give it with `--set {name}=…`, or write `${{?{name}}}` for what may be missing")
        }
    }
}

/// Whether it is a name below a root key.
fn is_variable(tree: &Tree, variables: &str, name: &Arc<str>) -> bool {
    let objects = literal(tree, Tree::ROOT, &Arc::from(variables));
    objects.iter().any(|object| tree.members(*object).get(name).is_some())
}

/// With so many names nobody knows which was meant.
const COMPARED: usize = 2_000;

/// The path that is nearest to this one: the same up to the first name that is not known.
fn similar(names: &[Arc<str>], tree: &Tree, settings: &Settings) -> Option<String> {
    let mut objects: Vec<ObjectId> = vec![Tree::ROOT];
    let mut given: Option<&serde_json::Map<String, serde_json::Value>> = None;
    for (index, name) in names.iter().enumerate() {
        let below: Vec<ObjectId> = objects.iter().flat_map(|object| literal(tree, *object, name)).collect();
        let known = objects.iter().any(|object| tree.members(*object).get(name).is_some());
        let below_given =
            if index == 0 { settings.given.get(name.as_ref()) } else { given?.get(name.as_ref()) };
        if known || below_given.is_some() {
            (objects, given) = (below, below_given.and_then(serde_json::Value::as_object));
            if objects.is_empty() && given.is_none() {
                return None;
            }
            continue;
        }
        let mine = objects.iter().flat_map(|object| tree.members(*object).keys()).map(AsRef::as_ref);
        let mine = mine.take(COMPARED);
        let theirs = given.into_iter().flat_map(|given| given.keys()).map(String::as_str);
        let first = index == 0;
        let outside = settings.given.keys().chain(settings.environment.keys()).map(String::as_str);
        let outside = outside.filter(|_| first);
        let found = suggest::nearest(name, mine.chain(theirs).chain(outside))?;
        let full: Vec<Arc<str>> = names[..index].iter().cloned().chain([Arc::from(found)]).collect();
        return Some(written_path(&full));
    }
    None
}

/// The objects that were written to a member of an object.
fn literal(tree: &Tree, object: ObjectId, name: &Arc<str>) -> Vec<ObjectId> {
    let field = tree.members(object).get(name);
    let writes = field.into_iter().flat_map(|field| &tree.field(*field).writes);
    let objects = writes.filter_map(|write| match write.node {
        Node::Object(object, _) => Some(object),
        _ => None,
    });
    objects.collect()
}
