//! Patterns of file names: `*.log`, `site-?.conf`, `[ab]*`, `{a,b}.txt`.
//!
//! Matches names and relative paths; looks at no file system.

use std::path::Path;

use anyhow::{Context as _, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Some patterns, one of which has to fit.
#[derive(Clone, Debug)]
pub(crate) struct Patterns(GlobSet);

impl Patterns {
    /// `*` and `?` stand for anything but `/`, `**` for directories.
    ///
    /// # Errors
    /// When one is no pattern.
    pub(crate) fn new(patterns: &[String]) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            anyhow::ensure!(!pattern.is_empty(), "a pattern must not be empty");
            let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
            // The error names the pattern itself.
            set.add(glob.context("bad pattern")?);
        }
        Ok(Patterns(set.build().context("the patterns are too long")?))
    }

    /// As [`new`](Patterns::new), but a pattern without `/` is one of names, in whatever directory.
    ///
    /// # Errors
    /// When one is no pattern.
    pub(crate) fn anywhere(patterns: &[String]) -> Result<Self> {
        let anywhere = |pattern: &String| match pattern {
            pattern if pattern.is_empty() || pattern.contains('/') => pattern.clone(),
            pattern => format!("**/{pattern}"),
        };
        Patterns::new(&patterns.iter().map(anywhere).collect::<Vec<_>>())
    }

    /// Whether one of them fits.
    pub(crate) fn fit(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Result<Patterns> {
        Patterns::new(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        let fits = |pattern, path: &str| patterns(&[pattern]).unwrap().fit(Path::new(path));
        assert!(fits("*.log", "a.log") && fits("*.log", ".log") && fits("?", "x") && fits("{a,b}", "b"));
        assert!(!fits("*.log", "a.log.1") && !fits("*.log", "below/a.log") && !fits("a", "b"));
        assert!(fits("**/*.log", "a.log") && fits("**/*.log", "below/it/a.log") && fits(r"\*", "*"));
        assert!(!patterns(&[]).unwrap().fit(Path::new("a")));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let error = |pattern| format!("{:#}", patterns(&[pattern]).unwrap_err());
        assert_eq!(error(""), "a pattern must not be empty");
        assert!(error("[a").starts_with("bad pattern: error parsing glob '[a': "), "{}", error("[a"));
        assert!(error("{a").starts_with("bad pattern: error parsing glob '{a': "), "{}", error("{a"));
    }
}
