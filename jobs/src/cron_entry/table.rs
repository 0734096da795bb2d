//! The text of a crontab: finding, setting and removing an entry that stands between two comments with its name.
//!
//! Pure: looks at no machine. Only what is between the two is the entry's own: whatever else people write, and wherever, is
//! theirs.

use crate::text_file::{joined, lines};

/// How the comment before an entry begins, and the one behind it.
const MARK: &str = "# dojob: ";
const END: &str = "# dojob end: ";

/// The comment behind the entry is missing, and lines follow that may or may not be its own.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "`{MARK}{0}` has no `{END}{0}` behind it, so it cannot be told which lines are the entry's own: write that behind the \
     last of them, or remove the first"
)]
pub(super) struct Unclosed(String);

fn is_mark(line: &str) -> bool {
    line.starts_with(MARK) || line.starts_with(END)
}

/// How many of the lines behind a mark belong to it, the one that ends it included.
fn length(name: &str, behind: &[String], entry: Option<&[String]>) -> Result<usize, Unclosed> {
    let end = format!("{END}{name}");
    let next = behind.iter().position(|line| is_mark(line));
    if let Some(at) = next.filter(|at| behind[*at].trim_end() == end) {
        return Ok(at + 1);
    }
    // Without its end: just what this entry would be, or nothing at all, is no doubt.
    if let Some(entry) = entry.filter(|entry| behind.starts_with(entry)) {
        return Ok(entry.len());
    }
    let first = behind.first().map_or("", |line| line.trim());
    if first.is_empty() || first.starts_with('#') { Ok(0) } else { Err(Unclosed(name.to_owned())) }
}

/// A crontab in which the entry `name` has these lines between its marks, where the old one was or at the end; or, without
/// lines, one in which it is not there.
pub(super) fn set(text: &str, name: &str, entry: Option<&[String]>) -> Result<String, Unclosed> {
    let found = lines(text);
    let (mark, end) = (format!("{MARK}{name}"), format!("{END}{name}"));
    let mut rest = found.as_slice();
    let mut wanted: Vec<String> = Vec::with_capacity(found.len());
    let mut to_write = entry;
    let write = |wanted: &mut Vec<String>, entry: &[String]| {
        wanted.push(mark.clone());
        wanted.extend_from_slice(entry);
        wanted.push(end.clone());
    };
    while let [line, behind @ ..] = rest {
        if line.trim_end() != mark {
            wanted.push(line.clone());
            rest = behind;
            continue;
        }
        if let Some(entry) = to_write.take() {
            write(&mut wanted, entry);
        }
        rest = &behind[length(name, behind, entry)?..];
    }
    if let Some(entry) = to_write {
        write(&mut wanted, entry);
    }
    Ok(if wanted == found { text.to_owned() } else { joined(&wanted) })
}

/// Whether there is a mark of this name.
pub(super) fn has(text: &str, name: &str) -> bool {
    let mark = format!("{MARK}{name}");
    text.lines().any(|line| line.trim_end() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = "\
MAILTO=root
# dojob: backup
PATH=/bin
0 3 * * * backup
# dojob end: backup
5 4 * * sun echo a=b
";

    fn set_in(text: &str, name: &str, lines: &[&str]) -> Result<String, Unclosed> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        set(text, name, Some(&lines))
    }

    fn with(name: &str, lines: &[&str]) -> String {
        set_in(FOUND, name, lines).unwrap()
    }

    fn without(text: &str, name: &str) -> String {
        set(text, name, None).unwrap()
    }

    #[test]
    fn the_entry_as_it_is_makes_no_difference() {
        assert_eq!(with("backup", &["PATH=/bin", "0 3 * * * backup"]), FOUND);
        assert_eq!(without(FOUND, "other"), FOUND);
        assert_eq!(without("no end", "other"), "no end");
        assert!(has(FOUND, "backup") && !has(FOUND, "back"));
    }

    #[test]
    fn an_entry_is_replaced_where_it_stands() {
        let wanted = FOUND.replace("PATH=/bin\n0 3 * * * backup\n", "@daily backup\n");
        assert_eq!(with("backup", &["@daily backup"]), wanted);
    }

    #[test]
    fn a_new_entry_is_appended_and_an_old_one_goes() {
        assert_eq!(
            with("new", &["@daily new"]),
            format!("{FOUND}# dojob: new\n@daily new\n# dojob end: new\n")
        );
        assert_eq!(
            set_in("no end", "new", &["@daily new"]).unwrap(),
            "no end\n# dojob: new\n@daily new\n# dojob end: new\n"
        );
        assert_eq!(without(FOUND, "backup"), "MAILTO=root\n5 4 * * sun echo a=b\n");
    }

    #[test]
    fn a_line_of_others_behind_an_entry_that_was_taken_out_stays() {
        let found = "# dojob: backup\n# dojob end: backup\n5 4 * * * other\n";
        assert_eq!(
            set_in(found, "backup", &["@daily b"]).unwrap(),
            "# dojob: backup\n@daily b\n# dojob end: backup\n5 4 * * * other\n"
        );
        assert_eq!(without(found, "backup"), "5 4 * * * other\n");
    }

    #[test]
    fn without_its_end_a_mark_has_no_line_of_others() {
        let unclosed = Err(Unclosed("a".to_owned()));
        for found in
            ["# dojob: a\n@daily other\n", "# dojob: a\nMAILTO=x\n# dojob: b\n@daily b\n# dojob end: b\n"]
        {
            assert_eq!(set_in(found, "a", &["@daily a"]), unclosed, "{found}");
            assert_eq!(set(found, "a", None), unclosed, "{found}");
        }
        let closed = "# dojob: a\n@daily a\n# dojob end: a\n";
        assert_eq!(
            set_in("# dojob: a\n@daily a\n@daily b\n", "a", &["@daily a"]).unwrap(),
            format!("{closed}@daily b\n")
        );
        for behind in ["", "\n@daily b\n", "#@daily a\n@daily b\n", "# dojob: b\n@daily b\n# dojob end: b\n"]
        {
            let found = format!("# dojob: a\n{behind}");
            assert_eq!(set_in(&found, "a", &["@daily a"]).unwrap(), format!("{closed}{behind}"));
            assert_eq!(without(&found, "a"), behind);
        }
    }

    #[test]
    fn what_was_commented_out_by_hand_inside_goes_with_the_entry() {
        let found = "# dojob: backup\n#0 3 * * * backup\n# dojob end: backup\n5 4 * * * other\n";
        assert_eq!(
            set_in(found, "backup", &["@daily b"]).unwrap(),
            "# dojob: backup\n@daily b\n# dojob end: backup\n5 4 * * * other\n"
        );
    }

    #[test]
    fn a_second_entry_of_the_same_name_goes() {
        let (a, b) = ("# dojob: a\n@daily a\n# dojob end: a\n", "# dojob: b\n@daily b\n# dojob end: b\n");
        let twice = format!("{a}{b}# dojob: a\n@weekly a\n# dojob end: a\n");
        assert_eq!(set_in(&twice, "a", &["@daily a"]).unwrap(), format!("{a}{b}"));
    }
}
