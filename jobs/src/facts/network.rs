//! The machine's name and its interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dojob::{OrCouldNotFindOut, Result};
use if_addrs::IfOperStatus;
use rustix::system::uname;
use schemars::JsonSchema;
use serde::Serialize;

use super::source::Source;

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Interface {
    /// The hardware address, such as `52:54:00:12:34:56`. Null if it has none.
    pub mac: Option<String>,
    /// Whether it is up, according to its driver. Null if unknown.
    pub up: Option<bool>,
    /// The maximum size of a packet in bytes, such as `1500`. Null if unknown.
    pub mtu: Option<u32>,
    /// Its addresses, IPv4 first, such as `192.0.2.2` and `fd00::2`. Empty for a system that is not running.
    pub addresses: Vec<IpAddr>,
}

pub(super) fn hostname(source: &Source) -> Result<String> {
    if source.is_here() {
        return Ok(uname().nodename().to_string_lossy().into_owned());
    }
    if let Some(name) = source.read_line("/proc/sys/kernel/hostname")? {
        return Ok(name);
    }
    let text = source.read("/etc/hostname")?.unwrap_or_default();
    let name = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(name.unwrap_or("localhost").to_owned())
}

pub(super) fn interfaces(source: &Source) -> Result<BTreeMap<String, Interface>> {
    let mut found = BTreeMap::new();
    for name in source.names_in("/sys/class/net")? {
        let at = format!("/sys/class/net/{name}");
        // Some files, such as that of the bonding driver, are no interfaces.
        if !source.locate(&at)?.is_dir() {
            continue;
        }
        // A driver may refuse to say what it does not know while the interface is down.
        let line = |file: &str| source.read_line(&format!("{at}/{file}")).ok().flatten();
        let interface = Interface {
            mac: line("address").filter(|mac| mac.chars().any(|c| !matches!(c, '0' | ':'))),
            up: line("operstate").and_then(|state| is_up(&state)),
            mtu: line("mtu").and_then(|mtu| mtu.parse().ok()),
            addresses: Vec::new(),
        };
        found.insert(name, interface);
    }
    if source.is_here() {
        add_addresses(&mut found)?;
    }
    Ok(found)
}

fn add_addresses(found: &mut BTreeMap<String, Interface>) -> Result<()> {
    for one in if_addrs::get_if_addrs().or_could_not_find_out("the addresses of this machine")? {
        let address = one.ip();
        let interface = found.entry(one.name).or_default();
        interface.addresses.push(address);
        if interface.up.is_none() {
            interface.up = match one.oper_status {
                IfOperStatus::Up => Some(true),
                IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown => Some(false),
                _ => None,
            };
        }
    }
    for interface in found.values_mut() {
        interface.addresses.sort();
        interface.addresses.dedup();
    }
    Ok(())
}

fn is_up(state: &str) -> Option<bool> {
    match state {
        "up" => Some(true),
        "down" | "notpresent" | "lowerlayerdown" | "dormant" => Some(false),
        // The loopback's, for one: it has no carrier to tell about.
        _ => None,
    }
}
