//! Settings in INI files: lines of `name = value` under `[section]`s.
//!
//! There is no standard. What is taken here for a section, a setting and a comment is what all readers agree on; where they
//! do not (a name that is there twice, a value that goes on in the next line) it is an error.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Refuses what a line of an INI file cannot say.
pub(super) fn validate(names: &[String], wanted: Option<&Value>) -> Result<()> {
    let (section, name) = split(names)?;
    ensure!(!section.contains([']', '\n']), "the section `{section}` must not contain `]`");
    let fits = !name.contains(['=', '\n']) && !name.starts_with(['[', '#', ';']) && name.trim() == name;
    ensure!(fits, "`{name}` is no name of a setting in an INI file");
    wanted.map_or(Ok(()), |wanted| text_of(wanted).map(drop))
}

fn split(names: &[String]) -> Result<(String, &str)> {
    let (name, section) = names.split_last().context("a key needs a name at least")?;
    Ok((section.join("."), name))
}

/// What stands behind the name; `None` for a name alone.
fn text_of(wanted: &Value) -> Result<Option<String>> {
    let text = match wanted {
        Value::Null => return Ok(None),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => bail!("a list or an object has no place in an INI file"),
    };
    ensure!(!text.contains(['\n', '\r', '\0']), "a value in an INI file is one line, without a NUL byte");
    ensure!(text.trim() == text, "a value in an INI file cannot begin or end with white space");
    Ok(Some(text))
}

/// A line with a setting.
struct Found<'t> {
    /// Its number, counted from 0.
    line: usize,
    /// The text behind the sign, comment and all.
    value: Option<&'t str>,
}

impl Found<'_> {
    /// Whether it says that, with or without a comment.
    fn is(&self, wanted: Option<&str>) -> bool {
        self.value.map(plain) == wanted || (wanted.is_some() && self.value.map(str::trim) == wanted)
    }
}

struct Ini<'t> {
    lines: Vec<&'t str>,
    end: &'static str,
    /// Where each part of the section is; the first one's heading has no line where there is none.
    parts: Vec<Range<usize>>,
}

impl<'t> Ini<'t> {
    fn read(text: &'t str, section: &str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let end = if lines.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
        let mut parts = Vec::new();
        let mut begins = section.is_empty().then_some(0);
        for (number, line) in lines.iter().enumerate() {
            if let Some(name) = heading(line) {
                parts.extend(begins.take().map(|begin| begin..number));
                begins = (name == section).then_some(number + 1);
            }
        }
        parts.extend(begins.map(|begin| begin..lines.len()));
        Ini { lines, end, parts }
    }

    /// The lines that set `name`.
    fn find(&self, name: &str) -> Vec<Found<'t>> {
        let lines = self.parts.iter().cloned().flatten();
        let found = lines.filter_map(|line| {
            let (found, value) = setting(self.lines[line])?;
            (found == name).then_some(Found { line, value })
        });
        found.collect()
    }

    /// How the sign between name and value is written here.
    fn sign(&self) -> &'t str {
        let near = self.parts.iter().cloned().flatten().map(|line| self.lines[line]);
        let sign = |line: &'t str| {
            let (name, value) = setting(line)?;
            let line = content(line);
            let begin = line.find(name)? + name.len();
            Some(&line[begin..line.len() - value?.len()])
        };
        near.chain(self.lines.iter().copied()).find_map(sign).unwrap_or(" = ")
    }

    /// The text with these lines in the place of those.
    fn splice(&self, range: Range<usize>, new: &[String]) -> String {
        let mut text = self.lines[..range.start].concat();
        for line in new {
            if !text.is_empty() && !text.ends_with('\n') {
                text += self.end;
            }
            text += line;
            text += self.end;
        }
        text + &self.lines[range.end..].concat()
    }

    /// The lines of a setting: one.
    fn whole(&self, found: &Found<'_>) -> Result<Range<usize>> {
        let line = found.line + 1;
        ensure!(!self.goes_on(found), "its value goes on in the line after {line}, which this cannot keep");
        Ok(found.line..line)
    }

    /// The line of a setting with another value. Its comment is kept, unless the value itself could be taken for one.
    fn replaced(&self, found: &Found<'_>, wanted: Option<&str>) -> String {
        let line = content(self.lines[found.line]);
        let (begin, comment) = match found.value {
            Some(value) => (&line[..line.len() - value.len()], &value[plain(value).len()..]),
            None => (plain(line), &line[plain(line).len()..]),
        };
        let Some(wanted) = wanted else {
            return format!("{}{comment}", begin.trim_end().trim_end_matches(['=', ':']).trim_end());
        };
        let comment = if plain(wanted) == wanted { comment } else { "" };
        let sign = match found.value {
            None => self.sign(),
            Some(_) if begin.ends_with(['=', ':']) && self.sign().ends_with(' ') => " ",
            Some(_) => "",
        };
        format!("{begin}{sign}{wanted}{comment}")
    }

    /// Whether the value goes on in the next line.
    fn goes_on(&self, found: &Found<'_>) -> bool {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let own = self.lines[found.line];
        let next = self.lines.get(found.line + 1).copied().unwrap_or_default();
        let is_more = !next.trim().is_empty()
            && !is_comment(next)
            && heading(next).is_none()
            && indent(next) > indent(own);
        is_more || content(own).ends_with('\\')
    }
}

