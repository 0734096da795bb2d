//! The access control lists of files and directories (POSIX ACLs): whether one grants more than a mode, and taking it away.
//!
//! Reads and removes what is open already; knows nothing of jobs. Elsewhere than on Linux there are none.

use std::os::fd::AsFd;

use anyhow::Result;

use super::mode::Mode;

/// What an access control list grants to those who are not the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granted {
    /// To the owning group, as three permission bits.
    group: u32,
    /// To users and groups that are named, all of them together.
    named: u32,
    others: u32,
}

impl Granted {
    /// From a list as the kernel hands it over; `None` where it is none.
    fn decode(list: &[u8]) -> Option<Self> {
        const VERSION: [u8; 4] = 2_u32.to_le_bytes();
        const ENTRY: usize = 8;
        let (entries, []) = list.strip_prefix(&VERSION)?.as_chunks::<ENTRY>() else { return None };
        let mut granted = Granted { group: 0, named: 0, others: 0 };
        let mut mask = 7;
        for entry in entries {
            let [tag, bits] = [0, 2].map(|at| u16::from_le_bytes([entry[at], entry[at + 1]]));
            let bits = u32::from(bits) & 7;
            match tag {
                0x02 | 0x08 => granted.named |= bits,
                0x04 => granted.group = bits,
                0x10 => mask = bits,
                0x20 => granted.others = bits,
                _ => {}
            }
        }
        granted.named &= mask;
        granted.group &= mask;
        Some(granted)
    }

    /// Whether this is more than the mode grants; who is named may be anybody.
    fn is_more_than(self, mode: Mode) -> bool {
        let [group, others] = [mode.bits() >> 3 & 7, mode.bits() & 7];
        (self.named | self.others) & !others != 0 || self.group & !group != 0
    }
}

/// Whether a list of the file or directory, of a directory also the one for what is created in it, grants more than `mode`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn grants_more(opened: impl AsFd, is_dir: bool, mode: Mode) -> Result<bool> {
    for name in names(is_dir) {
        if read(&opened, name)?.is_some_and(|granted| granted.is_more_than(mode)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the list of the file or directory grants to the owning group, as three bits; `None` without one. The mode shows
/// the upper bound of all that is granted instead.
///
/// # Errors
/// When it cannot be read.
pub(super) fn group_bits(opened: impl AsFd) -> Result<Option<u32>> {
    Ok(read(&opened, names(false)[0])?.map(|granted| granted.group))
}

fn names(is_dir: bool) -> &'static [&'static str] {
    const NAMES: &[&str] = &["system.posix_acl_access", "system.posix_acl_default"];
    if is_dir { NAMES } else { &NAMES[..1] }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn read(opened: &impl AsFd, name: &str) -> Result<Option<Granted>> {
    use anyhow::Context as _;
    use rustix::io::Errno;

    // Most have none, and are not read twice.
    let mut few = [0; 256];
    match rustix::fs::fgetxattr(opened, name, &mut few[..]) {
        Ok(length) => return Ok(Granted::decode(&few[..length])),
        Err(Errno::RANGE) => {}
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
        Err(errno) => return Err(errno).context("failed to read its access control list"),
    }
    // As the kernel bounds a value.
    let mut many = vec![0; 64 * 1024];
    let length = rustix::fs::fgetxattr(opened, name, &mut many[..])
        .context("failed to read its access control list")?;
    Ok(Granted::decode(&many[..length]))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn read(_: &impl AsFd, _: &str) -> Result<Option<Granted>> {
    Ok(None)
}

/// Takes away the list of the file or directory, of a directory also the one for what is created in it.
///
/// # Errors
/// When the system refuses.
pub(super) fn remove(opened: impl AsFd, is_dir: bool) -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    for name in names(is_dir) {
        use anyhow::Context as _;
        use rustix::io::Errno;
        let mut no_room: [u8; 0] = [];
        // Who may not remove one is not told so of something that has none.
        let removed = rustix::fs::fgetxattr(&opened, *name, &mut no_room[..])
            .and_then(|_| rustix::fs::fremovexattr(&opened, *name));
        match removed {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno).context("failed to remove its access control list"),
        }
    }
    let _ = (opened, is_dir);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of these entries: tag and permissions.
    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, bits) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(bits.to_le_bytes());
            list.extend(1000_u32.to_le_bytes());
        }
        list
    }

    #[test]
    fn what_is_granted_is_bounded_by_the_mask() {
        let granted = |entries: &[(u16, u16)]| Granted::decode(&list(entries));
        let named = granted(&[(0x01, 7), (0x02, 6), (0x08, 1), (0x04, 5), (0x10, 3), (0x20, 4)]);
        assert_eq!(named, Some(Granted { group: 1, named: 3, others: 4 }));
        assert_eq!(
            granted(&[(0x01, 7), (0x04, 5), (0x20, 0)]),
            Some(Granted { group: 5, named: 0, others: 0 })
        );
        assert_eq!(Granted::decode(b""), None);
        assert_eq!(Granted::decode(&list(&[(1, 7)])[..7]), None);
        assert_eq!(Granted::decode(&3_u32.to_le_bytes()), None);
    }

    #[test]
    fn who_is_named_may_have_what_anybody_has() {
        let more = |granted: (u32, u32, u32), mode: u32| {
            let (group, named, others) = granted;
            Granted { group, named, others }.is_more_than(Mode::new(mode))
        };
        assert!(!more((4, 4, 4), 0o644));
        assert!(!more((4, 0, 0), 0o640));
        assert!(more((0, 4, 0), 0o640));
        assert!(more((6, 4, 4), 0o644));
        assert!(more((4, 4, 6), 0o644));
        assert!(more((0, 7, 0), 0o770));
    }
}
