//! Settings in YAML: the places are found by a parser, and the text is changed there and nowhere else.
//!
//! A subset is edited, and the rest is an error: values on one line or in brackets, in mappings of any depth. (Libraries
//! that edit a tree of YAML lose comments or break the indentation of what is added.)

mod node;

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

use self::node::{Node, NodeKind, Style, is_plain_text, read};
use super::json::nested;
use super::tree;
use crate::value::Value;

/// How far the inner mapping is indented where the text has none to learn from.
const STEP: usize = 2;

pub(super) fn parse(text: &str) -> Result<Value> {
    read(text)?.map_or(Ok(Value::Null), |root| root.value())
}

/// Refuses numbers that readers of YAML do not agree on.
pub(super) fn validate(wanted: &Value) -> Result<()> {
    wanted.validate_numbers("YAML")?;
    match wanted.find_number(&|number| node::is_other_number_in_1_1(number.as_str())) {
        Some(number) => bail!("{number} is a text for readers of YAML 1.1; write it as in `1.0e+3`"),
        None => Ok(()),
    }
}

/// Whether readers of YAML 1.1, for whom `yes` is a truth value, understand it, too.
pub(super) fn is_plain_to_all(text: &str, names: &[String], wanted: &Value) -> Result<bool> {
    let Some(root) = read(text)? else { return Ok(true) };
    let mut node = &root;
    for (depth, name) in names.iter().enumerate() {
        node = match step(node, names, depth, name)? {
            Step::Into(next) => next,
            Step::Missing => return Ok(true),
        };
    }
    Ok(match (&node.kind, wanted) {
        (NodeKind::Scalar(scalar, Style::Plain), Value::String(_)) => !node::is_other_in_1_1(scalar),
        (NodeKind::Scalar(scalar, Style::Plain), Value::Number(_)) => !node::is_other_number_in_1_1(scalar),
        _ => true,
    })
}

/// Refuses what would come from a merge key, or hide all that does, for readers that know it: `<<: *base`.
pub(super) fn refuse_merged(text: &str, names: &[String], wanted: Option<&Value>) -> Result<()> {
    let Some(root) = read(text)? else { return Ok(()) };
    let mut node = &root;
    for (depth, name) in names.iter().enumerate() {
        match step(node, names, depth, name)? {
            Step::Into(next) => node = next,
            Step::Missing => {
                // One that is set itself hides the merged one of its name, and nothing else.
                let is_own = depth + 1 == names.len() && wanted.is_some();
                ensure!(
                    is_own || !node.merges(),
                    "`{}` may come from the merge key `<<` beside it; edit it by hand",
                    names[..=depth].join(".")
                );
                return Ok(());
            }
        }
    }
    Ok(())
}

enum Step<'n> {
    Into(&'n Node),
    Missing,
}

fn step<'n>(node: &'n Node, names: &[String], depth: usize, name: &str) -> Result<Step<'n>> {
    match &node.kind {
        NodeKind::Map { entries, .. } => {
            let found = entries.iter().find(|(key, _)| key.text() == Some(name));
            Ok(found.map_or(Step::Missing, |(_, value)| Step::Into(value)))
        }
        NodeKind::Sequence { items, .. } => Ok(Step::Into(&items[tree::index(items.len(), names, depth)?])),
        NodeKind::Scalar(..) if node.is_null() => Ok(Step::Missing),
        NodeKind::Scalar(..) => bail!("`{}` has no `{name}`", names[..depth].join(".")),
        NodeKind::Alias(_) => {
            bail!("`{}` is an alias of something else in the file; edit it by hand", names[..depth].join("."))
        }
    }
}

