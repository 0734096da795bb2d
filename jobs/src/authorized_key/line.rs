//! Public keys of SSH and the lines of `authorized_keys` that they are in.
//!
//! Pure: looks at no machine.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// What separates words for `sshd`. Other white space is a part of the word that it stands in.
const BLANKS: [char; 2] = [' ', '\t'];

/// A public key; two are equal when their content is, which says the type, too, whatever else is on the line.
#[derive(Clone, Debug)]
pub(super) struct Key {
    kind: String,
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
    /// From a line of a file such as `id_ed25519.pub`. It has to be as `ssh-keygen` writes it, so that every `sshd` reads it.
    ///
    /// # Errors
    /// When it is no public key.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let words = Words::of(line);
        let (kind, content) = (words.kind, words.content);
        if let Some(blank) =
            [kind, content].iter().find_map(|word| word.find(char::is_whitespace).map(|at| &word[at..]))
        {
            let blank = u32::from(blank.chars().next().unwrap_or_default());
            bail!("only spaces and tabs separate its words, and it has the character U+{blank:04X}");
        }
        if kind.is_empty() || content.is_empty() {
            bail!("a public key has a type and a content: `ssh-ed25519 AAAA… rosa@laptop`")
        }
        if line.contains("PRIVATE KEY") {
            bail!("it is a private key, and a public one is wanted");
        }
        let bytes = match STANDARD.decode(content) {
            Ok(bytes) => bytes,
            Err(_) if STANDARD_NO_PAD.decode(content).is_ok() => {
                bail!("the `=` at the end of its content is missing; was it cut off?")
            }
            Err(_) => bail!("its content is no base64; options belong into `options`"),
        };
        if kind_in(&bytes) != Some(kind) {
            bail!("its content is not that of a key of type `{kind}`; was it cut off?");
        }
        Ok(Key { kind: kind.to_owned(), content: bytes, comment: words.comment.to_owned() })
    }

    /// From what `sshd` may read as a key, with the word that it has for its type.
    fn read(text: &str) -> Option<(Self, &str)> {
        let words = Words::of(text);
        // Its decoder passes over what C takes for white space.
        let content = words.content.replace(|c: char| c.is_ascii_whitespace() || c == '\u{b}', "");
        let content = STANDARD.decode(content).ok()?;
        let kind = kind_in(&content).filter(|kind| is_name_of(words.kind, kind))?.to_owned();
        Some((Key { kind, content, comment: words.comment.to_owned() }, words.kind))
    }
}

/// What is on a line with a key.
struct Words<'l> {
    kind: &'l str,
    content: &'l str,
    comment: &'l str,
}

impl<'l> Words<'l> {
    fn of(line: &'l str) -> Self {
        let next = |text: &'l str| {
            let (word, rest) = text.split_at(text.find(BLANKS).unwrap_or(text.len()));
            (word, rest.trim_start_matches(BLANKS))
        };
        let line = line.trim_end_matches('\r').trim_matches(BLANKS);
        let (kind, rest) = next(line);
        let (content, comment) = next(rest);
        Words { kind, content, comment }
    }
}

/// Whether some `sshd` takes `word` for the type of a key whose content says `kind`: the name itself, that of a signature with
/// an RSA key, or the short name that old versions knew.
fn is_name_of(word: &str, kind: &str) -> bool {
    let signatures: &[&str] = match kind {
        "ssh-rsa" => &["rsa-sha2-256", "rsa-sha2-512"],
        "ssh-rsa-cert-v01@openssh.com" => {
            &["rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"]
        }
        "sk-ecdsa-sha2-nistp256@openssh.com" => &["webauthn-sk-ecdsa-sha2-nistp256@openssh.com"],
        _ => &[],
    };
    let short = match kind {
        "ssh-rsa" => "RSA",
        "ssh-dss" => "DSA",
        "ssh-ed25519" => "ED25519",
        "sk-ssh-ed25519@openssh.com" => "ED25519-SK",
        "sk-ecdsa-sha2-nistp256@openssh.com" => "ECDSA-SK",
        kind if kind.starts_with("ecdsa-sha2-") => "ECDSA",
        _ => return word == kind,
    };
    word == kind || signatures.contains(&word) || word.eq_ignore_ascii_case(short)
}

