//! Settings in INI files: lines of `name = value` under `[section]`s.
//!
//! There is no standard. A value is all that stands behind the sign, as systemd, Samba and Python read it; that ` ;` or
//! ` #` begins a comment behind it has to be said. Where readers do not agree (a name that is there twice, a value that
//! goes on in the next line) it is an error.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

use crate::text::content;
use crate::value::Value;

/// Refuses what a line of an INI file cannot say.
pub(super) fn validate(names: &[String], wanted: Option<&Value>, has_comments: bool) -> Result<()> {
    let (section, name) = split(names)?;
    ensure!(!section.contains([']', '\n']), "the section `{section}` must not contain `]`");
    let fits = !name.contains(['=', ':', '\n']) && !name.starts_with(['[', '#', ';']) && trim(name) == name;
    ensure!(fits, "`{name}` is no name of a setting in an INI file");
    let Some(text) = wanted.map(text_of).transpose()?.flatten() else { return Ok(()) };
    if has_comments { validate_with_comments(&text) } else { Ok(()) }
}

/// Refuses a value that the programs that know comments behind values would read as another one. Where a comment begins, and
/// what `\` means outside of quotes, they do not agree on.
fn validate_with_comments(text: &str) -> Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(['"', ';', '#', '\\']) {
        let (found, length) = (&rest[at..=at], quoted(&rest[at..]));
        match found {
            "\"" if length > 0 => {
                let inner = &rest[at + 1..at + length - 1];
                ensure!(
                    !has_unknown_escape(inner),
                    "with `inline_comments` a `\\` in double quotes begins an escape: write `\\\\` for one"
                );
                rest = &rest[at + length..];
            }
            "\"" => bail!("with `inline_comments` every double quote of a value has to be closed"),
            "\\" => bail!(
                "with `inline_comments` a `\\` outside of double quotes is read as an escape; put the value in double quotes, \
                 which then are a part of it, and write `\\\\`"
            ),
            _ => bail!(
                "with `inline_comments` what is behind `{found}` in the value is a comment; where the reader of the file knows \
                 quotes, put it in double quotes, which then are a part of the value"
            ),
        }
    }
    Ok(())
}

/// Whether a `\` in quotes is followed by what is no escape of Git, MySQL and PHP.
fn has_unknown_escape(quoted: &str) -> bool {
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && !matches!(chars.next(), Some('\\' | '"' | 'n' | 't' | 'b')) {
            return true;
        }
    }
    false
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
    ensure!(
        !text.ends_with('\\'),
        "a value in an INI file cannot end with `\\`, which would make the next line a part of it"
    );
    Ok(Some(text))
}

/// A line with a setting.
struct IniSetting<'t> {
    /// Its number, counted from 0.
    line: usize,
    /// The text behind the sign, with what may be a comment.
    value: Option<&'t str>,
}

struct Ini<'t> {
    lines: Vec<&'t str>,
    /// Whether ` ;` and ` #` begin a comment behind a value.
    has_comments: bool,
    /// Where each part of the section is; the first one's heading has no line where there is none.
    parts: Vec<Range<usize>>,
}

impl<'t> Ini<'t> {
    fn read(text: &'t str, section: &str, has_comments: bool) -> Result<Self> {
        let mut ini = Ini { lines: text.split_inclusive('\n').collect(), has_comments, parts: Vec::new() };
        let mut begins = section.is_empty().then_some(0);
        for (number, line) in ini.lines.iter().enumerate() {
            let Some(name) = heading(line) else { continue };
            if let Some(before) = number.checked_sub(1).filter(|before| ini.may_go_on(*before)) {
                ensure!(begins.is_none() && name != section, "{}", taken_for_more(number, name, before));
            }
            ini.parts.extend(begins.take().map(|begin| begin..number));
            begins = (name == section).then_some(number + 1);
        }
        let end = ini.lines.len();
        ini.parts.extend(begins.map(|begin| begin..end));
        Ok(ini)
    }

