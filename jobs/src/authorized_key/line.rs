//! Public keys of SSH and the lines of `authorized_keys` that they are in.
//!
//! Pure: looks at no machine.

use std::fmt;

use anyhow::{Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// A public key; two are equal when their type and content are, whatever else is on the line.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Its type and content, as written.
    text: String,
    content: Vec<u8>,
    /// What is behind it on the line.
    comment: String,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl fmt::Display for Key {
    /// The fingerprint, as `ssh-keygen -l` and the log of `sshd` show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.content)))
    }
}

impl Key {
    /// From a line of a file such as `id_ed25519.pub`.
    ///
    /// # Errors
    /// When it is no public key.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let (Some(kind), Some(content)) = (words.next(), words.next()) else {
            bail!("a public key has a type and a content: `ssh-ed25519 AAAA… rosa@laptop`")
        };
        if line.contains("PRIVATE KEY") {
            bail!("it is a private key, and a public one is wanted");
        }
        let bytes = STANDARD
            .decode(content)
            .or_else(|_| STANDARD_NO_PAD.decode(content))
            .map_err(|_| anyhow!("its content is no base64; options belong into `options`"))?;
        if kind_in(&bytes) != Some(kind.as_bytes()) {
            bail!("its content is not that of a key of type `{kind}`; was it cut off?");
        }
        let comment = words.collect::<Vec<_>>().join(" ");
        Ok(Key { text: format!("{kind} {content}"), content: bytes, comment })
    }
}

/// The type of a key, as its content says; `None` where that is not complete.
fn kind_in(content: &[u8]) -> Option<&[u8]> {
    let (kind, mut rest) = field(content)?;
    // What is behind the type are more fields of that form. Only certificates have others as well.
    let is_certificate = kind.windows(6).any(|part| part == b"-cert-");
    let mut fields = 0;
    while !rest.is_empty() && !is_certificate {
        (_, rest) = field(rest)?;
        fields += 1;
    }
    (fields > 0 || is_certificate && !rest.is_empty()).then_some(kind)
}

/// A length and that many bytes; and what is behind.
fn field(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = content.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// A line of `authorized_keys` that has a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyLine {
    pub(super) options: String,
    pub(super) key: Key,
}

impl KeyLine {
    /// `None` for comments, blank lines, and whatever `sshd` would pass over, too.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        if let Ok(key) = Key::parse(line) {
            return Some(KeyLine { options: String::new(), key });
        }
        let (options, rest) = line.split_at(end_of_options(line)?);
        let key = Key::parse(rest).ok()?;
        Some(KeyLine { options: options.to_owned(), key })
    }
}

impl fmt::Display for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.options, &self.key.text, &self.key.comment];
        let words: Vec<&str> =
            words.into_iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

impl KeyLine {
    /// Whether it lets in those who have a certificate of the key, and not the key itself.
    pub(super) fn is_authority(&self) -> bool {
        is_authority(&self.options)
    }

    /// Whether it is for some hosts only: `sshd` goes on to the next line of the key from all others.
    fn is_for_some_hosts(&self) -> bool {
        let mut is_name = true;
        let (mut quoted, mut escaped) = (false, false);
        for (index, c) in self.options.char_indices() {
            if is_name
                && self.options[index..].get(..5).is_some_and(|name| name.eq_ignore_ascii_case("from="))
            {
                return true;
            }
            is_name = c == ',' && !quoted;
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
        }
        false
    }
}

/// Whether options say that the key behind them is one that signs certificates.
pub(super) fn is_authority(options: &str) -> bool {
    let mut is_quoted = false;
    let mut names = options.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    names.any(|name| name.eq_ignore_ascii_case("cert-authority"))
}

/// What becomes of a line with a key that is wanted with other options, or has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    GetsOptions,
    Goes,
}

/// Which line of each key carries the options that are wanted. Exactly one does; other lines are removed if they would let the
/// key in without those options.
pub(super) struct Decided(Vec<Decision>);

struct Decision {
    key: Key,
    /// The line, counted among those of its key.
    chosen: usize,
    seen: usize,
}

