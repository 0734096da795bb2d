//! Settings in TOML: the places are found by a parser, and the text is changed there and nowhere else, so that comments,
//! layout and numbers stay as they were written.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use toml_edit::{Array, Document, InlineTable, Item, Table, TableLike};

use super::tree;
use crate::text::line_end;
use crate::value::{Number, Value};

fn read(text: &str) -> Result<Document<&str>> {
    // The parser's own message is a picture of the place, on several lines.
    Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        anyhow::anyhow!("line {line}: {}", error.message())
    })
}

pub(super) fn parse(text: &str) -> Result<Value> {
    Ok(table(text, read(text)?.as_table()))
}

fn table(text: &str, table: &dyn TableLike) -> Value {
    let fields = table.iter().map(|(name, item)| (name.to_owned(), item_value(text, item)));
    Value::Object(fields.collect::<BTreeMap<_, _>>())
}

fn item_value(text: &str, item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => plain_value(text, value),
        Item::Table(found) => table(text, found),
        Item::ArrayOfTables(tables) => tables.iter().map(|found| table(text, found)).collect(),
    }
}

fn plain_value(text: &str, value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().as_str().into(),
        toml_edit::Value::Integer(number) => (*number.value()).into(),
        toml_edit::Value::Float(number) => {
            let written = number.span().and_then(|range| text.get(range));
            let written = written.map_or_else(|| number.value().to_string(), |text| text.replace('_', ""));
            Number::new(written).into()
        }
        toml_edit::Value::Boolean(truth) => (*truth.value()).into(),
        toml_edit::Value::Datetime(time) => time.value().to_string().into(),
        toml_edit::Value::Array(values) => values.iter().map(|value| plain_value(text, value)).collect(),
        toml_edit::Value::InlineTable(found) => table(text, found),
    }
}