    /// The lines that set `name`.
    fn find(&self, name: &str) -> Result<Vec<IniSetting<'t>>> {
        let mut settings = Vec::new();
        for line in self.parts.iter().cloned().flatten() {
            let Some((found, value)) = setting(self.lines[line]).filter(|(found, _)| *found == name) else {
                continue;
            };
            match self.continued(line) {
                None => settings.push(IniSetting { line, value }),
                Some(before) => bail!(taken_for_more(line, found, before)),
            }
        }
        Ok(settings)
    }

    /// The value without the comment that may stand behind it.
    fn plain<'v>(&self, value: &'v str) -> &'v str {
        if self.has_comments { plain(value) } else { trim(value) }
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
        crate::text::Lines::of(&self.lines.concat()).splice(range, new.iter().map(String::as_str))
    }

    /// The lines of a setting: one.
    fn whole(&self, found: &IniSetting<'_>) -> Result<Range<usize>> {
        let line = found.line + 1;
        let goes_on = self.continued(line).is_some() || self.may_go_on(found.line);
        ensure!(!goes_on, "its value goes on in the line after {line}, which this cannot keep");
        Ok(found.line..line)
    }

    /// The line of a setting with another value. A comment behind it is kept.
    fn replaced(&self, found: &IniSetting<'_>, wanted: Option<&str>) -> String {
        let line = content(self.lines[found.line]);
        let (begin, comment) = match found.value {
            Some(value) => (&line[..line.len() - value.len()], &value[self.plain(value).len()..]),
            None => (plain(line), &line[plain(line).len()..]),
        };
        let Some(wanted) = wanted else {
            return format!("{}{comment}", begin.trim_end().trim_end_matches(['=', ':']).trim_end());
        };
        // Where nothing begins a comment behind a value, it would be a part of the new value.
        let comment = if self.has_comments || found.value.is_some() { comment } else { "" };
        let sign = match found.value {
            None => self.sign(),
            Some(_) if begin.ends_with(['=', ':']) && self.sign().ends_with(' ') => " ",
            Some(_) => "",
        };
        format!("{begin}{sign}{wanted}{comment}")
    }

    /// Whether a line ends with `\`, for which some programs read the next one as more of it, and others do not. Those that
    /// know comments behind values take `\\` for one of them, which ends nothing.
    fn may_go_on(&self, line: usize) -> bool {
        let text = content(self.lines[line]);
        let slashes = text.len() - text.trim_end_matches('\\').len();
        let is_in_comment = is_comment(text) || self.has_comments && plain(text) != trim_end(text);
        slashes > 0 && !is_in_comment && !(self.has_comments && slashes.is_multiple_of(2))
    }

    /// The line that some programs take this one for more of: one that ends with `\`, or a setting that is indented less.
    fn continued(&self, line: usize) -> Option<usize> {
        let own = self.lines.get(line)?;
        let before = line.checked_sub(1)?;
        if self.may_go_on(before) {
            return Some(before);
        }
        if !own.starts_with([' ', '\t']) || trim(own).is_empty() || is_comment(own) || heading(own).is_some()
        {
            return None;
        }
        // Blank lines and comments within a value are passed over.
        let is_more = |line: &&str| trim(line).is_empty() || is_comment(line);
        let above = self.lines[..line].iter().rposition(|line| !is_more(line))?;
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let first = (0..=above)
            .rev()
            .find(|line| indent(self.lines[*line]) < indent(own) || heading(self.lines[*line]).is_some())?;
        let is_setting = heading(self.lines[first]).is_none() && setting(self.lines[first]).is_some();
        (is_setting && indent(self.lines[first]) < indent(own)).then_some(first)
    }

    /// Behind a setting's line, and what its value goes on in.
    fn behind(&self, line: usize) -> usize {
        (line + 1..self.lines.len()).find(|line| self.continued(*line).is_none()).unwrap_or(self.lines.len())
    }
}

/// Why a line is not edited of which programs do not agree whether it is one. Lines are counted from 0.
fn taken_for_more(line: usize, what: &str, before: usize) -> String {
    let (line, before) = (line + 1, before + 1);
    format!("line {line}, `{what}`, is taken for more of line {before} by some programs; edit it by hand")
}

/// Without blanks at the ends; other characters that Unicode takes for white space are text.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace())
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_ascii_whitespace())
}

fn is_comment(line: &str) -> bool {
    trim(line).starts_with(['#', ';'])
}

