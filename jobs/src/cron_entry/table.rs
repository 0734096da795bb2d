//! The text of a crontab: finding, setting and removing an entry that is marked by a comment with its name.
//!
//! Pure: looks at no machine.

use crate::text_file::{joined, lines};

/// How the comment before an entry begins.
const MARK: &str = "# dojob: ";

/// The line that marks the entry of this name.
pub(super) fn mark(name: &str) -> String {
    format!("{MARK}{name}")
}

fn is_setting(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    line.contains('=') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_entry(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !is_setting(line)
}

/// How many lines behind a mark belong to it: settings, and one entry behind them.
fn length_behind(mark: &[String]) -> usize {
    let settings = mark.iter().take_while(|line| is_setting(line.trim())).count();
    match mark.get(settings) {
        Some(line) if is_entry(line) => settings + 1,
        // Somebody has taken the entry out, and left its settings.
        _ => settings,
    }
}

/// A crontab in which the entry `name` has these lines behind its mark, where the old one was or at the end; or, without lines,
/// one in which it is not there.
pub(super) fn set(text: &str, name: &str, entry: Option<&[String]>) -> String {
    let found = lines(text);
    let mark = mark(name);
    let mut rest = found.as_slice();
    let mut wanted: Vec<String> = Vec::with_capacity(found.len());
    let mut to_write = entry;
    while let [line, behind @ ..] = rest {
        if line.trim_end() != mark {
            wanted.push(line.clone());
            rest = behind;
            continue;
        }
        if let Some(entry) = to_write.take() {
            wanted.push(mark.clone());
            wanted.extend_from_slice(entry);
        }
        rest = &behind[length_behind(behind)..];
    }
    if let Some(entry) = to_write {
        wanted.push(mark);
        wanted.extend_from_slice(entry);
    }
    if wanted == found { text.to_owned() } else { joined(&wanted) }
}

/// Whether there is a mark of this name.
pub(super) fn has(text: &str, name: &str) -> bool {
    let mark = mark(name);
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

# by hand
5 4 * * sun echo a=b
";

    fn with(name: &str, lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        set(FOUND, name, Some(&lines))
    }

    #[test]
    fn the_entry_as_it_is_makes_no_difference() {
        assert_eq!(with("backup", &["PATH=/bin", "0 3 * * * backup"]), FOUND);
        assert_eq!(set(FOUND, "other", None), FOUND);
        assert_eq!(set("no end", "other", None), "no end");
        assert!(has(FOUND, "backup") && !has(FOUND, "back"));
    }

    #[test]
    fn an_entry_is_replaced_where_it_stands() {
        let wanted = FOUND.replace("PATH=/bin\n0 3 * * * backup", "@daily backup");
        assert_eq!(with("backup", &["@daily backup"]), wanted);
    }

    #[test]
    fn a_new_entry_is_appended_and_an_old_one_goes() {
        assert_eq!(with("new", &["@daily new"]), format!("{FOUND}# dojob: new\n@daily new\n"));
        assert_eq!(set("no end", "new", Some(&["@daily new".into()])), "no end\n# dojob: new\n@daily new\n");
        let without = FOUND.replace("# dojob: backup\nPATH=/bin\n0 3 * * * backup\n", "");
        assert_eq!(set(FOUND, "backup", None), without);
    }

    #[test]
    fn what_was_commented_out_by_hand_stays() {
        let found = "# dojob: backup\n#0 3 * * * backup\n5 4 * * * other\n";
        assert_eq!(
            set(found, "backup", Some(&["@daily b".into()])),
            "# dojob: backup\n@daily b\n#0 3 * * * backup\n5 4 * * * other\n"
        );
        assert_eq!(set(found, "backup", None), "#0 3 * * * backup\n5 4 * * * other\n");
    }

    #[test]
    fn a_second_entry_of_the_same_name_goes() {
        let twice = "# dojob: a\n@daily a\n# dojob: b\n@daily b\n# dojob: a\n@weekly a\n";
        assert_eq!(
            set(twice, "a", Some(&["@daily a".into()])),
            "# dojob: a\n@daily a\n# dojob: b\n@daily b\n"
        );
    }
}
