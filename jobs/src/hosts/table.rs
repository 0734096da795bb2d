//! The text of `/etc/hosts`: what it says, and how it is changed with as little difference as can be.
//!
//! Pure: looks at no machine.

use std::net::IpAddr;

use crate::text_file::{joined, lines};

/// A line, of which what is not changed stays as it was written.
#[derive(Clone, Debug)]
struct HostsLine {
    /// As it was found; empty once changed.
    raw: String,
    /// Whether it ends with `\r\n`.
    is_returned: bool,
    entry: Option<HostsEntry>,
}

/// An address and its names, and all that stands around them.
#[derive(Clone, Debug)]
struct HostsEntry {
    indent: String,
    /// As written: an address has several forms.
    address: String,
    ip: Address,
    /// Each with the blanks before it.
    names: Vec<(String, String)>,
    /// Blanks and comment at the end.
    tail: String,
}

/// An address, and its zone where it has one (`fe80::1%eth0`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    ip: IpAddr,
    zone: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (ip, zone) = text.split_once('%').unwrap_or((text, ""));
        let ip: IpAddr = ip.parse().ok()?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let zoned = text.contains('%');
        let is_zone = ip.is_ipv6() && !zone.is_empty() && zone.chars().all(fits);
        (!zoned || is_zone).then(|| Address { ip, zone: zone.to_owned() })
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl HostsLine {
    fn parse(raw: String) -> Self {
        let entry = HostsEntry::parse(&raw);
        HostsLine { is_returned: raw.ends_with('\r'), raw, entry }
    }

    /// As it is to be written; `None` for one of which nothing is left.
    fn text(&self) -> Option<String> {
        let Some(entry) = self.entry.as_ref().filter(|_| self.raw.is_empty()) else {
            return Some(self.raw.clone());
        };
        if entry.names.is_empty() {
            let (comment, end) = (entry.tail.trim(), if entry.tail.ends_with('\r') { "\r" } else { "" });
            return (!comment.is_empty()).then(|| format!("{}{comment}{end}", entry.indent));
        }
        let names: String = entry.names.iter().flat_map(|(blank, name)| [blank.as_str(), name]).collect();
        Some(format!("{}{}{names}{}", entry.indent, entry.address, entry.tail))
    }

    /// Takes names away, and says which.
    fn take(&mut self, names: &[String]) -> Vec<String> {
        let Some(entry) = &mut self.entry else { return Vec::new() };
        let is_wanted = |name: &String| names.iter().any(|other| same_name(name, other));
        let taken: Vec<String> =
            entry.names.iter().map(|(_, name)| name).filter(|name| is_wanted(name)).cloned().collect();
        if !taken.is_empty() {
            let first_blank = entry.names.first().map(|(blank, _)| blank.clone());
            entry.names.retain(|(_, name)| !is_wanted(name));
            if let (Some(blank), Some(first)) = (first_blank, entry.names.first_mut()) {
                first.0 = blank;
            }
            self.raw.clear();
        }
        taken
    }
}

/// Whether it separates words for the C library, for which a no-break space, say, is a part of a name.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

impl HostsEntry {
    fn parse(raw: &str) -> Option<Self> {
        let (fields, _) = raw.split_once('#').unwrap_or((raw, ""));
        let fields = fields.trim_end_matches(is_blank);
        let (head, tail) = raw.split_at(fields.len());
        let trimmed = head.trim_start_matches(is_blank);
        let indent = &head[..head.len() - trimmed.len()];
        let end = trimmed.find(is_blank).unwrap_or(trimmed.len());
        let (address, mut rest) = trimmed.split_at(end);
        let ip = Address::parse(address)?;
        let mut names = Vec::new();
        while !rest.is_empty() {
            let name = rest.trim_start_matches(is_blank);
            let blank = &rest[..rest.len() - name.len()];
            let end = name.find(is_blank).unwrap_or(name.len());
            names.push((blank.to_owned(), name[..end].to_owned()));
            rest = &name[end..];
        }
        Some(HostsEntry { indent: indent.into(), address: address.into(), ip, names, tail: tail.into() })
    }

    fn first_name(&self) -> Option<&str> {
        self.names.first().map(|(_, name)| name.as_str())
    }

    fn has_names(&self, names: &[String]) -> bool {
        self.names.len() == names.len()
            && self.names.iter().zip(names).all(|((_, found), name)| found == name)
    }

    /// Sets the names, in the blanks that stood before the old ones.
    fn set_names(&mut self, names: &[String]) {
        let blank = |index: usize| {
            let old = self.names.get(index).or(self.names.last()).map(|(blank, _)| blank.clone());
            old.filter(|blank| index == 0 || !blank.contains('\t')).unwrap_or_else(|| " ".to_owned())
        };
        self.names = names.iter().enumerate().map(|(index, name)| (blank(index), name.clone())).collect();
    }
}