impl Decided {
    /// Chooses: a line that has the options; else the first that is for all hosts; else the first.
    pub(super) fn of(text: &str, options: &str) -> Self {
        let mut lines: Vec<(Key, Vec<KeyLine>)> = Vec::new();
        let is_same_kind = |line: &KeyLine| line.is_authority() == is_authority(options);
        for found in text.lines().filter_map(KeyLine::parse).filter(is_same_kind) {
            match lines.iter_mut().find(|(key, _)| *key == found.key) {
                Some((_, lines)) => lines.push(found),
                None => lines.push((found.key.clone(), vec![found])),
            }
        }
        let decide = |(key, lines): (Key, Vec<KeyLine>)| {
            let has_them = lines.iter().position(|line| line.options == options);
            let is_for_all = || lines.iter().position(|line| !line.is_for_some_hosts());
            Decision { key, chosen: has_them.or_else(is_for_all).unwrap_or(0), seen: 0 }
        };
        Decided(lines.into_iter().map(decide).collect())
    }

    /// The fate of the next line, in order.
    pub(super) fn decide(&mut self, line: &KeyLine, options: &str, exclusive: bool) -> Fate {
        let Some(decision) = self.0.iter_mut().find(|decision| decision.key == line.key) else {
            return Fate::Stays;
        };
        let index = decision.seen;
        decision.seen += 1;
        match index == decision.chosen {
            true if line.options == options => Fate::Stays,
            true => Fate::GetsOptions,
            false if !exclusive && line.options != options && line.is_for_some_hosts() => Fate::Stays,
            false => Fate::Goes,
        }
    }
}

/// Where the first blank is that stands in no quotes; `None` where a quote is left open.
pub(super) fn end_of_options(line: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return Some(index),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    (!quoted).then_some(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzTjY8yHbfyfGgbqcLYNPpIe0vDiQ0Jkh8Cf4yHdQWn";

    #[test]
    fn a_key_is_its_content() {
        let one = Key::parse(&format!("{ED} rosa@laptop")).unwrap();
        assert_eq!(one, Key::parse(&format!("  {ED}\tsomebody else ")).unwrap());
        assert_eq!(one.comment, "rosa@laptop");
        assert!(one.to_string().starts_with("SHA256:") && one.to_string().len() == 50);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (line, why) in [
            ("", "has a type and a content"),
            ("ssh-ed25519", "has a type and a content"),
            ("ssh-ed25519 ????", "no base64"),
            (&ED[..ED.len() - 60], "was it cut off?"),
            (&ED[..ED.len() - 4], "was it cut off?"),
            (&ED.replace("ssh-ed25519", "ssh-rsa"), "not that of a key of type `ssh-rsa`"),
            ("no-pty ssh-ed25519 AAAA", "options belong into `options`"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ] {
            let error = Key::parse(line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn one_line_has_the_options_and_those_for_other_hosts_stay() {
        let fates = |before: &[&str], wanted: &str, exclusive: bool| {
            let lines: Vec<String> = before.iter().map(|options| format!("{options} {ED}")).collect();
            let mut decided = Decided::of(&lines.join("\n"), wanted);
            let lines = lines.iter().map(|line| KeyLine::parse(line).unwrap());
            lines.map(|line| decided.decide(&line, wanted, exclusive)).collect::<Vec<_>>()
        };
        use Fate::{GetsOptions, Goes, Stays};
        assert_eq!(fates(&["from=\"a\"", "no-pty"], "no-pty", false), [Stays, Stays]);
        assert_eq!(fates(&["from=\"a\"", "no-pty"], "no-pty", true), [Goes, Stays]);
        assert_eq!(fates(&["", "no-pty"], "no-pty", false), [Goes, Stays]);
        assert_eq!(fates(&["no-pty", "no-pty"], "no-pty", false), [Stays, Goes]);
        assert_eq!(fates(&["from=\"a\"", "From=\"b\""], "no-pty", false), [GetsOptions, Stays]);
        assert_eq!(fates(&["from=\"a\"", "command=\"x,from=y\""], "no-pty", false), [Stays, GetsOptions]);
        assert_eq!(fates(&["from=\"a\""], "", false), [GetsOptions]);
    }

    #[test]
    fn options_may_have_blanks_in_quotes() {
        let line = format!(r#"no-pty,command="echo \"a b\" c" {ED} x"#);
        let found = KeyLine::parse(&line).unwrap();
        assert_eq!(found.options, r#"no-pty,command="echo \"a b\" c""#);
        assert_eq!(found.to_string(), line);
        assert_eq!(KeyLine::parse(&format!("#{ED}")), None);
        assert_eq!(KeyLine::parse(""), None);
        assert_eq!(KeyLine::parse(&format!(r#"command="open {ED}"#)), None);
    }
}
