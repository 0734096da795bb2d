//! Values that stand together: text joins to text, lists to lists, objects merge.

use std::sync::Arc;

use super::located::{Data, Located, Member, Pos};
use super::template::Template;

/// What joining it costs: its own part, not what it shares.
pub(super) fn weight(val: &Located) -> usize {
    match &val.data {
        Data::List(list) => 64 + 32 * list.items.len(),
        Data::Object(object) => 64 + 64 * object.members.len(),
        Data::Template(_) => val.size().weight,
        _ => val.written().map_or(0, str::len),
    }
}

/// One value of several, white space between them marked; `None` of none. Else the place of what does not fit, and why.
pub(super) fn concat(mut vals: Vec<(Located, bool)>, pos: Pos) -> Result<Option<Located>, (Pos, String)> {
    if vals.len() < 2 {
        return Ok(vals.pop().map(|(val, _)| val));
    }
    if let Some((bad, _)) = vals.iter().find(|(val, _)| val.is_bad()) {
        return Ok(Some(bad.clone()));
    }
    if vals.iter().all(|(val, _)| val.written().is_some()) {
        let text: String = vals.iter().filter_map(|(val, _)| val.written()).collect();
        return Ok(Some(Located::new(Data::Text(text.into()), pos)));
    }
    if vals.iter().all(|(val, _)| val.is_scalar()) {
        let mut template = Template::default();
        vals.iter().for_each(|(val, _)| val.append_to(&mut template));
        return Ok(Some(Located::new(Data::Template(Arc::new(template)), pos)));
    }
    let mut parts = vals.into_iter().filter(|(_, space)| !space).map(|(val, _)| val);
    let Some(mut joined) = parts.next() else { return Ok(None) };
    let mut items: Option<Vec<Located>> = None;
    for part in parts {
        let whats = (if items.is_some() { "a list" } else { joined.what() }, part.what());
        let at = part.pos;
        if items.is_none() && matches!((&joined.data, &part.data), (Data::Object(_), Data::Object(_))) {
            joined = merge(&joined, part);
            continue;
        }
        if items.is_none() && joined.is_scalar() && part.is_scalar() {
            // Text it stays; which of the parts does not go with it is still to come.
            joined = Located::new(Data::Text("".into()), joined.pos);
            continue;
        }
        let before = items.take().or_else(|| elements(&joined));
        match (before, elements(&part)) {
            (Some(mut all), Some(more)) => {
                all.extend(more);
                items = Some(all);
            }
            _ => return Err((at, format!("{} and {} cannot be joined", whats.0, whats.1))),
        }
    }
    Ok(Some(items.map_or(joined, |items| Located::list(items, pos))))
}

/// The items of a list, or of an object whose keys are numbers, in their order.
pub(super) fn elements(val: &Located) -> Option<Vec<Located>> {
    match &val.data {
        Data::List(list) => Some(list.items.clone()),
        Data::Object(object) => {
            let numbered = object.members.iter().filter_map(|(key, member)| Some((number(key)?, member)));
            let mut numbered: Vec<(u32, &Member)> = numbered.collect();
            numbered.sort_by_key(|(number, _)| *number);
            let items: Vec<Located> = numbered.into_iter().map(|(_, member)| member.val.clone()).collect();
            (!items.is_empty()).then_some(items)
        }
        _ => None,
    }
}

fn number(key: &str) -> Option<u32> {
    key.bytes().all(|byte| byte.is_ascii_digit()).then(|| key.parse().ok())?
}

/// An object with another over it. Recursive: no value is deeper than was allowed when it was made.
pub(super) fn merge(under: &Located, over: Located) -> Located {
    let (Data::Object(below), Data::Object(above)) = (&under.data, &over.data) else { return over };
    if above.closed {
        return over;
    }
    let mut members = below.members.clone();
    for (name, member) in above.members.iter() {
        match members.get_mut(name) {
            Some(known) => {
                known.val = merge(&known.val, member.val.clone());
                known.key = member.key;
            }
            None => {
                members.insert(name.clone(), member.clone());
            }
        }
    }
    let merged = Located::object_of(members, below.closed, over.pos);
    Located { origin: over.origin, ..merged }
}