/// The type of a key, as its content says; `None` where that is not complete.
fn kind_in(content: &[u8]) -> Option<&str> {
    let (kind, rest) = field(content)?;
    let kind = std::str::from_utf8(kind).ok()?;
    // What is behind the type are more fields of that form. Only certificates have others as well.
    if kind.contains("-cert-") {
        return (!rest.is_empty()).then_some(kind);
    }
    let fields = fields(rest)?;
    let is_complete = match (kind, fields.as_slice()) {
        ("ssh-ed25519", [key]) | ("sk-ssh-ed25519@openssh.com", [key, _]) => key.len() == 32,
        ("ecdsa-sha2-nistp256", [b"nistp256", point])
        | ("sk-ecdsa-sha2-nistp256@openssh.com", [b"nistp256", point, _]) => is_point(point, 32),
        ("ecdsa-sha2-nistp384", [b"nistp384", point]) => is_point(point, 48),
        ("ecdsa-sha2-nistp521", [b"nistp521", point]) => is_point(point, 66),
        ("ssh-rsa", fields) => fields.len() == 2,
        ("ssh-dss", fields) => fields.len() == 4,
        (kind, _) if kind.starts_with("ecdsa-sha2-") || kind.contains("ssh-ed25519") => false,
        (_, fields) => !fields.is_empty(),
    };
    is_complete.then_some(kind)
}

/// Whether it is a point of a curve, in the only form that is in use: both numbers in full, of that many bytes each.
fn is_point(point: &[u8], size: usize) -> bool {
    point.first() == Some(&4) && point.len() == 1 + 2 * size
}

fn fields(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (next, behind) = field(rest)?;
        fields.push(next);
        rest = behind;
    }
    Some(fields)
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
    /// Whether the type of the key has its own name there, and no other one that only some versions of `sshd` know.
    pub(super) has_own_name: bool,
}

impl KeyLine {
    /// `None` for comments, blank lines, and whatever `sshd` would pass over, too.
    pub(super) fn parse(line: &str) -> Option<Self> {
        // In C the text ends with a NUL byte.
        let line = line.split('\0').next().unwrap_or_default().trim_start_matches(BLANKS);
        if line.starts_with('#') {
            return None;
        }
        if let Some((key, word)) = Key::read(line) {
            return Some(KeyLine { options: String::new(), has_own_name: word == key.kind, key });
        }
        let (options, rest) = line.split_at(end_of_options(line)?);
        let (key, word) = Key::read(rest)?;
        Some(KeyLine { options: options.to_owned(), has_own_name: word == key.kind, key })
    }

    /// With options, as it is written.
    pub(super) fn new(options: &str, key: Key) -> Self {
        KeyLine { options: options.to_owned(), key, has_own_name: true }
    }
}

impl fmt::Display for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = STANDARD.encode(&self.key.content);
        let words = [&self.options, &self.key.kind, &content, &self.key.comment];
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
        let is_from = |option: &str| option.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("from="));
        each_option(&self.options).into_iter().any(is_from)
    }
}

/// Whether options say that the key behind them is one that signs certificates.
pub(super) fn is_authority(options: &str) -> bool {
    each_option(options).into_iter().any(|option| option.eq_ignore_ascii_case("cert-authority"))
}

/// Options one by one.
fn each_option(options: &str) -> Vec<&str> {
    let mut each = Vec::new();
    let mut begin = 0;
    for (comma, _) in Unquoted::of(options).filter(|(_, c)| *c == ',') {
        each.push(&options[begin..comma]);
        begin = comma + 1;
    }
    each.push(&options[begin..]);
    each
}

/// Where the first blank is that stands in no quotes; `None` where a quote is left open.
pub(super) fn end_of_options(line: &str) -> Option<usize> {
    let mut unquoted = Unquoted::of(line);
    let blank = unquoted.find(|(_, c)| BLANKS.contains(c));
    blank.map(|(at, _)| at).or_else(|| (!unquoted.is_quoted).then_some(line.len()))
}

/// The characters of options that stand in no quotes, and their places. As for `sshd`, `\"` is no quote, in quotes or not, and
/// `\` before anything else is a character like others: `"\\"` is left open.
struct Unquoted<'l> {
    chars: Peekable<CharIndices<'l>>,
    is_quoted: bool,
}

impl<'l> Unquoted<'l> {
    fn of(options: &'l str) -> Self {
        Unquoted { chars: options.char_indices().peekable(), is_quoted: false }
    }
}