/// TOML has no null, and smaller numbers.
pub(super) fn validate(wanted: &Value) -> Result<()> {
    wanted.validate_numbers("TOML")?;
    match wanted {
        Value::Null => bail!("TOML has no null; say `absent`"),
        Value::Number(number) => {
            let fits = match number.as_str() {
                text if number.is_float() => text.parse::<f64>().is_ok_and(f64::is_finite),
                text => text.parse::<i64>().is_ok(),
            };
            ensure!(fits, "{number} is too large for TOML");
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(validate),
        Value::Object(fields) => fields.values().try_for_each(validate),
        Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// What a step on the way leads into.
enum Place<'d> {
    Table(&'d Table),
    Inline(&'d InlineTable),
    Array(&'d Array),
    Tables(&'d toml_edit::ArrayOfTables),
}

impl<'d> Place<'d> {
    fn of(item: &'d Item) -> Result<Self> {
        match item {
            Item::Table(found) => Ok(Place::Table(found)),
            Item::ArrayOfTables(found) => Ok(Place::Tables(found)),
            Item::Value(value) => Place::of_value(value),
            Item::None => bail!("there is no place for it"),
        }
    }

    fn of_value(value: &'d toml_edit::Value) -> Result<Self> {
        match value {
            toml_edit::Value::InlineTable(found) => Ok(Place::Inline(found)),
            toml_edit::Value::Array(found) => Ok(Place::Array(found)),
            _ => bail!("there is no place for it"),
        }
    }
}

pub(super) fn edit(text: &str, names: &[String], wanted: Option<&Value>) -> Result<String> {
    let document = read(text)?;
    let text = Text { text, end: line_end(text), root: document.as_table() };
    let Some((last, way)) = names.split_last() else { bail!("a key needs a name at least") };
    let mut place = Place::Table(text.root);
    // The table with a heading of its own that we are in, and how many names lead there.
    let (mut headed, mut depth_of_headed, mut is_in_list) = (text.root, 0, false);
    for (depth, name) in way.iter().enumerate() {
        let item = match place {
            Place::Table(found) => found.get(name),
            Place::Inline(found) => {
                let Some(value) = found.get(name) else {
                    return text.add_in_line(found, &names[depth..], wanted);
                };
                place = Place::of_value(value)?;
                continue;
            }
            Place::Array(found) => {
                let index = tree::index(found.len(), names, depth)?;
                place = Place::of_value(found.get(index).context("there is no such entry")?)?;
                continue;
            }
            Place::Tables(found) => {
                let index = tree::index(found.len(), names, depth)?;
                headed = found.get(index).context("there is no such entry")?;
                (place, depth_of_headed, is_in_list) = (Place::Table(headed), depth + 1, true);
                continue;
            }
        };
        let Some(item) = item else {
            let Place::Table(parent) = place else { bail!("there is no place for it") };
            // A heading means the last entry of a list, and a table of dotted names has none.
            return if is_in_list || parent.is_dotted() {
                text.add_line(headed, parent, &names[depth_of_headed..], wanted)
            } else {
                text.add_table(names, wanted)
            };
        };
        place = Place::of(item)?;
        if let Place::Table(found) = place
            && !found.is_dotted()
            && !found.is_implicit()
        {
            (headed, depth_of_headed) = (found, depth + 1);
        }
    }
    match (place, wanted) {
        (Place::Table(parent), _) => match (parent.get_key_value(last), wanted) {
            (Some((_, item)), Some(wanted)) => text.replace(item, wanted),
            (Some((key, item)), None) => Ok(text.remove(key, item)),
            (None, None) => Ok(text.text.to_owned()),
            (None, Some(_)) if parent.is_dotted() || std::ptr::eq(parent, headed) => {
                text.add_line(headed, parent, &names[depth_of_headed..], wanted)
            }
            (None, Some(_)) if is_in_list => text.add_line(headed, headed, &names[depth_of_headed..], wanted),
            (None, Some(_)) => text.add_table(names, wanted),
        },
        (Place::Inline(parent), _) => match (parent.get(last), wanted) {
            (Some(value), Some(wanted)) => text.replace_value(value, wanted),
            (Some(_), None) => text.remove_in_line(parent, last),
            (None, _) => text.add_in_line(parent, &names[way.len()..], wanted),
        },
        (Place::Array(values), Some(wanted)) => {
            let index = tree::index(values.len(), names, way.len())?;
            text.replace_value(values.get(index).context("there is no such entry")?, wanted)
        }
        (Place::Tables(_), Some(_)) => {
            bail!("a whole table in a list of tables is not replaced; set what is in it")
        }
        (Place::Array(_) | Place::Tables(_), None) => bail!("entries of a list are not removed"),
    }
}

const NO_PLACE: &str = "its place in the text was not found; edit it by hand";

struct Text<'t> {
    text: &'t str,
    end: &'static str,
    root: &'t Table,
}

impl Text<'_> {
    fn splice(&self, range: Range<usize>, new: &str) -> String {
        format!("{}{new}{}", &self.text[..range.start], &self.text[range.end..])
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Behind the end of the line that `at` is in.
    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    fn replace(&self, item: &Item, wanted: &Value) -> Result<String> {
        let Some(value) = item.as_value() else { bail!("a whole table is not replaced; set what is in it") };
        self.replace_value(value, wanted)
    }

    fn replace_value(&self, value: &toml_edit::Value, wanted: &Value) -> Result<String> {
        let new = match (value, wanted) {
            // A date stays one.
            (toml_edit::Value::Datetime(_), Value::String(text))
                if text.parse::<toml_edit::Datetime>().is_ok() =>
            {
                text.clone()
            }
            _ => in_line(wanted)?,
        };
        Ok(self.splice(value.span().context(NO_PLACE)?, &new))
    }

    /// The lines of all that is in there, with headings; comments on lines of their own are not among them.
    fn lines_of(&self, key: &toml_edit::Key, item: &Item, lines: &mut Vec<Range<usize>>) {
        match item {
            Item::None => {}
            Item::Value(value) => {
                if let (Some(key), Some(value)) = (key.span(), value.span()) {
                    lines.push(self.line_start(key.start)..self.next_line(value.end));
                }
            }
            Item::Table(found) => self.lines_of_table(found, lines),
            Item::ArrayOfTables(tables) => {
                tables.iter().for_each(|found| self.lines_of_table(found, lines));
            }
        }
    }

    fn lines_of_table(&self, table: &Table, lines: &mut Vec<Range<usize>>) {
        if let Some(heading) = self.heading(table) {
            lines.push(heading);
        }
        for (name, _) in table {
            if let Some((key, item)) = table.get_key_value(name) {
                self.lines_of(key, item, lines);
            }
        }
    }

    /// The line with a table's heading.
    fn heading(&self, table: &Table) -> Option<Range<usize>> {
        let at = table
            .span()
            .filter(|_| !table.is_dotted() && !table.is_implicit() && !std::ptr::eq(table, self.root))?
            .start;
        let start = self.line_start(at);
        self.text[start..].trim_start().starts_with('[').then(|| start..self.next_line(at))
    }

    fn remove(&self, key: &toml_edit::Key, item: &Item) -> String {
        let mut lines = Vec::new();
        self.lines_of(key, item, &mut lines);
        lines.sort_by_key(|range| range.start);
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for range in lines {
            text.push_str(self.text.get(at..range.start).unwrap_or_default());
            at = range.end.max(at);
            // Of the blank lines around something that goes, one side is enough.
            let rest = &self.text[at..];
            let is_blank_behind = rest.is_empty() || rest.starts_with('\n') || rest.starts_with("\r\n");
            let blank = format!("{0}{0}", self.end);
            if is_blank_behind && text.ends_with(&blank) {
                text.truncate(text.len() - self.end.len());
            }
        }
        text + &self.text[at..]
    }

    fn remove_in_line(&self, table: &InlineTable, name: &str) -> Result<String> {
        let mut places = Vec::new();
        for (name, _) in table {
            let (key, item) = table.get_key_value(name).context(NO_PLACE)?;
            places.push((name, key.span().context(NO_PLACE)?.start..item.span().context(NO_PLACE)?.end));
        }
        let place = places.iter().position(|(found, _)| *found == name).context("it is not there")?;
        let range = &places[place].1;
        let range = match (place.checked_sub(1).map(|before| &places[before].1), places.get(place + 1)) {
            (_, Some((_, next))) => range.start..next.start,
            (Some(before), None) => before.end..range.end,
            (None, None) => range.clone(),
        };
        Ok(self.splice(range, ""))
    }

    /// In braces, behind what is there.
    fn add_in_line(&self, table: &InlineTable, names: &[String], wanted: Option<&Value>) -> Result<String> {
        let (Some((name, rest)), Some(wanted)) = (names.split_first(), wanted) else {
            return Ok(self.text.to_owned());
        };
        let new = format!("{} = {}", key(name), in_line(&super::json::nested(rest, Some(wanted)))?);
        let mut last = None;
        for (_, item) in table {
            last = last.max(Some(item.span().context(NO_PLACE)?.end));
        }
        Ok(match last {
            Some(last) => self.splice(last..last, &format!(", {new}")),
            None => {
                let range = table.span().context(NO_PLACE)?;
                self.splice(range.start + 1..range.end - 1, &format!(" {new} "))
            }
        })
    }

    /// Behind the last line of `near`, which is in `headed` or is it.
    fn add_line(
        &self,
        headed: &Table,
        near: &Table,
        names: &[String],
        wanted: Option<&Value>,
    ) -> Result<String> {
        let Some(wanted) = wanted else { return Ok(self.text.to_owned()) };
        let name: Vec<String> = names.iter().map(|name| key(name)).collect();
        let line = format!("{} = {}", name.join("."), in_line(wanted)?);
        let mut lines = Vec::new();
        self.own_lines(near, &mut lines);
        if lines.is_empty() {
            self.own_lines(headed, &mut lines);
        }
        if let Some(last) = lines.iter().max_by_key(|range| range.end) {
            let own = &self.text[last.clone()];
            let indent = &own[..own.len() - own.trim_start().len()];
            return Ok(self.with_line(last.end, &format!("{indent}{line}")));
        }
        if let Some(heading) = self.heading(headed) {
            return Ok(self.with_line(heading.end, &line));
        }
        ensure!(std::ptr::eq(headed, self.root), NO_PLACE);
        let Some(first) = self.first_heading() else { return Ok(self.with_line(self.text.len(), &line)) };
        // Above the comment of the first heading.
        let mut at = first;
        while at > 0 && self.text[self.line_start(at - 1)..at].trim_start().starts_with('#') {
            at = self.line_start(at - 1);
        }
        Ok(self.splice(at..at, &format!("{line}{0}{0}", self.end)))
    }

    /// The lines of the values that stand below a table's own heading.
    fn own_lines(&self, table: &Table, lines: &mut Vec<Range<usize>>) {
        for (name, _) in table {
            match table.get_key_value(name) {
                Some((_, Item::Table(found))) if found.is_dotted() => self.own_lines(found, lines),
                Some((key, item @ Item::Value(_))) => self.lines_of(key, item, lines),
                _ => {}
            }
        }
    }

    fn first_heading(&self) -> Option<usize> {
        let mut lines = Vec::new();
        self.lines_of_table(self.root, &mut lines);
        let headings =
            lines.into_iter().filter(|range| self.text[range.clone()].trim_start().starts_with('['));
        headings.map(|range| range.start).min()
    }

    fn with_line(&self, at: usize, line: &str) -> String {
        let before = &self.text[..at];
        let end = if before.is_empty() || before.ends_with('\n') { "" } else { self.end };
        format!("{before}{end}{line}{}{}", self.end, &self.text[at..])
    }

    /// A table of its own, at the end of the text.
    fn add_table(&self, names: &[String], wanted: Option<&Value>) -> Result<String> {
        let (Some((last, way)), Some(wanted)) = (names.split_last(), wanted) else {
            return Ok(self.text.to_owned());
        };
        let heading: Vec<String> = way.iter().map(|name| key(name)).collect();
        let mut text = self.text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text += self.end;
        }
        if !text.is_empty() && !text.ends_with(&format!("{0}{0}", self.end)) {
            text += self.end;
        }
        Ok(format!("{text}[{1}]{0}{2} = {3}{0}", self.end, heading.join("."), key(last), in_line(wanted)?))
    }
}

/// A name as it is written.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    toml_edit::Value::from(name).to_string()
}

/// A value on one line.
fn in_line(wanted: &Value) -> Result<String> {
    Ok(match wanted {
        Value::Null => bail!("TOML has no null; say `absent`"),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => toml_edit::Value::from(text.as_str()).to_string(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(in_line).collect::<Result<Vec<_>>>()?.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| Ok(format!("{} = {}", key(name), in_line(value)?)));
            format!("{{ {} }}", fields.collect::<Result<Vec<_>>>()?.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(text: &str, key: &str, wanted: impl Into<Option<serde_json::Value>>) -> String {
        let names: Vec<String> = key.split('.').map(str::to_owned).collect();
        let wanted = wanted.into().map(Value::from);
        let mut tree = parse(text).unwrap();
        let edited = edit(text, &names, wanted.as_ref()).unwrap();
        tree::set(&mut tree, &names, wanted.as_ref()).unwrap();
        let again = parse(&edited).unwrap_or_else(|error| panic!("{error}\n{edited}"));
        assert!(tree::is_same(&again, &tree, true), "{edited}\n{again}\n{tree}");
        edited
    }

    #[test]
    fn comments_and_layout_are_kept() {
        let text = "# top\na   =  1   # one\n\n[b]\n  c = [ 1, 2 ]\n[[d]]\ne = { f = 'x' } # f\n";
        assert_eq!(edited(text, "a", json!("x")), text.replace('1', "\"x\"").replace("\"x\", 2", "1, 2"));
        assert_eq!(edited(text, "b.c.1", json!(7)), text.replace("2 ]", "7 ]"));
        assert_eq!(edited(text, "b.g", json!(true)), text.replace("2 ]\n", "2 ]\n  g = true\n"));
        assert_eq!(edited(text, "d.0.e.f", json!("y")), text.replace("'x'", "\"y\""));
        assert_eq!(edited(text, "d.0.e.h", json!(1)), text.replace("'x' }", "'x', h = 1 }"));
        assert_eq!(edited(text, "d.0.g.h", json!(1)), format!("{text}g.h = 1\n"));
        assert_eq!(edited(text, "a", None), text.replace("a   =  1   # one\n", ""));
        assert_eq!(edited(text, "b", None), text.replace("[b]\n  c = [ 1, 2 ]\n", ""));
        assert_eq!(edited(text, "d.0.e.f", None), text.replace("f = 'x'", ""));
        assert_eq!(edited("a = 1\r\n", "b", json!(2)), "a = 1\r\nb = 2\r\n");
        assert_eq!(edited("a = 1\r\nb = 2\n", "b", json!(3)), "a = 1\r\nb = 3\n");
    }

    #[test]
    fn comments_stay_where_they_are() {
        let text = "[a]\n# one\n# b = 1\n\n[c]\nd = 1 # d\n# e\n";
        assert_eq!(edited(text, "n.o", json!(true)), format!("{text}\n[n]\no = true\n"));
        assert_eq!(edited(&edited(text, "n.o", json!(true)), "n", None), text);
        assert_eq!(edited(text, "a.x", json!(1)), text.replace("[a]\n", "[a]\nx = 1\n"));
        assert_eq!(edited(text, "c.x", json!(1)), text.replace("# d\n", "# d\nx = 1\n"));
        assert_eq!(edited(text, "c", None), text.replace("[c]\nd = 1 # d\n", ""));
        assert_eq!(edited("# top\n\n# of a\n[a]\n", "x", json!(1)), "# top\n\nx = 1\n\n# of a\n[a]\n");
    }

    #[test]
    fn what_is_missing_is_made() {
        assert_eq!(edited("", "a", json!(1)), "a = 1\n");
        assert_eq!(edited("", "a.b.c", json!([1, "x"])), "[a.b]\nc = [1, \"x\"]\n");
        assert_eq!(edited("x = {}\n", "x.b.c", json!({"d": 1.5})), "x = { b = { c = { d = 1.5 } } }\n");
        assert_eq!(edited("a.b = 1\n", "a.c.d", json!(2)), "a.b = 1\na.c.d = 2\n");
        assert_eq!(edited("[t]\na.b = 1\n[u]\n", "t.a.c", json!(2)), "[t]\na.b = 1\na.c = 2\n[u]\n");
        assert_eq!(edited("[a.b]\nc = 1\n", "a.d", json!(2)), "[a.b]\nc = 1\n\n[a]\nd = 2\n");
        assert_eq!(edited("[[a]]\n[[a]]\n", "a.0.b", json!(1)), "[[a]]\nb = 1\n[[a]]\n");
        assert_eq!(edited("a = 1", "b c", json!("é\\")), "a = 1\n\"b c\" = 'é\\'\n");
    }

    #[test]
    fn numbers_and_dates_stay_what_they_are() {
        let number = |text: &str| Value::from(Number::new(text));
        let set = |text: &str, wanted: Value| edit(text, &["a".to_owned()], Some(&wanted)).unwrap();
        assert_eq!(set("a = 1\n", number("1.10")), "a = 1.10\n");
        assert_eq!(set("a = 1\n", number("1e3")), "a = 1e3\n");
        assert_eq!(set("a = 1979-05-27 # x\n", "1980-01-01".into()), "a = 1980-01-01 # x\n");
        assert_eq!(set("a = 1979-05-27\n", "never".into()), "a = \"never\"\n");
        for large in ["18446744073709551616", "1e999"] {
            let error = validate(&number(large)).unwrap_err().to_string();
            assert_eq!(error, format!("{large} is too large for TOML"));
        }
    }

    #[test]
    fn values_are_those_of_json() {
        let text = "a = 1979-05-27\nb = inf\nc = 0x10\nd = 1.0\ne = 1_000.5\n";
        let read = r#"{"a":"1979-05-27","b":inf,"c":16,"d":1.0,"e":1000.5}"#;
        assert_eq!(parse(text).unwrap().to_string(), read);
        assert!(parse("a = 1\na = 2\n").unwrap_err().to_string().starts_with("line 2: duplicate key"));
        assert!(parse("a = 1\nb =\n").unwrap_err().to_string().starts_with("line 2: "));
    }
}
