//! Patterns of names that are left out, when packing and when unpacking.

use std::path::Path;

use anyhow::{Result, bail};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Deserializer, de};

use super::show;

/// Patterns of names that are left out.
#[derive(Clone, Debug)]
pub(crate) struct Exclude(GlobSet);

impl Exclude {
    /// A pattern with a slash counts from the folder on, one without is meant at any depth.
    ///
    /// # Errors
    /// When one is no pattern.
    pub(crate) fn new(patterns: &[String]) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let bare = pattern.trim_end_matches('/');
            if bare.is_empty() || bare.contains('\0') {
                bail!("`{}` is no pattern of names to exclude", show(pattern.as_bytes()));
            }
            let anchored = match bare.strip_prefix('/') {
                Some(rest) => rest.to_owned(),
                None if bare.contains('/') => bare.to_owned(),
                None => format!("**/{bare}"),
            };
            let glob = GlobBuilder::new(&anchored).literal_separator(true).backslash_escape(true).build();
            match glob {
                Ok(glob) => set.add(glob),
                Err(error) => bail!("`{pattern}` is no pattern of names to exclude: {}", error.kind()),
            };
        }
        Ok(Exclude(set.build()?))
    }

    /// Whether this path, counted from the folder on, is left out.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }
}

/// For `#[serde(deserialize_with)]`: patterns, all of them right.
pub(crate) fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::deserialize(deserializer)?;
    Exclude::new(&patterns).map_err(de::Error::custom)?;
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(pattern: &str, path: &str) -> bool {
        Exclude::new(&[pattern.to_owned()]).unwrap().matches(Path::new(path))
    }

    #[test]
    fn a_pattern_with_a_slash_counts_from_the_folder() {
        assert!(excluded("*.log", "a.log") && excluded("*.log", "b/c/a.log"));
        assert!(excluded("/a.log", "a.log") && !excluded("/a.log", "b/a.log"));
        assert!(excluded("cache/*", "cache/a") && !excluded("cache/*", "cache/a/b"));
        assert!(excluded("cache/**", "cache/a/b") && !excluded("cache/**", "x/cache/a"));
        assert!(excluded("cache/", "cache") && excluded("**/cache", "x/y/cache"));
        assert!(excluded("[ab]?.{c,d}", "x/a1.d") && !excluded("[ab]?.{c,d}", "x/c1.d"));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = |pattern: &str| Exclude::new(&[pattern.to_owned()]).unwrap_err().to_string();
        assert!(error("a[").starts_with("`a[` is no pattern of names to exclude: "), "{}", error("a["));
        for pattern in ["", "/", "a\0b"] {
            assert!(error(pattern).ends_with("is no pattern of names to exclude"), "{pattern:?}");
        }
    }
}
