//! What is wrong with a text, and where: one problem, or all of them in order of place.

use std::collections::HashMap;
use std::fmt;

use super::place::Place;
use super::render;
use crate::secret::without_passwords;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as far as it can be known.
    pub place: Option<Place>,
    /// What: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Problem { place: place.into(), message: message.into(), hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All that is wrong, at least one; in order of place when shown. Of very many only the first are kept, and the number of
/// the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>, usize);

impl Problems {
    /// In order of place: sources as they come first, what has no place before all, and nothing twice.
    #[must_use]
    pub fn sorted(self) -> Self {
        let Problems(problems, more) = self;
        let keys = keys(&problems);
        let mut keyed: Vec<(Key, Problem)> = keys.into_iter().zip(problems).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut sorted: Vec<Problem> = keyed.into_iter().map(|(_, problem)| problem).collect();
        sorted.dedup();
        Problems(sorted, more)
    }

    /// With so many more that are not kept.
    #[must_use]
    pub(crate) fn and(self, more: usize) -> Self {
        Problems(self.0, self.1.saturating_add(more))
    }

    /// How many there are that are not kept.
    pub(crate) fn left_out(&self) -> usize {
        self.1
    }
}

/// A source by its number, line and column; `None` is before all.
type Key = Option<(usize, usize, usize)>;

/// By what each problem is put in order.
fn keys(problems: &[Problem]) -> Vec<Key> {
    let mut order: HashMap<&str, usize> = HashMap::new();
    let keys = problems.iter().map(|problem| {
        let place = problem.place.as_ref()?;
        let next = order.len();
        let source = *order.entry(place.source.name()).or_insert(next);
        Some((source, place.line, place.column))
    });
    keys.collect()
}

/// More than this many are not kept: each has its texts, and a program may have written a million of them.
const KEPT: usize = 1_000;

/// The first of them in order of place, where there are very many.
impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        if problems.len() <= KEPT {
            return Problems(problems, 0);
        }
        let Problems(mut problems, _) = Problems(problems, 0).sorted();
        let more = problems.len().saturating_sub(KEPT);
        problems.truncate(KEPT);
        problems.shrink_to_fit();
        Problems(problems, more)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem], 0)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", render::escaped(&without_passwords(&self.message)))?;
        if let Some(place) = &self.place {
            write!(f, "\n{}", render::snippet(place))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", render::escaped(&without_passwords(hint)))?;
        }
        Ok(())
    }
}

/// More than this many are not shown; whoever repairs so many starts again anyway.
const SHOWN: usize = 100;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Dropping duplicates may make room for others, so all that are kept are looked at.
        let sorted = self.clone().sorted();
        for (index, problem) in sorted.0.iter().take(SHOWN).enumerate() {
            let between = if index > 0 { "\n\n" } else { "" };
            write!(f, "{between}{problem}")?;
        }
        match sorted.0.len().saturating_sub(SHOWN).saturating_add(sorted.1) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::Source;

    fn at(text: &str, line: usize, column: usize, length: usize) -> String {
        let source = Source::new("site.conf", text);
        Problem::new(Place { source, line, column, length }, "it is wrong").to_string()
    }

    #[test]
    fn the_line_the_caret_and_the_hint() {
        let source = Source::new("site.conf", "a = 1\r\n\ntimeout: soon\n");
        let place = Place { source, line: 3, column: 10, length: 4 };
        let problem = Problem::new(place, "expected a duration such as `5s`").hint("give it a unit");
        assert_eq!(
            problem.to_string(),
            "error: expected a duration such as `5s`\n --> site.conf:3:10\n  |\n3 | timeout: soon\n  |          ^^^^\nhint: give it a unit"
        );
    }

    #[test]
    fn no_place_and_no_line() {
        assert_eq!(Problem::new(None, "it is wrong").to_string(), "error: it is wrong");
        assert_eq!(at("\n", 1, 1, 1), "error: it is wrong\n --> site.conf:1:1");
        assert_eq!(at("", 7, 3, 1), "error: it is wrong\n --> site.conf:7:3");
    }

    #[test]
    fn tabs_wide_and_joining_characters_keep_the_caret_below() {
        assert_eq!(
            at("\ta: b", 1, 5, 1),
            "error: it is wrong\n --> site.conf:1:5\n  |\n1 |     a: b\n  |        ^"
        );
        assert_eq!(
            at("名前: x", 1, 5, 1),
            "error: it is wrong\n --> site.conf:1:5\n  |\n1 | 名前: x\n  |       ^"
        );
        assert_eq!(
            at("名前: x", 1, 1, 2),
            "error: it is wrong\n --> site.conf:1:1\n  |\n1 | 名前: x\n  | ^^^^"
        );
        assert_eq!(
            at("e\u{301}: x", 1, 5, 1),
            "error: it is wrong\n --> site.conf:1:5\n  |\n1 | e\u{301}: x\n  |    ^"
        );
    }

    #[test]
    fn nothing_plays_with_the_terminal() {
        assert_eq!(
            at("a\u{1b}[2J\u{202e}x", 1, 6, 1),
            "error: it is wrong\n --> site.conf:1:6\n  |\n1 | a\\u{1b}[2J\\u{202e}x\n  |           ^^^^^^^^"
        );
        let source = Source::new("a\nb", "x");
        let problem = Problem::new(Place { source, line: 1, column: 1, length: 1 }, "a\u{7}b");
        assert_eq!(problem.to_string(), "error: a\\u{7}b\n --> a\\nb:1:1\n  |\n1 | x\n  | ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}X{}", "a".repeat(1_000), "b".repeat(1_000));
        let shown = at(&line, 1, 1_001, 1);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[3], format!("1 | …{}X{}…", "a".repeat(40), "b".repeat(58)));
        assert_eq!(lines[4], format!("  |  {}^", " ".repeat(40)));
        let shown = at(&line, 1, 1, 2_000);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[3], format!("1 | {}…", "a".repeat(100)));
        assert_eq!(lines[4], format!("  | {}", "^".repeat(100)));
    }

    #[test]
    fn all_in_order_of_place_and_none_twice() {
        let first = Source::new("b.conf", "x\ny\n");
        let second = Source::new("a.conf", "z\n");
        let problem = |source: &Arc<Source>, line: usize, message: &str| {
            Problem::new(Place { source: source.clone(), line, column: 1, length: 1 }, message)
        };
        let problems = Problems::from(vec![
            problem(&first, 2, "two"),
            problem(&second, 1, "three"),
            problem(&first, 1, "one"),
            problem(&first, 2, "two"),
            Problem::new(None, "zero"),
        ]);
        let messages: Vec<String> = problems.sorted().0.into_iter().map(|problem| problem.message).collect();
        assert_eq!(messages, ["zero", "one", "two", "three"]);
        let many = |count: usize| -> Problems {
            (0..count).map(|n| Problem::new(None, n.to_string())).collect::<Vec<_>>().into()
        };
        let kept = many(1_000_123);
        assert_eq!((kept.0.len(), kept.left_out()), (KEPT, 999_123));
        assert!(kept.to_string().ends_with("error: 99\n\nand 1000023 more"));
        let many = many(103);
        assert!(many.to_string().ends_with("error: 99\n\nand 3 more"));
    }
}
