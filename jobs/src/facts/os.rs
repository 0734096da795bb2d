//! Which operating system it is.

use std::collections::BTreeMap;

use dojob::Result;
use rustix::system::uname;
use schemars::JsonSchema;
use serde::Serialize;

use super::source::Source;

/// The operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Os {
    /// The family of the distribution: `debian` (also Ubuntu and other derivatives), `redhat` (Fedora, Rocky, …), `suse`,
    /// `arch`, `alpine`, or the id of another distribution; on other systems the name of the kernel in lower case, such as
    /// `darwin` or `freebsd`.
    pub family: String,
    /// The id of the distribution, in lower case, such as `ubuntu` or `rocky`. Null if unknown.
    pub id: Option<String>,
    /// Its version, such as `12` or `24.04`. Null if it has none.
    pub version: Option<String>,
    /// The name of its version, such as `bookworm`. Null if it has none.
    pub codename: Option<String>,
    /// Its full name, such as `Debian GNU/Linux 12 (bookworm)`. Null if unknown.
    pub name: Option<String>,
    /// The release of the kernel, such as `6.1.0-28-amd64`. Null for a system that is not running.
    pub kernel: Option<String>,
}

/// By what a distribution calls itself, or says that it is like.
const FAMILIES: [(&str, &[&str]); 5] = [
    ("debian", &["debian", "ubuntu", "raspbian", "linuxmint", "devuan", "kali", "pop"]),
    ("redhat", &["rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"]),
    ("suse", &["suse", "opensuse", "sles", "sled", "opensuse-leap", "opensuse-tumbleweed"]),
    ("arch", &["arch", "archlinux", "manjaro", "endeavouros"]),
    ("alpine", &["alpine", "postmarketos"]),
];

pub(super) fn read(source: &Source) -> Result<Os> {
    let text = match source.read("/etc/os-release")? {
        Some(text) => text,
        None => source.read("/usr/lib/os-release")?.unwrap_or_default(),
    };
    let mut release = parse(&text);
    let id = release.remove("ID").map(|id| id.to_lowercase());
    let like = release.remove("ID_LIKE").unwrap_or_default().to_lowercase();
    let kernel = source.read_line("/proc/sys/kernel/osrelease")?;
    let here = source.is_here().then(uname);
    let system = here.as_ref().map(|here| here.sysname().to_string_lossy().to_lowercase());
    Ok(Os {
        family: family(id.as_deref(), &like).or(system).unwrap_or_else(|| "linux".to_owned()),
        id,
        version: release.remove("VERSION_ID"),
        codename: release.remove("VERSION_CODENAME"),
        name: release.remove("PRETTY_NAME").or_else(|| release.remove("NAME")),
        kernel: kernel.or_else(|| here.map(|here| here.release().to_string_lossy().into_owned())),
    })
}

fn family(id: Option<&str>, like: &str) -> Option<String> {
    let id = id?;
    let of = |name: &str| FAMILIES.iter().find(|(_, ids)| ids.contains(&name)).map(|(family, _)| *family);
    let family = of(id).or_else(|| like.split_whitespace().find_map(of));
    Some(family.unwrap_or(id).to_owned())
}

/// The assignments of a file that a shell could read.
fn parse(text: &str) -> BTreeMap<String, String> {
    let assignment = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let value = shlex::split(value)?.concat();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name && !value.is_empty()).then(|| (name.to_owned(), value))
    };
    text.lines().filter_map(assignment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_a_shell_would() {
        let text = "# NAME=no\nNAME=\"A \\\"b\\\" \\$c\"\n\n ID='x y'\nEMPTY=\nBAD=\"open\nPLAIN=z\r\nno assignment\n";
        let wanted = [("ID", "x y"), ("NAME", "A \"b\" $c"), ("PLAIN", "z")];
        assert_eq!(parse(text), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_distribution_belongs_to_the_family_that_it_is_like() {
        let of = |id, like| family(Some(id), like).unwrap();
        assert_eq!(of("debian", ""), "debian");
        assert_eq!(of("neon", "ubuntu debian"), "debian");
        assert_eq!(of("rocky", "rhel centos fedora"), "redhat");
        assert_eq!(of("opensuse-leap", "suse opensuse"), "suse");
        assert_eq!(of("nixos", ""), "nixos");
        assert_eq!(family(None, "debian"), None);
    }
}
