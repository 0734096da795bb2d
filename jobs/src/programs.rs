//! Where programs are found.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where the tools of an administrator are, which PATH often lacks for others.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What to call to run the program `name`: the name itself where PATH has it, its whole path where only the directories
/// of the system have it, `None` where nobody has it.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    find_in(std::env::var_os("PATH").as_deref(), &SYSTEM.map(Path::new), name)
}

fn find_in(path: Option<&OsStr>, system: &[&Path], name: &str) -> Option<PathBuf> {
    let on_path = path
        .is_some_and(|path| std::env::split_paths(path).any(|directory| is_program(&directory.join(name))));
    if on_path {
        return Some(PathBuf::from(name));
    }
    system.iter().map(|directory| directory.join(name)).find(|program| is_program(program))
}

/// The file of the program `name`.
pub(crate) fn locate(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SYSTEM.map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|file| is_program(file))
}

/// Whether this is a file that may be executed.
pub(crate) fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn path_comes_first_and_what_cannot_be_executed_is_no_program() {
        let scratch = tempfile::tempdir().unwrap();
        let (bin, sbin) = (scratch.path().join("bin"), scratch.path().join("sbin"));
        for (file, mode) in
            [("bin/both", 0o755), ("sbin/both", 0o755), ("sbin/tool", 0o755), ("bin/text", 0o644)]
        {
            let file = scratch.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(bin.join("tool")).unwrap();
        let find = |name| find_in(Some(bin.as_os_str()), &[&sbin], name);
        assert_eq!(find("both"), Some(PathBuf::from("both")));
        assert_eq!(find("tool"), Some(sbin.join("tool")), "a directory is no program");
        assert_eq!(find("text"), None);
        assert_eq!(find_in(None, &[], "both"), None);
    }
}