pub(super) fn edit(text: &str, names: &[String], wanted: Option<&Value>) -> Result<String> {
    let text = Text { text, end: if text.contains("\r\n") { "\r\n" } else { "\n" } };
    let Some(root) = read(text.text)? else { return Ok(text.at_the_end(&block(names, wanted, 0, STEP)?)) };
    if root.is_null() && !root.is_decorated {
        return Ok(text.at_the_end(&block(names, wanted, 0, STEP)?));
    }
    let width = root.step().unwrap_or(STEP);
    // The node, and the mapping's entry that it is the value of.
    let mut node = &root;
    let mut entry: Option<(&Node, &Node)> = None;
    for (depth, name) in names.iter().enumerate() {
        ensure!(
            node.anchor == 0 || !root.has_alias_of(node.anchor),
            "{} has an anchor, and an alias of it stands elsewhere in the file, which would change as well; edit it by hand",
            if depth == 0 { "the document".to_owned() } else { format!("`{}`", names[..depth].join(".")) }
        );
        let rest = &names[depth..];
        if depth + 1 == names.len() && wanted.is_none() {
            return text.remove(node, entry, names, depth);
        }
        if node.is_null() {
            return text.fill(node, entry, rest, wanted, width);
        }
        match step(node, names, depth, name)? {
            Step::Missing => return text.insert(node, rest, wanted, width),
            Step::Into(next) => {
                entry = match &node.kind {
                    NodeKind::Map { entries, .. } => {
                        entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(key, _)| (node, key))
                    }
                    _ => None,
                };
                node = next;
            }
        }
    }
    let wanted = wanted.context("there is nothing to set")?;
    text.replace(node, entry, wanted)
}

struct Text<'t> {
    text: &'t str,
    end: &'static str,
}

