//! Settings in TOML.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike};

use super::tree;

fn read(text: &str) -> Result<DocumentMut> {
    // The parser's own message is a picture of the place, on several lines.
    text.parse::<DocumentMut>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        anyhow::anyhow!("line {line}: {}", error.message())
    })
}

pub(super) fn parse(text: &str) -> Result<Value> {
    table(read(text)?.as_table())
}

fn table(table: &dyn TableLike) -> Result<Value> {
    let fields = table.iter().map(|(name, item)| Ok((name.to_owned(), item_value(item)?)));
    Ok(Value::Object(fields.collect::<Result<Map<_, _>>>()?))
}

fn item_value(item: &Item) -> Result<Value> {
    match item {
        Item::None => Ok(Value::Null),
        Item::Value(value) => plain_value(value),
        Item::Table(found) => table(found),
        Item::ArrayOfTables(tables) => tables.iter().map(|found| table(found)).collect(),
    }
}

fn plain_value(value: &toml_edit::Value) -> Result<Value> {
    Ok(match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => serde_json::Number::from_f64(*number.value())
            .map_or_else(|| Value::from(number.value().to_string()), Value::Number),
        toml_edit::Value::Boolean(truth) => Value::from(*truth.value()),
        toml_edit::Value::Datetime(time) => Value::from(time.value().to_string()),
        toml_edit::Value::Array(values) => return values.iter().map(plain_value).collect(),
        toml_edit::Value::InlineTable(found) => return table(found),
    })
}