/// The whole text.
pub(super) struct Table {
    lines: Vec<HostsLine>,
    pub(super) reasons: Vec<String>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Self {
        Table { lines: lines(text).into_iter().map(HostsLine::parse).collect(), reasons: Vec::new() }
    }

    pub(super) fn text(&self) -> String {
        joined(&self.lines.iter().filter_map(HostsLine::text).collect::<Vec<_>>())
    }

    /// One line says `ip` and `names`, in that order. With `exclusive`, no line of another address of that family says one
    /// of the names; on further lines of `ip` itself they would be repetitions.
    pub(super) fn put(&mut self, written: &str, ip: &Address, names: &[String], exclusive: bool) {
        let [first, ..] = names else { return };
        let target = self.target(ip, first).or_else(|| exclusive.then(|| self.movable(ip, names)).flatten());
        for (_, line) in self.lines.iter_mut().enumerate().filter(|(index, _)| Some(*index) != target) {
            let Some(entry) = &line.entry else { continue };
            let is_family = entry.ip.ip.is_ipv4() == ip.ip.is_ipv4();
            let address = entry.address.clone();
            if entry.ip == *ip || exclusive && is_family {
                let taken = line.take(names);
                self.reasons.extend(taken.iter().map(|name| format!("{name} is at {address}")));
            }
        }
        match target {
            Some(index) => self.mend(index, written, ip, names),
            None => {
                self.reasons.push(format!("no line says {written} {}", names.join(" ")));
                let end = if self.lines.first().is_some_and(|line| line.is_returned) { "\r" } else { "" };
                let raw = format!("{written}{}{}{end}", self.separator(), names.join(" "));
                self.lines.push(HostsLine::parse(raw));
            }
        }
    }

    fn mend(&mut self, index: usize, written: &str, ip: &Address, names: &[String]) {
        let line = &mut self.lines[index];
        let Some(entry) = &mut line.entry else { return };
        if entry.ip != *ip {
            self.reasons.push(format!("{} is at {}, not {written}", names[0], entry.address));
            (entry.address, entry.ip) = (written.to_owned(), ip.clone());
            line.raw.clear();
        }
        if !entry.has_names(names) {
            let found: Vec<&str> = entry.names.iter().map(|(_, name)| name.as_str()).collect();
            self.reasons.push(format!("{written} is {}, not {}", found.join(" "), names.join(" ")));
            entry.set_names(names);
            line.raw.clear();
        }
    }

    /// The line of that address which `first` heads.
    fn target(&self, ip: &Address, first: &str) -> Option<usize> {
        self.lines.iter().position(|line| {
            let entry = line.entry.as_ref().filter(|entry| entry.ip == *ip);
            entry.and_then(HostsEntry::first_name).is_some_and(|name| same_name(name, first))
        })
    }

    /// A line of another address that says nothing but names which are wanted: the host has moved.
    fn movable(&self, ip: &Address, names: &[String]) -> Option<usize> {
        self.lines.iter().position(|line| {
            line.entry.as_ref().is_some_and(|entry| {
                entry.ip.ip.is_ipv4() == ip.ip.is_ipv4()
                    && entry.ip != *ip
                    && entry.first_name().is_some_and(|name| same_name(name, &names[0]))
                    && entry.names.iter().all(|(_, found)| names.iter().any(|name| same_name(name, found)))
            })
        })
    }

    /// What the file's other lines have between address and name.
    fn separator(&self) -> String {
        let found = self.lines.iter().filter_map(|line| line.entry.as_ref()?.names.first());
        found
            .map(|(blank, _)| blank.clone())
            .next()
            .filter(|blank| blank.contains('\t'))
            .unwrap_or_else(|| " ".into())
    }