impl Iterator for Unquoted<'_> {
    type Item = (usize, char);

    fn next(&mut self) -> Option<(usize, char)> {
        loop {
            let (at, c) = self.chars.next()?;
            match c {
                '\\' if self.chars.next_if(|(_, next)| *next == '"').is_some() => {}
                '"' => self.is_quoted = !self.is_quoted,
                _ if self.is_quoted => {}
                _ => return Some((at, c)),
            }
        }
    }
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

    /// Generated with `ssh-keygen -t ecdsa`; the content ends with `=`.
    const EC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKSGy9wWpCX050WP2tRFLM47XMIgrYgrZgr4CKvfcw2HL+XJOG5lPyo//CHynjI6SX/JdViTBeDHYOfXRE/B290=";
    const RSA: &str = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC3PKQbyoHDalggRgm15kmKCfbeLuuZUnu+8pFSED5iY5hBy4WXzToP2tXGv9r4AWG/NO2jwZOk2CcNyL+zxRBm1vq5az8i9Zf4yJtfVZbfAD3qOShvZoC/2Y4YcBRHOTdinF1iPxnFNg6VpW5hT0xpw6eLayTqziIJ/LYePtdWYw==";

    #[test]
    fn a_key_in_the_playbook_is_as_every_sshd_reads_it() {
        let error = |line: &str| Key::parse(line).unwrap_err().to_string();
        assert!(Key::parse(EC).is_ok());
        assert_eq!(
            error(&format!("{} me", EC.trim_end_matches('='))),
            "the `=` at the end of its content is missing; was it cut off?"
        );
        for (blank, name) in [('\u{a0}', "00A0"), ('\u{c}', "000C"), ('\u{b}', "000B"), ('\u{2003}', "2003")]
        {
            assert_eq!(
                error(&ED.replace(' ', &blank.to_string())),
                format!("only spaces and tabs separate its words, and it has the character U+{name}")
            );
        }
        assert!(error(&format!("rsa-sha2-512 {RSA}")).contains("not that of a key of type `rsa-sha2-512`"));
        // 31 bytes in place of 32, the length before them right.
        let short = STANDARD.encode([b"\0\0\0\x0bssh-ed25519\0\0\0\x1f".as_slice(), &[7; 31]].concat());
        assert!(error(&format!("ssh-ed25519 {short}")).contains("was it cut off?"));
    }

    #[test]
    fn in_the_file_a_key_has_every_name_that_some_sshd_knows() {
        let name = |line: &str| KeyLine::parse(line).map(|line| line.has_own_name);
        assert_eq!(name(&format!("ssh-rsa {RSA}")), Some(true));
        for word in ["rsa-sha2-256", "rsa-sha2-512", "RSA", "rsa", "no-pty rsa-sha2-512"] {
            assert_eq!(name(&format!("{word} {RSA} x")), Some(false), "{word}");
        }
        for word in ["ssh-dss", "ssh-ed25519", "rsa-sha2-1024", "nonsense"] {
            assert_eq!(name(&format!("{word} {RSA} x")), None, "{word}");
        }
        let found = KeyLine::parse(&format!("no-pty rsa-sha2-512  {RSA}\tx y\r")).unwrap();
        assert_eq!(found.to_string(), format!("no-pty ssh-rsa {RSA} x y"));
    }

    #[test]
    fn white_space_is_read_as_by_sshd() {
        let has_key = |line: String| KeyLine::parse(&line).is_some();
        for blank in ["\u{a0}", "\u{c}", "\u{b}", "\u{2003}", "\r"] {
            assert!(!has_key(ED.replace(' ', blank)) && !has_key(format!("{blank}{ED}")), "{blank:?}");
            assert!(!has_key(format!("no-pty{blank}{ED}")), "{blank:?}");
        }
        // Within the content, its decoder passes over what C takes for white space.
        let (start, end) = ED.split_at(40);
        assert!(has_key(format!("{start}\u{b}{end}\r")) && !has_key(format!("{start}\u{a0}{end}")));
        assert!(!has_key(EC.trim_end_matches('=').to_owned()));
        // A text of C ends with a NUL byte.
        assert!(has_key(format!("{ED}\0x")) && !has_key(format!("\0{ED}")));
    }

    #[test]
    fn a_backslash_counts_before_a_quote_alone() {
        let options = |line: &str| KeyLine::parse(line).map(|line| line.options);
        // The quote is left open up to the one behind the first key.
        let hidden = format!(r#"environment="X=\\" {EC} "{ED}"#);
        assert_eq!(
            options(&hidden.replace(&format!("\"{ED}"), &format!("\" {ED}"))).as_deref(),
            Some(format!(r#"environment="X=\\" {EC} ""#).as_str())
        );
        assert_eq!(KeyLine::parse(&format!(r#"command="echo \\" {ED}"#)), None);
        assert_eq!(
            options(&format!(r#"command="a\\b \" c" {ED}"#)).as_deref(),
            Some(r#"command="a\\b \" c""#)
        );
        assert_eq!(options(&format!(r#"x\" {ED}"#)).as_deref(), Some(r#"x\""#));
        assert!(is_authority(r#"command="\" \"",Cert-Authority"#));
        assert!(!is_authority(r#"command="\",cert-authority,""#));
        let line = KeyLine::parse(&format!(r#"command="\",from=\"" {ED}"#)).unwrap();
        assert!(!line.is_for_some_hosts());
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