fn heading(line: &str) -> Option<&str> {
    let name = trim(line).strip_prefix('[')?;
    let is_end = |at: &usize| {
        let rest = trim(&name[at + 1..]);
        rest.is_empty() || rest.starts_with(['#', ';'])
    };
    let end = name.match_indices(']').map(|(at, _)| at).find(is_end).or_else(|| name.rfind(']'))?;
    Some(trim(&name[..end]))
}

/// The name and what is behind the sign, which is the first `=` or `:`; a name alone has none.
fn setting(line: &str) -> Option<(&str, Option<&str>)> {
    let line = content(line);
    if trim(line).is_empty() || is_comment(line) || heading(line).is_some() {
        return None;
    }
    Some(match line.find(['=', ':']) {
        Some(sign) => (trim(&line[..sign]), Some(line[sign + 1..].trim_start_matches([' ', '\t']))),
        None => (plain(line), None),
    })
}

/// Without the comment at its end, which does not begin between double quotes.
fn plain(value: &str) -> &str {
    let mut end_of_quotes = 0;
    let mut begins = |(at, c): (usize, char)| {
        if at < end_of_quotes {
            return false;
        }
        if c == '"' {
            end_of_quotes = at + quoted(&value[at..]);
        }
        matches!(c, ';' | '#') && value[..at].ends_with([' ', '\t'])
    };
    let comment = value.char_indices().find(|found| begins(*found)).map_or(value.len(), |(at, _)| at);
    trim_end(&value[..comment])
}

/// The length of what is in double quotes, with them; 0 where they are not closed. `\"` is a part of it.
fn quoted(text: &str) -> usize {
    let mut is_escaped = true;
    let mut is_end = |(_, c): &(usize, char)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    };
    text.char_indices().find(|found| is_end(found)).map_or(0, |(at, _)| at + 1)
}

/// What was found, and the text in which it is as wanted; `None` where it is so already.
pub(super) fn edit(
    text: &str,
    names: &[String],
    wanted: Option<&Value>,
    has_comments: bool,
) -> Result<Option<(Option<Value>, String)>> {
    let (section, name) = split(names)?;
    let ini = Ini::read(text, &section, has_comments)?;
    let settings = ini.find(name)?;
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
                None => add(&ini, &section, name, wanted.as_deref())?,
                Some(found) => {
                    let line = ini.whole(found)?;
                    let is_whole = wanted.is_some() && found.value.map(trim) == wanted.as_deref();
                    if is_whole || found.value.map(|value| ini.plain(value)) == wanted.as_deref() {
                        return Ok(None);
                    }
                    ini.splice(line, &[ini.replaced(found, wanted.as_deref())])
                }
            }
        }
    };
    let value = found.map(|found| found.value.map_or(Value::Null, |value| ini.plain(value).into()));
    Ok(Some((value, text)))
}