fn content(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

fn heading(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?;
    Some(name[..name.rfind(']')?].trim())
}

/// The name and what is behind the sign; a name alone has none.
fn setting(line: &str) -> Option<(&str, Option<&str>)> {
    let line = content(line);
    if line.trim().is_empty() || is_comment(line) || heading(line).is_some() {
        return None;
    }
    let sign = line.find('=').or_else(|| line.find(':'));
    Some(match sign {
        Some(sign) => (line[..sign].trim(), Some(line[sign + 1..].trim_start())),
        None => (plain(line).trim(), None),
    })
}

/// Without the comment at its end.
fn plain(value: &str) -> &str {
    let begins = |(at, c): (usize, char)| matches!(c, ';' | '#') && value[..at].ends_with([' ', '\t']);
    let comment = value.char_indices().find(|found| begins(*found)).map_or(value.len(), |(at, _)| at);
    value[..comment].trim_end()
}

/// What was found, and the text in which it is as wanted; `None` where it is so already.
pub(super) fn edit(
    text: &str,
    names: &[String],
    wanted: Option<&Value>,
) -> Result<Option<(Option<Value>, String)>> {
    let (section, name) = split(names)?;
    let ini = Ini::read(text, &section);
    let settings = ini.find(name);
    let found = match settings.as_slice() {
        [] => None,
        [found] => Some(found),
        several => {
            let lines: Vec<String> = several.iter().map(|found| (found.line + 1).to_string()).collect();
            bail!("it is there {} times, in lines {}; leave one", several.len(), lines.join(", "));
        }
    };
    let text = match (wanted, found) {
        (None, None) => return Ok(None),
        (None, Some(found)) => ini.splice(ini.whole(found)?, &[]),
        (Some(wanted), found) => {
            let wanted = text_of(wanted)?;
            match found {
                None => add(&ini, &section, name, wanted.as_deref()),
                Some(found) if found.is(wanted.as_deref()) => return Ok(None),
                Some(found) => ini.splice(ini.whole(found)?, &[ini.replaced(found, wanted.as_deref())]),
            }
        }
    };
    let value = found.map(|found| found.value.map_or(Value::Null, |value| plain(value).into()));
    Ok(Some((value, text)))
}

/// The text with a new setting, behind the last one of its section.
fn add(ini: &Ini<'_>, section: &str, name: &str, wanted: Option<&str>) -> String {
    let sign = ini.sign();
    let line = |indent: &str| match wanted {
        Some(wanted) => format!("{indent}{name}{}{wanted}", if sign.is_empty() { "=" } else { sign }),
        None => format!("{indent}{name}"),
    };
    let Some(part) = ini.parts.last() else {
        let mut new = vec![format!("[{section}]"), line("")];
        if !ini.lines.is_empty() {
            new.insert(0, String::new());
        }
        return ini.splice(ini.lines.len()..ini.lines.len(), &new);
    };
    let last = part.clone().rev().find(|line| setting(ini.lines[*line]).is_some());
    let indent = last.map_or("", |last| {
        let line = ini.lines[last];
        &line[..line.len() - line.trim_start().len()]
    });
    // Before a section, settings of none come first.
    let place = last.map_or(part.start, |last| last + 1);
    ini.splice(place..place, &[line(indent)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(key: &str) -> Vec<String> {
        key.split('.').map(str::to_owned).collect()
    }

    fn edited(text: &str, key: &str, wanted: Value) -> String {
        edit(text, &names(key), Some(&wanted))
            .unwrap()
            .map_or_else(|| "as wanted".to_owned(), |(_, text)| text)
    }

    fn removed(text: &str, key: &str) -> String {
        edit(text, &names(key), None).unwrap().map_or_else(|| "as wanted".to_owned(), |(_, text)| text)
    }

    const TEXT: &str =
        "; top\nglobal=1\n\n[a]\nx = 1 ; one\n# y = 2\ny: two\nskip\n\n[a.b]\n\tz = 3\n\n[c]\n";

    #[test]
    fn comments_and_layout_are_kept() {
        assert_eq!(edited(TEXT, "a.x", json!(2)), TEXT.replace("1 ; one", "2 ; one"));
        assert_eq!(edited(TEXT, "a.y", json!("three")), TEXT.replace("y: two", "y: three"));
        assert_eq!(edited(TEXT, "a.b.z", json!(true)), TEXT.replace("z = 3", "z = true"));
        assert_eq!(edited(TEXT, "global", json!("2")), TEXT.replace("global=1", "global=2"));
        assert_eq!(edited(TEXT, "a.skip", json!("on")), TEXT.replace("skip", "skip = on"));
        assert_eq!(edited(TEXT, "a.x", json!(null)), TEXT.replace("x = 1 ; one", "x ; one"));
        assert_eq!(edited("a=\nb=1\n", "a", json!(1)), "a=1\nb=1\n");
        assert_eq!(edited("b = 1\na =\n", "a", json!(1)), "b = 1\na = 1\n");
    }

    #[test]
    fn a_value_that_looks_like_a_comment_takes_the_place_of_one() {
        assert_eq!(edited("a = b # c\n", "a", json!("d #e")), "a = d #e\n");
        assert_eq!(edited("a = d #e\n", "a", json!("d #e")), "as wanted");
        assert_eq!(edited("a = d #e\n", "a", json!("f")), "a = f #e\n");
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        for (key, value) in [
            ("a.x", json!(1)),
            ("a.x", json!("1 ; one")),
            ("a.y", json!("two")),
            ("a.skip", json!(null)),
            ("a.b.z", json!("3")),
        ] {
            assert_eq!(edited(TEXT, key, value), "as wanted", "{key}");
        }
        assert_eq!(removed(TEXT, "a.z"), "as wanted");
        assert_eq!(removed(TEXT, "nowhere.z"), "as wanted");
    }

    #[test]
    fn what_is_new_comes_behind_its_neighbours() {
        assert_eq!(edited(TEXT, "a.new", json!(1)), TEXT.replace("skip\n", "skip\nnew = 1\n"));
        assert_eq!(edited(TEXT, "a.b.new", json!(1)), TEXT.replace("z = 3\n", "z = 3\n\tnew = 1\n"));
        assert_eq!(edited(TEXT, "c.new", json!(1)), format!("{TEXT}new=1\n"));
        assert_eq!(edited(TEXT, "d.new", json!(1)), format!("{TEXT}\n[d]\nnew=1\n"));
        assert_eq!(edited(TEXT, "new", json!(1)), TEXT.replace("global=1\n", "global=1\nnew=1\n"));
        assert_eq!(edited("", "a.b", json!("x")), "[a]\nb = x\n");
        assert_eq!(edited("[a]\r\nx=1", "a.y", json!(2)), "[a]\r\nx=1\r\ny=2\r\n");
    }

    #[test]
    fn what_goes_is_one_line() {
        assert_eq!(removed(TEXT, "a.y"), TEXT.replace("y: two\n", ""));
        assert_eq!(removed(TEXT, "global"), TEXT.replace("global=1\n", ""));
    }

    #[test]
    fn what_readers_do_not_agree_on_is_an_error() {
        let error =
            |text: &str, key: &str| edit(text, &names(key), Some(&json!("new"))).err().unwrap().to_string();
        assert_eq!(
            error("[a]\nx=1\n[b]\n[a]\nx=2\n", "a.x"),
            "it is there 2 times, in lines 2, 5; leave one"
        );
        assert_eq!(
            error("x = 1\n  2\n", "x"),
            "its value goes on in the line after 1, which this cannot keep"
        );
        assert_eq!(
            error("x = 1\\\ny\n", "x"),
            "its value goes on in the line after 1, which this cannot keep"
        );
        let refused = |key: &str, value: Value| validate(&names(key), Some(&value)).unwrap_err().to_string();
        assert_eq!(refused("a", json!([])), "a list or an object has no place in an INI file");
        assert_eq!(refused("a", json!("b\nc")), "a value in an INI file is one line, without a NUL byte");
        assert_eq!(refused("a", json!(" b")), "a value in an INI file cannot begin or end with white space");
        assert_eq!(refused("a]b.c", json!(1)), "the section `a]b` must not contain `]`");
        assert_eq!(refused("a=b", json!(1)), "`a=b` is no name of a setting in an INI file");
    }
}