/// TOML has no null, and smaller numbers.
pub(super) fn validate(wanted: &Value) -> Result<()> {
    match wanted {
        Value::Null => bail!("TOML has no null; say `absent`"),
        Value::Number(number) => {
            ensure!(number.is_f64() || number.as_i64().is_some(), "{number} is too large for TOML");
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(validate),
        Value::Object(fields) => fields.values().try_for_each(validate),
        Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

pub(super) fn edit(text: &str, names: &[String], wanted: Option<&Value>) -> Result<String> {
    let returns = text.matches("\r\n").count();
    ensure!(
        returns == 0 || returns == text.matches('\n').count(),
        "some of its lines end with CR and LF, and others do not, which cannot be kept"
    );
    let mut document = read(text)?;
    change(document.as_item_mut(), names, 0, wanted)?;
    let edited = document.to_string();
    Ok(if returns > 0 { edited.replace('\n', "\r\n") } else { edited })
}

fn change(item: &mut Item, names: &[String], depth: usize, wanted: Option<&Value>) -> Result<()> {
    let name = &names[depth];
    let is_last = depth + 1 == names.len();
    let is_table = item.is_table();
    if let Some(fields) = item.as_table_like_mut() {
        return match (fields.get_mut(name), wanted) {
            (Some(found), Some(wanted)) if is_last => replace(found, wanted),
            (Some(_), None) if is_last => {
                fields.remove(name);
                Ok(())
            }
            (Some(found), _) => change(found, names, depth + 1, wanted),
            (None, Some(wanted)) => {
                let mut new = new(&names[depth + 1..], wanted, is_table)?;
                if !is_table {
                    move_end(fields, &mut new);
                }
                fields.insert(name, new);
                Ok(())
            }
            (None, None) => Ok(()),
        };
    }
    if let Some(values) = item.as_array_mut() {
        let index = tree::index(values.len(), names, depth)?;
        return change_entry(values, index, names, depth, wanted);
    }
    let tables = item.as_array_of_tables_mut().context("there is no place for it")?;
    let index = tree::index(tables.len(), names, depth)?;
    if is_last {
        ensure!(wanted.is_none(), "a whole table in a list of tables is not replaced; set what is in it");
        tables.remove(index);
        return Ok(());
    }
    let found = tables.get_mut(index).context("there is no such entry")?;
    let mut entry = Item::Table(std::mem::take(found));
    let changed = change(&mut entry, names, depth + 1, wanted);
    if let Item::Table(entry) = entry {
        *found = entry;
    }
    changed
}

/// The space before a closing brace belongs to the last value in it.
fn move_end(fields: &mut dyn TableLike, new: &mut Item) {
    let last = fields.iter_mut().last().and_then(|(_, item)| item.as_value_mut());
    let (Some(last), Some(new)) = (last, new.as_value_mut()) else { return };
    if let Some(end) = last.decor().suffix().and_then(|end| end.as_str()).map(str::to_owned) {
        last.decor_mut().set_suffix("");
        new.decor_mut().set_prefix(" ");
        new.decor_mut().set_suffix(end);
    }
}

fn change_entry(
    values: &mut Array,
    index: usize,
    names: &[String],
    depth: usize,
    wanted: Option<&Value>,
) -> Result<()> {
    if depth + 1 < names.len() {
        let found = values.get_mut(index).context("there is no such entry")?;
        let mut entry = Item::Value(found.clone());
        change(&mut entry, names, depth + 1, wanted)?;
        *found = entry.into_value().ok().context("there is no place for it")?;
        return Ok(());
    }
    match wanted {
        Some(wanted) => {
            let found = values.get_mut(index).context("there is no such entry")?;
            let mut entry = Item::Value(found.clone());
            replace(&mut entry, wanted)?;
            *found = entry.into_value().ok().context("there is no place for it")?;
        }
        None => _ = values.remove(index),
    }
    Ok(())
}

/// Another value in the same place, what is around it kept.
fn replace(found: &mut Item, wanted: &Value) -> Result<()> {
    let mut new = in_line(wanted)?;
    let Some(old) = found.as_value() else { bail!("a whole table is not replaced; set what is in it") };
    *new.decor_mut() = old.decor().clone();
    *found = Item::Value(new);
    Ok(())
}

/// What is new: in tables of their own where they are inside of such.
fn new(names: &[String], wanted: &Value, in_table: bool) -> Result<Item> {
    let Some((name, rest)) = names.split_first() else { return Ok(Item::Value(in_line(wanted)?)) };
    let inner = new(rest, wanted, in_table)?;
    if in_table {
        let mut table = Table::new();
        table.set_implicit(!rest.is_empty());
        table.insert(name, inner);
        return Ok(Item::Table(table));
    }
    let mut table = InlineTable::new();
    table.insert(name, inner.into_value().ok().context("there is no place for it")?);
    Ok(Item::Value(table.into()))
}

fn in_line(wanted: &Value) -> Result<toml_edit::Value> {
    Ok(match wanted {
        Value::Null => bail!("TOML has no null; say `absent`"),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().context("it is no number that TOML knows")?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => {
            toml_edit::Value::Array(values.iter().map(in_line).collect::<Result<Array>>()?)
        }
        Value::Object(fields) => {
            let mut table = InlineTable::new();
            for (name, value) in fields {
                table.insert(name, in_line(value)?);
            }
            table.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(text: &str, key: &str, wanted: impl Into<Option<Value>>) -> String {
        let names: Vec<String> = key.split('.').map(str::to_owned).collect();
        edit(text, &names, wanted.into().as_ref()).unwrap()
    }

    #[test]
    fn comments_and_layout_are_kept() {
        let text = "# top\na   =  1   # one\n\n[b]\n  c = [ 1, 2 ]\n[[d]]\ne = { f = 'x' } # f\n";
        assert_eq!(edited(text, "a", json!("x")), text.replace('1', "\"x\"").replace("\"x\", 2", "1, 2"));
        assert_eq!(edited(text, "b.c.1", json!(7)), text.replace("2 ]", "7 ]"));
        assert_eq!(edited(text, "b.g", json!(true)), text.replace("2 ]\n", "2 ]\ng = true\n"));
        assert_eq!(edited(text, "d.0.e.f", json!("y")), text.replace("'x'", "\"y\""));
        assert_eq!(edited(text, "d.0.e.h", json!(1)), text.replace("'x' }", "'x', h = 1 }"));
        assert_eq!(edited(text, "a", None), text.replace("# top\na   =  1   # one\n", ""));
        assert_eq!(edited("a = 1\r\n", "b", json!(2)), "a = 1\r\nb = 2\r\n");
    }

    #[test]
    fn what_is_missing_is_made() {
        assert_eq!(edited("", "a", json!(1)), "a = 1\n");
        assert_eq!(edited("", "a.b.c", json!([1, "x"])), "[a.b]\nc = [1, \"x\"]\n");
        assert_eq!(edited("x = {}\n", "x.b.c", json!({"d": 1.5})), "x = { b = { c = { d = 1.5 } } }\n");
    }

    #[test]
    fn values_are_those_of_json() {
        let text = "a = 1979-05-27\nb = inf\nc = 0x10\nd = 1.0\n";
        assert_eq!(parse(text).unwrap(), json!({"a": "1979-05-27", "b": "inf", "c": 16, "d": 1.0}));
        assert!(parse("a = 1\na = 2\n").unwrap_err().to_string().starts_with("line 2: duplicate key"));
        assert!(parse("a = 1\nb =\n").unwrap_err().to_string().starts_with("line 2: "));
    }
}