/// The text with a new setting, behind the last one of its section.
fn add(ini: &Ini<'_>, section: &str, name: &str, wanted: Option<&str>) -> Result<String> {
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
        return Ok(ini.splice(ini.lines.len()..ini.lines.len(), &new));
    };
    let is_setting = |line: &usize| setting(ini.lines[*line]).is_some() && ini.continued(*line).is_none();
    let last = part.clone().rev().find(is_setting);
    let indent = last.map_or("", |last| {
        let line = ini.lines[last];
        &line[..line.len() - line.trim_start().len()]
    });
    // Before a section, settings of none come first.
    let place = last.map_or(part.start, |last| ini.behind(last));
    ensure!(
        !place.checked_sub(1).is_some_and(|before| ini.may_go_on(before)),
        "line {place} ends with `\\`, and would go on in what is new"
    );
    Ok(ini.splice(place..place, &[line(indent)]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn names(key: &str) -> Vec<String> {
        key.split('.').map(str::to_owned).collect()
    }

    fn edited(text: &str, key: &str, wanted: Json) -> String {
        edit(text, &names(key), Some(&wanted.into()), false)
            .unwrap()
            .map_or_else(|| "as wanted".to_owned(), |(_, text)| text)
    }

    /// In a file whose programs know comments behind values.
    fn commented(text: &str, key: &str, wanted: Json) -> String {
        edit(text, &names(key), Some(&wanted.into()), true)
            .unwrap()
            .map_or_else(|| "as wanted".to_owned(), |(_, text)| text)
    }

    fn removed(text: &str, key: &str) -> String {
        edit(text, &names(key), None, false).unwrap().map_or_else(|| "as wanted".to_owned(), |(_, text)| text)
    }

    const TEXT: &str =
        "; top\nglobal=1\n\n[a]\nx = 1 ; one\n# y = 2\ny: two\nskip\n\n[a.b]\n\tz = 3\n\n[c]\n";

    #[test]
    fn comments_and_layout_are_kept() {
        assert_eq!(commented(TEXT, "a.x", json!(2)), TEXT.replace("1 ; one", "2 ; one"));
        assert_eq!(edited(TEXT, "a.y", json!("three")), TEXT.replace("y: two", "y: three"));
        assert_eq!(edited(TEXT, "a.b.z", json!(true)), TEXT.replace("z = 3", "z = true"));
        assert_eq!(edited(TEXT, "global", json!("2")), TEXT.replace("global=1", "global=2"));
        assert_eq!(edited(TEXT, "a.skip", json!("on")), TEXT.replace("skip", "skip = on"));
        assert_eq!(edited(TEXT, "a.x", json!(null)), TEXT.replace("x = 1 ; one", "x"));
        assert_eq!(commented(TEXT, "a.x", json!(null)), TEXT.replace("x = 1 ; one", "x ; one"));
        assert_eq!(edited("a=\nb=1\n", "a", json!(1)), "a=1\nb=1\n");
        assert_eq!(edited("b = 1\na =\n", "a", json!(1)), "b = 1\na = 1\n");
    }

    #[test]
    fn a_value_that_is_read_in_two_ways_is_refused_where_there_are_comments() {
        for (value, why) in [
            ("d #e", "behind `#` in the value is a comment"),
            ("d#e", "behind `#` in the value is a comment"),
            ("a;b", "behind `;` in the value is a comment"),
            ("2 ; 3", "behind `;` in the value is a comment"),
            ("; z", "behind `;` in the value is a comment"),
            ("#fff", "behind `#` in the value is a comment"),
            ("\"a\" ; \"b\"", "behind `;` in the value is a comment"),
            ("\"a ; b", "has to be closed"),
            ("a\"b", "has to be closed"),
            ("\"a\\\"", "has to be closed"),
            (r"C:\new", "outside of double quotes"),
            ("a\\\"b", "outside of double quotes"),
            ("\"C:\\Users\"", "begins an escape"),
        ] {
            let refused = validate(&names("a"), Some(&json!(value).into()), true).unwrap_err().to_string();
            assert!(refused.contains(why), "{value}: {refused}");
            validate(&names("a"), Some(&json!(value).into()), false).unwrap();
        }
        for value in ["d e", "\"d#e\"", "\"2 ; 3\"", "a \"; \\\" ; \" b", "\"C:\\\\new\\n\"", "it's"] {
            validate(&names("a"), Some(&json!(value).into()), true).unwrap();
        }
        assert!(validate(&names("a"), Some(&json!("foo\\").into()), false).is_err());
    }

    #[test]
    fn no_comment_begins_between_quotes() {
        assert_eq!(commented("a = \"b ; c\" # d\n", "a", json!("\"b ; c\"")), "as wanted");
        assert_eq!(commented("a = \"b ; c\" # d\n", "a", json!("\"b")), "a = \"b # d\n");
        assert_eq!(commented("a = \"b \\\" ; c\" ; hi\n", "a", json!("e")), "a = e ; hi\n");
        assert_eq!(commented("a = 3\" ; c\n", "a", json!("4\"")), "a = 4\" ; c\n", "that is no quote");
    }

    #[test]
    fn comments_are_values_where_nobody_says_otherwise() {
        assert_eq!(commented("a = d #e\n", "a", json!("f")), "a = f #e\n");
        assert_eq!(edited("a = d #e\n", "a", json!("f")), "a = f\n");
        assert_eq!(edited("a = d ; e\n", "a", json!("d")), "a = d\n");
        assert_eq!(edited("a = d ; e\n", "a", json!("d ; e")), "as wanted");
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        for (key, value) in
            [("a.x", json!("1 ; one")), ("a.y", json!("two")), ("a.skip", json!(null)), ("a.b.z", json!("3"))]
        {
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
        // Not amid a value of several lines.
        assert_eq!(edited("[a]\nx = 1\n  2\n\n[b]\n", "a.y", json!(3)), "[a]\nx = 1\n  2\ny = 3\n\n[b]\n");
        assert_eq!(edited("x = 1\\\ny = 2\n", "z", json!(3)), "x = 1\\\ny = 2\nz = 3\n");
    }

    #[test]
    fn the_first_sign_parts_name_and_value() {
        assert_eq!(edited("a: b=c\n", "a", json!("b=c")), "as wanted");
        assert_eq!(edited("a = b:c\n", "a", json!("d")), "a = d\n");
        assert_eq!(edited("Url:http://x/?a=b\n", "Url", json!("http://y")), "Url:http://y\n");
        assert_eq!(edited("a: 1\n", "b", json!(2)), "a: 1\nb: 2\n");
    }

    #[test]
    fn sections_and_names_are_told_apart_by_case() {
        assert_eq!(edited("[Unit]\nA=1\n", "Unit.a", json!(2)), "[Unit]\nA=1\na=2\n");
        assert_eq!(edited("[Unit]\nA=1\n", "unit.A", json!(2)), "[Unit]\nA=1\n\n[unit]\nA=2\n");
        assert_eq!(edited("[a] ; see [b]\nx=1\n", "a.x", json!(2)), "[a] ; see [b]\nx=2\n");
    }

    #[test]
    fn what_goes_is_one_line() {
        assert_eq!(removed(TEXT, "a.y"), TEXT.replace("y: two\n", ""));
        assert_eq!(removed(TEXT, "global"), TEXT.replace("global=1\n", ""));
    }

    #[test]
    fn what_readers_do_not_agree_on_is_an_error() {
        let error = |text: &str, key: &str| {
            edit(text, &names(key), Some(&"new".into()), false).err().unwrap().to_string()
        };
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
        // Python and MySQL read the line behind `\\` as a setting of its own.
        let after_slash = "line 2, `y`, is taken for more of line 1 by some programs; edit it by hand";
        assert_eq!(error("x = C:\\\ny = 2\n", "y"), after_slash);
        assert_eq!(error("x = C:\\\\\ny = 2\n", "y"), after_slash);
        assert_eq!(
            edit("x = C:\\\ny = 2\n", &names("y"), None, false).err().unwrap().to_string(),
            after_slash
        );
        let heading = "line 3, `b`, is taken for more of line 2 by some programs; edit it by hand";
        for key in ["a.new", "b.y"] {
            assert_eq!(error("[a]\nx = C:\\\n[b]\ny = 2\n", key), heading);
        }
        assert_eq!(
            edited("[a]\nx = C:\\\n[b]\ny = 2\n[c]\nz=1\n", "c.z", json!(2)),
            "[a]\nx = C:\\\n[b]\ny = 2\n[c]\nz=2\n"
        );
        // For Git two are one, and none is left to go on with.
        assert_eq!(commented("x = 1\\\\\ny = 2\n", "y", json!(3)), "x = 1\\\\\ny = 3\n");
        assert_eq!(commented("x = 1 # C:\\\ny = 2\n", "y", json!(3)), "x = 1 # C:\\\ny = 3\n");
        assert_eq!(
            error("x = 1\n  y = 2\n", "y"),
            "line 2, `y`, is taken for more of line 1 by some programs; edit it by hand"
        );
        let refused = |key: &str, value: Json| {
            validate(&names(key), Some(&value.into()), false).unwrap_err().to_string()
        };
        assert_eq!(refused("a", json!([])), "a list or an object has no place in an INI file");
        assert_eq!(refused("a", json!("b\nc")), "a value in an INI file is one line, without a NUL byte");
        assert_eq!(refused("a", json!(" b")), "a value in an INI file cannot begin or end with white space");
        assert_eq!(refused("a]b.c", json!(1)), "the section `a]b` must not contain `]`");
        assert_eq!(refused("a=b", json!(1)), "`a=b` is no name of a setting in an INI file");
    }
}
