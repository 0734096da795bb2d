//! Which commit a name means in another repository, by what `git ls-remote` prints.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// The whole names that a name may stand for.
pub(super) fn candidates(name: &str) -> Vec<String> {
    if name == "HEAD" {
        vec!["HEAD".to_owned()]
    } else if name.starts_with("refs/") {
        vec![name.to_owned(), format!("{name}^{{}}")]
    } else {
        vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/tags/{name}^{{}}")]
    }
}

/// The commit in the lines of `ls-remote`. A tag with a message has one of its own; `^{}` is what it is put on.
pub(super) fn choose(name: &str, text: &str) -> Result<String> {
    let lines: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once('\t')).map(|(commit, name)| (name, commit)).collect();
    let mut found = Vec::new();
    for candidate in candidates(name).iter().filter(|candidate| !candidate.ends_with("^{}")) {
        let peeled = lines.get(format!("{candidate}^{{}}").as_str());
        found.extend(peeled.or_else(|| lines.get(candidate.as_str())).copied());
    }
    match found.as_slice() {
        [commit] => Ok((*commit).to_owned()),
        [] if name == "HEAD" => bail!("the repository is empty"),
        [] => bail!("there is no branch or tag `{name}`; a commit needs all of its 40 digits"),
        [..] => bail!("`{name}` is both a branch and a tag; say `refs/heads/{name}` or `refs/tags/{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_it_is_put_on() {
        let text = "aa\trefs/heads/main\nbb\trefs/tags/v1\ncc\trefs/tags/v1^{}\ndd\trefs/tags/both\nee\trefs/heads/both";
        assert_eq!(choose("main", text).unwrap(), "aa");
        assert_eq!(choose("v1", text).unwrap(), "cc");
        assert_eq!(choose("refs/tags/v1", text).unwrap(), "cc");
        assert_eq!(choose("refs/heads/both", text).unwrap(), "ee");
        assert_eq!(choose("HEAD", "ff\tHEAD").unwrap(), "ff");
        assert!(choose("both", text).unwrap_err().to_string().contains("is both a branch and a tag"));
        assert!(choose("gone", text).unwrap_err().to_string().contains("there is no branch or tag `gone`"));
        assert_eq!(choose("HEAD", "").unwrap_err().to_string(), "the repository is empty");
    }
}
