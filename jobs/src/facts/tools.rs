//! How software is installed and started there, and what the machine is in.

use dojob::Result;
use rustix::fs::{Access, access};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::Source;

/// How software is installed and started there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Tools {
    /// The package manager. Null if there is none that dojob knows.
    pub package_manager: Option<PackageManager>,
    /// The service manager. Null if none is running, as in most containers.
    pub service_manager: Option<ServiceManager>,
    /// The kind of container, such as `docker`, `podman`, `lxc`, `systemd-nspawn` or `kubernetes`. Null if it is not a
    /// container, as far as can be seen from inside.
    pub container: Option<String>,
}

/// What installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackageManager {
    /// Debian, Ubuntu and others.
    Apt,
    /// Fedora, and Red Hat Enterprise Linux since 8.
    Dnf,
    /// Red Hat Enterprise Linux before 8.
    Yum,
    /// SUSE.
    Zypper,
    /// Arch Linux.
    Pacman,
    /// Alpine Linux.
    Apk,
    /// Void Linux.
    Xbps,
    /// Gentoo.
    Portage,
    /// FreeBSD.
    Pkg,
    /// macOS, and wherever else it is installed.
    Brew,
}

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServiceManager {
    /// Most distributions of Linux.
    Systemd,
    /// Alpine Linux and Gentoo.
    Openrc,
    /// Void Linux.
    Runit,
    /// s6, with or without its overlay for containers.
    S6,
    /// macOS.
    Launchd,
    /// Scripts in `/etc/init.d`, and nothing else.
    Sysvinit,
}

/// In this order where a machine has several, unless its family has one of its own.
const PACKAGE_MANAGERS: [(PackageManager, &str); 10] = [
    (PackageManager::Apt, "apt-get"),
    (PackageManager::Dnf, "dnf"),
    (PackageManager::Yum, "yum"),
    (PackageManager::Zypper, "zypper"),
    (PackageManager::Pacman, "pacman"),
    (PackageManager::Apk, "apk"),
    (PackageManager::Xbps, "xbps-install"),
    (PackageManager::Portage, "emerge"),
    (PackageManager::Pkg, "pkg"),
    (PackageManager::Brew, "brew"),
];

/// Somebody may have the tools of another distribution, to build its packages.
const OWN: [(&str, &[PackageManager]); 5] = [
    ("debian", &[PackageManager::Apt]),
    ("redhat", &[PackageManager::Dnf, PackageManager::Yum]),
    ("suse", &[PackageManager::Zypper]),
    ("arch", &[PackageManager::Pacman]),
    ("alpine", &[PackageManager::Apk]),
];

const DIRECTORIES: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

pub(super) fn read(source: &Source, family: &str) -> Result<Tools> {
    Ok(Tools {
        package_manager: package_manager(source, family)?,
        service_manager: service_manager(source)?,
        container: container(source),
    })
}

fn has_program(source: &Source, name: &str) -> Result<bool> {
    for directory in DIRECTORIES {
        let path = source.locate(&format!("{directory}/{name}"))?;
        if path.is_file() && access(&path, Access::EXEC_OK).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn package_manager(source: &Source, family: &str) -> Result<Option<PackageManager>> {
    let mut there = Vec::new();
    for (manager, program) in PACKAGE_MANAGERS {
        if has_program(source, program)? {
            there.push(manager);
        }
    }
    let own = OWN.iter().find(|(of, _)| *of == family).map_or([].as_slice(), |(_, managers)| managers);
    Ok(own.iter().find(|manager| there.contains(manager)).or(there.first()).copied())
}

fn service_manager(source: &Source) -> Result<Option<ServiceManager>> {
    // What each makes when it starts; a program that is only installed starts nothing.
    let signs = [
        ("/run/systemd/system", ServiceManager::Systemd),
        ("/run/openrc/softlevel", ServiceManager::Openrc),
        ("/run/runit", ServiceManager::Runit),
        ("/run/s6", ServiceManager::S6),
        ("/run/service", ServiceManager::S6),
        ("/sbin/launchd", ServiceManager::Launchd),
    ];
    for (sign, manager) in signs {
        if source.has(sign)? {
            return Ok(Some(manager));
        }
    }
    let init = source.read_line("/proc/1/comm").ok().flatten();
    let has_scripts = source.has("/etc/inittab")? && source.has("/etc/init.d")?;
    Ok((init.as_deref() == Some("init") && has_scripts).then_some(ServiceManager::Sysvinit))
}

/// What cannot be looked at is no sign: unlike other facts, this one is a guess.
fn container(source: &Source) -> Option<String> {
    let line = |file: &str| source.read_line(file).ok().flatten();
    if let Some(name) = line("/run/systemd/container") {
        return Some(name);
    }
    for (sign, name) in [
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/run/secrets/kubernetes.io", "kubernetes"),
    ] {
        if source.has(sign).unwrap_or(false) {
            return Some(name.to_owned());
        }
    }
    // Only root may read it.
    let environment = line("/proc/1/environ").unwrap_or_default();
    let named = environment.split('\0').find_map(|variable| variable.strip_prefix("container="));
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let groups = source.read("/proc/1/cgroup").ok().flatten().unwrap_or_default();
    let signs = [
        ("kubepods", "kubernetes"),
        ("docker", "docker"),
        ("libpod", "podman"),
        ("lxc", "lxc"),
        ("containerd", "containerd"),
    ];
    signs.iter().find(|(sign, _)| groups.contains(sign)).map(|(_, name)| (*name).to_owned())
}
