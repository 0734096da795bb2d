//! Processors and memory.

use dojob::Result;
use rustix::system::uname;
use schemars::JsonSchema;
use serde::Serialize;

use super::source::Source;

/// Processors and memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Hardware {
    /// The architecture as `uname -m` prints it, such as `x86_64` or `aarch64`. Null for a system that is not running.
    pub architecture: Option<String>,
    /// The number of CPUs that are online, such as `4`; a container may be limited to fewer. Null if unknown.
    pub cpus: Option<usize>,
    /// The memory of the machine in bytes, such as `8589934592`; a container may be limited to less. Null if unknown.
    pub memory: Option<u64>,
    /// The swap space in bytes, such as `0`. Null if unknown.
    pub swap: Option<u64>,
}

pub(super) fn read(source: &Source) -> Result<Hardware> {
    let architecture = match source.is_here() {
        true => Some(uname().machine().to_string_lossy().into_owned()),
        false => source.read_line("/proc/sys/kernel/arch")?,
    };
    let online = source.read_line("/sys/devices/system/cpu/online")?.and_then(|ranges| count(&ranges));
    let usable = || std::thread::available_parallelism().ok().filter(|_| source.is_here()).map(usize::from);
    let memory = source.read("/proc/meminfo")?.unwrap_or_default();
    Ok(Hardware {
        architecture,
        cpus: online.or_else(usable),
        memory: size(&memory, "MemTotal:"),
        swap: size(&memory, "SwapTotal:"),
    })
}

/// How many numbers there are in `0-3,8`.
fn count(ranges: &str) -> Option<usize> {
    let length = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    ranges.trim().split(',').map(length).sum()
}

/// A line such as `MemTotal:  1024 kB`, in bytes.
fn size(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted() {
        assert_eq!([count("0"), count("0-3"), count("0-3,8,10-11\n")], [Some(1), Some(4), Some(7)]);
        assert_eq!([count(""), count("a"), count("3-0")], [None; 3]);
    }

    #[test]
    fn sizes_are_in_kilobytes() {
        assert_eq!(size("MemFree: 1 kB\nMemTotal:     16 kB\n", "MemTotal:"), Some(16384));
        assert_eq!(size("MemTotal: many kB", "MemTotal:"), None);
    }
}