impl Text<'_> {
    fn splice(&self, range: Range<usize>, new: &str) -> String {
        format!("{}{new}{}", &self.text[..range.start], &self.text[range.end..])
    }

    /// The end of the line that `at` is in, without what ends it.
    fn line_end(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        let end = at + rest.find('\n').unwrap_or(rest.len());
        if self.text[..end].ends_with('\r') { end - 1 } else { end }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    /// With these lines behind the line that `at` is in.
    fn lines_after(&self, at: usize, lines: &[String]) -> String {
        let end = self.line_end(at);
        let new: String = lines.iter().map(|line| format!("{}{line}", self.end)).collect();
        self.splice(end..end, &new)
    }

    fn at_the_end(&self, lines: &[String]) -> String {
        let mut text = self.text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text += self.end;
        }
        lines.iter().for_each(|line| text += &format!("{line}{}", self.end));
        text
    }

    /// Behind the colon of an entry.
    fn behind_colon(&self, key: &Node) -> Result<usize> {
        let rest = &self.text[key.range.end..];
        let colon = rest.find(|c: char| !matches!(c, ' ' | '\t')).filter(|at| rest[*at..].starts_with(':'));
        Ok(key.range.end + colon.context("the colon behind its name was not found; edit it by hand")? + 1)
    }

    fn replace(&self, node: &Node, entry: Option<(&Node, &Node)>, wanted: &Value) -> Result<String> {
        ensure!(!node.is_decorated, "its value has an anchor or a tag; edit it by hand");
        let style = match &node.kind {
            NodeKind::Scalar(text, Style::Plain) if text.is_empty() => {
                let (_, key) =
                    entry.context("it is empty, and has no name to be put behind; edit it by hand")?;
                let at = self.behind_colon(key)?;
                return Ok(self.splice(at..at, &format!(" {}", flow(wanted, Style::Plain)?)));
            }
            NodeKind::Scalar(_, style @ (Style::Plain | Style::Single | Style::Double)) => *style,
            NodeKind::Map { is_flow: true, .. } | NodeKind::Sequence { is_flow: true, .. } => Style::Plain,
            NodeKind::Alias(_) => {
                bail!("its value is an alias of something else in the file; edit it by hand")
            }
            _ => bail!("its value is written on lines of its own; edit it by hand"),
        };
        Ok(self.splice(node.range.clone(), &flow(wanted, style)?))
    }

    /// Puts a mapping in the place of nothing.
    fn fill(
        &self,
        node: &Node,
        entry: Option<(&Node, &Node)>,
        names: &[String],
        wanted: Option<&Value>,
        width: usize,
    ) -> Result<String> {
        ensure!(
            !node.is_decorated,
            "`{}` has to be in what has an anchor or a tag; edit it by hand",
            names[0]
        );
        let is_empty = matches!(&node.kind, NodeKind::Scalar(text, _) if text.is_empty());
        let Some((map, key)) = entry.filter(|_| is_empty) else {
            return self.replace(node, entry, &nested(names, wanted));
        };
        if matches!(map.kind, NodeKind::Map { is_flow: true, .. }) {
            return self.replace(node, entry, &nested(names, wanted));
        }
        let column = self.column(key.range.start) + width;
        Ok(self.lines_after(key.range.end, &block(names, wanted, column, width)?))
    }

    fn insert(&self, map: &Node, names: &[String], wanted: Option<&Value>, width: usize) -> Result<String> {
        let NodeKind::Map { entries, is_flow } = &map.kind else { bail!("there is no place for it") };
        if *is_flow {
            let pair = format!(
                "{}: {}",
                scalar(&names[0], Style::Plain),
                flow(&nested(&names[1..], wanted), Style::Plain)?
            );
            return Ok(match entries.last() {
                Some((_, value)) => self.splice(value.range.end..value.range.end, &format!(", {pair}")),
                None => {
                    let open = map.range.end - 1;
                    self.splice(open..open, &pair)
                }
            });
        }
        let (Some((first, _)), Some((key, value))) = (entries.first(), entries.last()) else {
            bail!("there is no place for it")
        };
        let column = self.column(first.range.start);
        let lines = block(names, wanted, column, width)?;
        let end = value.last().range.end.max(key.range.end);
        Ok(self.lines_after(end, &lines))
    }

    fn remove(
        &self,
        node: &Node,
        entry: Option<(&Node, &Node)>,
        names: &[String],
        depth: usize,
    ) -> Result<String> {
        let name = &names[depth];
        let NodeKind::Map { entries, is_flow } = &node.kind else {
            bail!("entries of a list are not removed; edit it by hand")
        };
        let place = entries.iter().position(|(key, _)| key.text() == Some(name.as_str()));
        let place = place.context("it is not there")?;
        let (key, value) = &entries[place];
        let end = value.last().range.end.max(key.range.end);
        if *is_flow {
            let range =
                match (place.checked_sub(1).and_then(|before| entries.get(before)), entries.get(place + 1)) {
                    (_, Some((next, _))) => key.range.start..next.range.start,
                    (Some((_, before)), None) => before.range.end..end,
                    (None, None) => key.range.start..end,
                };
            return Ok(self.splice(range, ""));
        }
        let start = self.line_start(key.range.start);
        ensure!(
            self.text[start..key.range.start].trim().is_empty(),
            "it is behind the dash of a list's entry; edit it by hand"
        );
        let line_end = self.line_end(end);
        let rest = &self.text[line_end..];
        let newline = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let without = self.splice(start..line_end + newline, "");
        match entry {
            Some((_, parent)) if entries.len() == 1 => {
                let at = self.behind_colon(parent)?;
                Ok(format!("{} {{}}{}", &without[..at], &without[at..]))
            }
            _ => Ok(without),
        }
    }
}

/// Lines of mappings, one inside of the other.
fn block(names: &[String], wanted: Option<&Value>, column: usize, width: usize) -> Result<Vec<String>> {
    let Some((last, way)) = names.split_last() else { return Ok(Vec::new()) };
    let line = |depth: usize, name: &str| {
        format!("{}{}:", " ".repeat(column + depth * width), scalar(name, Style::Plain))
    };
    let mut lines: Vec<String> = way.iter().enumerate().map(|(depth, name)| line(depth, name)).collect();
    let value = flow(wanted.unwrap_or(&Value::Null), Style::Plain)?;
    lines.push(format!("{} {value}", line(way.len(), last)));
    Ok(lines)
}