    /// No line of `ip` says one of `names`.
    pub(super) fn remove(&mut self, ip: &Address, names: &[String]) {
        for line in
            self.lines.iter_mut().filter(|line| line.entry.as_ref().is_some_and(|entry| entry.ip == *ip))
        {
            let address = line.entry.as_ref().map(|entry| entry.address.clone()).unwrap_or_default();
            let taken = line.take(names);
            self.reasons.extend(taken.iter().map(|name| format!("{name} is at {address}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_of_c_separates_names() {
        let names = |line: &str| {
            HostsEntry::parse(line).map(|entry| entry.names.into_iter().map(|(_, name)| name).collect())
        };
        let found: Option<Vec<String>> = names("10.0.0.1\ta\u{b}b\u{c}c\r");
        assert_eq!(found, Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!(names("10.0.0.1 a\u{a0}b"), Some(vec!["a\u{a0}b".to_owned()]));
        assert_eq!(names("10.0.0.1\u{2003}a"), None);
    }

    const FOUND: &str = "\
127.0.0.1\tlocalhost
127.0.1.1\tlaptop.example laptop   # ours

# db servers
10.0.0.1   db db.example  #main
10.0.0.2\tDB2
::1\tlocalhost ip6-localhost db
bro ken line
fe80::1%eth0 gate
";

    fn put(ip: &str, names: &[&str], exclusive: bool) -> (String, Vec<String>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut table = Table::parse(FOUND);
        table.put(ip, &Address::parse(ip).unwrap(), &names, exclusive);
        (changed(&table.text()), table.reasons)
    }

    /// What differs, as lines with a sign.
    fn changed(text: &str) -> String {
        let found: Vec<&str> = FOUND.lines().collect();
        let now: Vec<&str> = text.lines().collect();
        let gone = found.iter().filter(|line| !now.contains(line)).map(|line| format!("-{line}\n"));
        gone.chain(now.iter().filter(|line| !found.contains(line)).map(|line| format!("+{line}\n"))).collect()
    }

    #[test]
    fn what_is_there_stays_to_the_byte() {
        for (ip, names) in [
            ("10.0.0.1", vec!["db", "db.example"]),
            ("127.0.0.1", vec!["localhost"]),
            ("fe80::1%eth0", vec!["gate"]),
        ] {
            assert_eq!(put(ip, &names, true), (String::new(), Vec::new()), "{ip}");
        }
        assert_eq!(Table::parse("no end").text(), "no end\n");
    }

    #[test]
    fn an_address_has_several_forms() {
        assert_eq!(put("0:0:0:0:0:0:0:1", &["localhost", "ip6-localhost", "db"], true).1, [""; 0]);
        for text in ["", "10.0.0", "10.0.0.1%eth0", "fe80::1%", "fe80::1%a b", "localhost", "10.0.0.1/8"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_new_name_is_appended_as_the_others_are_written() {
        assert_eq!(
            put("10.0.0.9", &["web", "www"], true),
            ("+10.0.0.9\tweb www\n".into(), vec!["no line says 10.0.0.9 web www".into()])
        );
    }

    #[test]
    fn a_host_that_moved_keeps_its_line_and_comment() {
        let (text, reasons) = put("10.0.0.7", &["db", "db.example"], true);
        assert_eq!(text, "-10.0.0.1   db db.example  #main\n+10.0.0.7   db db.example  #main\n");
        assert_eq!(reasons, ["db is at 10.0.0.1, not 10.0.0.7"]);
    }

    #[test]
    fn names_are_made_exact_on_the_line_that_the_first_one_heads() {
        let (text, reasons) = put("10.0.0.1", &["db", "store"], true);
        assert_eq!(text, "-10.0.0.1   db db.example  #main\n+10.0.0.1   db store  #main\n");
        assert_eq!(reasons, ["10.0.0.1 is db db.example, not db store"]);
    }

    #[test]
    fn names_of_others_on_a_line_stay() {
        let (text, reasons) = put("10.0.0.9", &["laptop"], true);
        assert_eq!(
            text,
            "-127.0.1.1\tlaptop.example laptop   # ours\n+127.0.1.1\tlaptop.example   # ours\n+10.0.0.9\tlaptop\n"
        );
        assert_eq!(reasons, ["laptop is at 127.0.1.1", "no line says 10.0.0.9 laptop"]);
    }

    #[test]
    fn with_others_allowed_only_the_own_line_is_looked_at() {
        assert_eq!(put("10.0.0.9", &["db2"], false).0, "+10.0.0.9\tdb2\n");
        assert_eq!(put("10.0.0.9", &["db2"], true).0, "-10.0.0.2\tDB2\n+10.0.0.9\tdb2\n");
    }

    #[test]
    fn the_other_family_is_left_alone() {
        assert_eq!(
            put("::2", &["db"], true).0,
            "-::1\tlocalhost ip6-localhost db\n+::1\tlocalhost ip6-localhost\n+::2\tdb\n"
        );
    }

    #[test]
    fn a_line_without_names_goes_and_its_comment_stays() {
        let mut table = Table::parse(FOUND);
        let names = ["db".to_owned(), "DB.example".to_owned(), "other".to_owned()];
        table.remove(&Address::parse("10.0.0.1").unwrap(), &names);
        assert_eq!(changed(&table.text()), "-10.0.0.1   db db.example  #main\n+#main\n");
        assert_eq!(table.reasons, ["db is at 10.0.0.1", "db.example is at 10.0.0.1"]);
    }
}