/// On one line, lists and objects in brackets.
fn flow(value: &Value, style: Style) -> Result<String> {
    Ok(match value {
        Value::String(text) => scalar(text, style),
        Value::Array(values) => {
            let values: Result<Vec<_>> = values.iter().map(|value| flow(value, Style::Plain)).collect();
            format!("[{}]", values?.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                Ok(format!("{}: {}", scalar(name, Style::Plain), flow(value, Style::Plain)?))
            });
            format!("{{{}}}", fields.collect::<Result<Vec<_>>>()?.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    })
}

/// A text, without quotes where all readers take it for that; else in those that were there, or in double ones, in which
/// every text has a place as JSON writes it.
fn scalar(text: &str, style: Style) -> String {
    match style {
        Style::Single if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', "''")),
        Style::Plain if is_plain_text(text) => text.to_owned(),
        _ => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    const TEXT: &str = "# top\na: 1  # one\nb:\n  c: \"x\" # q\n  d: |\n    text\n\n    more\n\n  # tail\ne: {f: 1, g: [2, 3]} # e\nh:   # empty\ni:\n- 1\n- j: 2\n  k: 'ä'\nl: &x 5\nm: *x\nn: !t z\no: ~\np: no\n";

    fn try_edit(text: &str, key: &str, wanted: Option<Json>) -> Result<String> {
        let names: Vec<String> = key.split('.').map(str::to_owned).collect();
        let wanted = wanted.map(Value::from);
        let mut tree = parse(text)?;
        let edited = edit(text, &names, wanted.as_ref())?;
        tree::set(&mut tree, &names, wanted.as_ref())?;
        let again = parse(&edited).with_context(|| edited.clone())?;
        assert!(tree::is_same_document(&again, &tree, true), "{edited}\n{again}\n{tree}");
        Ok(edited)
    }

    fn edited(text: &str, key: &str, wanted: Json) -> String {
        try_edit(text, key, Some(wanted)).unwrap()
    }

    fn removed(text: &str, key: &str) -> String {
        try_edit(text, key, None).unwrap()
    }

    #[test]
    fn a_value_is_replaced_in_its_place() {
        assert_eq!(edited(TEXT, "a", json!(2)), TEXT.replace("a: 1", "a: 2"));
        assert_eq!(edited(TEXT, "b.c", json!("y \"z\"")), TEXT.replace("\"x\"", "\"y \\\"z\\\"\""));
        assert_eq!(edited(TEXT, "e.g.1", json!(null)), TEXT.replace("3]", "null]"));
        assert_eq!(edited(TEXT, "e.g", json!(["a b", true])), TEXT.replace("[2, 3]", "[a b, true]"));
        assert_eq!(edited(TEXT, "h", json!("x")), TEXT.replace("h:   #", "h: x   #"));
        assert_eq!(edited(TEXT, "i.0", json!(9)), TEXT.replace("- 1\n", "- 9\n"));
        assert_eq!(edited(TEXT, "i.1.k", json!("it's")), TEXT.replace("'ä'", "'it''s'"));
        assert_eq!(edited(TEXT, "o", json!({"q": 1})), TEXT.replace('~', "{q: 1}"));
        assert_eq!(edited(TEXT, "p", json!("no")), TEXT.replace("p: no", "p: \"no\""));
        let crlf = "a: 1\r\nb: 2\r\n";
        assert_eq!(edited(crlf, "a", json!(3)), "a: 3\r\nb: 2\r\n");
    }

    #[test]
    fn what_is_new_comes_behind_its_neighbours() {
        assert_eq!(edited(TEXT, "b.z", json!(1)), TEXT.replace("    more\n", "    more\n  z: 1\n"));
        assert_eq!(edited(TEXT, "e.z", json!("x")), TEXT.replace("3]}", "3], z: x}"));
        assert_eq!(edited(TEXT, "h.w.z", json!(1)), TEXT.replace("# empty\n", "# empty\n  w:\n    z: 1\n"));
        assert_eq!(edited(TEXT, "i.1.z", json!(1)), TEXT.replace("'ä'\n", "'ä'\n  z: 1\n"));
        assert_eq!(edited(TEXT, "o.z", json!(1)), TEXT.replace('~', "{z: 1}"));
        assert_eq!(edited(TEXT, "z.w", json!(1)), format!("{TEXT}z:\n  w: 1\n"));
        assert_eq!(edited("a: 1", "b", json!(2)), "a: 1\nb: 2");
        assert_eq!(
            edited("a:\r\n    b: 1\r\n", "a.c.d", json!(2)),
            "a:\r\n    b: 1\r\n    c:\r\n        d: 2\r\n"
        );
        assert_eq!(edited("a: {}\n", "a.b", json!(1)), "a: {b: 1}\n");
        assert_eq!(edited("a: 'x'  # one\n", "b", json!(2)), "a: 'x'  # one\nb: 2\n");
        for empty in ["", "# only a comment\n", "---\n", "--- # x\n"] {
            assert_eq!(edited(empty, "a.b", json!(1)), format!("{empty}a:\n  b: 1\n"));
        }
        assert_eq!(edited("a: 1\n...\n", "b", json!(2)), "a: 1\nb: 2\n...\n");
    }

    #[test]
    fn what_goes_is_its_lines() {
        assert_eq!(removed(TEXT, "a"), TEXT.replace("a: 1  # one\n", ""));
        assert_eq!(removed(TEXT, "b.d"), TEXT.replace("  d: |\n    text\n\n    more\n", ""));
        assert_eq!(
            removed(TEXT, "b"),
            TEXT.replace("b:\n  c: \"x\" # q\n  d: |\n    text\n\n    more\n", "")
        );
        assert_eq!(removed(TEXT, "e.f"), TEXT.replace("f: 1, ", ""));
        assert_eq!(removed(TEXT, "e.g"), TEXT.replace(", g: [2, 3]", ""));
        assert_eq!(removed(TEXT, "i.1.k"), TEXT.replace("  k: 'ä'\n", ""));
        assert_eq!(removed("a:\n  b: 1\nc: 2\n", "a.b"), "a: {}\nc: 2\n");
        assert_eq!(removed("a: {b: 1}\n", "a.b"), "a: {}\n");
        assert_eq!(removed("a: 1\n", "a"), "");
    }

    #[test]
    fn what_cannot_be_kept_is_an_error() {
        let error = |key: &str, wanted| format!("{:#}", try_edit(TEXT, key, wanted).unwrap_err());
        let one = || Some(json!(1));
        assert_eq!(error("b", one()), "its value is written on lines of its own; edit it by hand");
        assert_eq!(error("b.d", one()), "its value is written on lines of its own; edit it by hand");
        assert_eq!(error("l", one()), "its value has an anchor or a tag; edit it by hand");
        assert_eq!(error("n", one()), "its value has an anchor or a tag; edit it by hand");
        assert_eq!(error("m", one()), "its value is an alias of something else in the file; edit it by hand");
        assert_eq!(error("m.z", one()), "`m` is an alias of something else in the file; edit it by hand");
        assert_eq!(error("i.1.j", None), "it is behind the dash of a list's entry; edit it by hand");
        assert_eq!(error("i.0", None), "entries of a list are not removed; edit it by hand");
        assert_eq!(error("i.7", one()), "`i` is a list of 2, and has no entry `7`");
    }

    #[test]
    fn what_an_alias_stands_for_is_not_edited() {
        let error = |text: &str, key: &str, wanted| format!("{:#}", try_edit(text, key, wanted).unwrap_err());
        let elsewhere = |name: &str| {
            format!(
                "{name} has an anchor, and an alias of it stands elsewhere in the file, which would change as well; edit it \
                 by hand"
            )
        };
        for (text, key) in [
            ("a: &x\n  b: 1\nc: *x\n", "a.b"),
            ("a: &x\n  b: 1\nc: *x\n", "a.new"),
            ("a: &x {b: {d: 1}}\nc: [1, {e: *x}]\n", "a.b.d"),
            ("a: &x\n  b: 1\nc:\n  <<: [*x]\n", "a.b"),
            ("a: &x [1, 2]\nc: *x\n", "a.0"),
            ("a: &x\n- b: 1\nc: *x\n", "a.0.b"),
            ("a: &x {}\nc: *x\n", "a.b"),
        ] {
            assert_eq!(error(text, key, Some(json!(5))), elsewhere("`a`"), "{text}");
        }
        assert_eq!(error("a: &x {b: 1}\nc: *x\n", "a.b", None), elsewhere("`a`"));
        assert_eq!(error("&x\na: 1\nb: *x\n", "a", Some(json!(5))), elsewhere("the document"));
        assert_eq!(edited("a: &x\n  b: 1\nc: 2\n", "a.b", json!(5)), "a: &x\n  b: 5\nc: 2\n");
        assert_eq!(edited("a: &x\n  b: 1\nc: *x\n", "d", json!(5)), "a: &x\n  b: 1\nc: *x\nd: 5\n");
    }

    #[test]
    fn what_may_come_from_a_merge_key_is_not_edited() {
        let text = "a: &x {b: {c: 1, d: 2}}\ne:\n  <<: *x\n  f: 1\n";
        let refuse = |key: &str, wanted: Option<Json>| {
            let names: Vec<String> = key.split('.').map(str::to_owned).collect();
            refuse_merged(text, &names, wanted.map(Value::from).as_ref()).map_err(|error| error.to_string())
        };
        let error = Err("`e.b` may come from the merge key `<<` beside it; edit it by hand".to_owned());
        assert_eq!(refuse("e.b", None), error);
        assert_eq!(refuse("e.b.c", Some(json!(5))), error);
        assert_eq!(refuse("e.b", Some(json!(5))), Ok(()));
        assert_eq!(refuse("e.f", None), Ok(()));
        assert_eq!(refuse("g", None), Ok(()));
    }

    #[test]
    fn texts_are_quoted_where_readers_do_not_agree() {
        for text in ["plain", "two words", "/usr/bin", "a-b_c.d", "ä"] {
            assert_eq!(scalar(text, Style::Plain), text);
        }
        for text in [
            "",
            "no",
            "Yes",
            "null",
            "~",
            "1",
            "1.5",
            "0x1",
            "12:30",
            "-",
            "- a",
            "a: b",
            "a #b",
            " a",
            "a ",
            "[a]",
            "*a",
            "a,b",
            "a\nb",
            "1e3",
            ".inf",
            "2024-01-01",
            "=",
            "<<",
            "%",
            "@",
        ] {
            let quoted = scalar(text, Style::Plain);
            assert!(quoted.starts_with('"'), "{quoted}");
            assert_eq!(parse(&format!("[{quoted}]")).unwrap(), json!([text]).into());
        }
    }

    #[test]
    fn readers_of_1_1_have_to_agree() {
        let plain =
            |text: &str, wanted: Json| is_plain_to_all(text, &["a".to_owned()], &wanted.into()).unwrap();
        assert!(!plain("a: yes\n", json!("yes")) && plain("a: 'yes'\n", json!("yes")));
        assert!(!plain("a: 22:30\n", json!("22:30")) && plain("a: 127.0.0.1\n", json!("127.0.0.1")));
        assert!(!plain("a: 010\n", json!(10)) && plain("a: 10\n", json!(10)) && plain("a: 0\n", json!(0)));
        assert!(!plain("a: 2024-01-31\n", json!("2024-01-31")) && plain("a: 2024-01\n", json!("2024-01")));
        assert!(!plain("a: 1e3\n", json!(1000.0)) && plain("a: 1.0e+3\n", json!(1000.0)));
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let number = |text: &str| Value::from(crate::value::Number::new(text));
        let read = parse("a: 1.10\nb: 0x1F\nc: .inf\nd: 1_0\ne: 18446744073709551616\nf: 1.2.3\n").unwrap();
        let wanted = r#"{"a":1.10,"b":31,"c":inf,"d":"1_0","e":18446744073709551616,"f":"1.2.3"}"#;
        assert_eq!(read.to_string(), wanted);
        assert_eq!(edit("a: 1\n", &["a".to_owned()], Some(&number("1.10"))).unwrap(), "a: 1.10\n");
        assert!(validate(&number("1.0e+3")).is_ok() && validate(&number("18446744073709551616")).is_ok());
        let error = |text: &str| validate(&number(text)).unwrap_err().to_string();
        assert_eq!(error("007"), "007 is not how YAML writes a number; put it in quotes if it is a text");
        assert_eq!(error("1e3"), "1e3 is a text for readers of YAML 1.1; write it as in `1.0e+3`");
    }
}
