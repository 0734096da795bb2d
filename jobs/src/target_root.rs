//! The machine that a system job works on: this one, or the tree of another one under a directory, its `root`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::ensure;
use dojob::{Command, Context, OrCouldNotFindOut, Result};
use rustix::io::Errno;

use crate::disk::at::may_follow;

/// Where system tools are. People's and cron's PATH often lack these.
const TOOLS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// As many symbolic links as Linux follows on one path.
const MOST_LINKS: usize = 40;

/// This machine, or the tree of another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetRoot<'a> {
    root: Option<&'a Path>,
}

impl<'a> TargetRoot<'a> {
    pub(crate) fn new(root: Option<&'a PathBuf>) -> Self {
        let root = root.map(PathBuf::as_path).filter(|root| *root != Path::new("/"));
        TargetRoot { root }
    }

    /// The tree's directory, where it is not this machine.
    pub(crate) fn root(self) -> Option<&'a Path> {
        self.root
    }

    /// Refuses a root that means another directory tomorrow.
    pub(crate) fn validate(self) -> Result<()> {
        let Some(root) = self.root else { return Ok(()) };
        crate::serde_helpers::path("root", root)
    }

    /// Where the file or directory `inside` of that machine lies for us. Symbolic links on the way lead to where they
    /// would lead that machine: never out of its tree. A link at the very end is left alone.
    ///
    /// # Errors
    /// When a link cannot be read, or they lead in a circle.
    pub(crate) fn locate(self, inside: &Path) -> Result<PathBuf> {
        let Some(root) = self.root else { return Ok(inside.to_owned()) };
        self.walk(root, inside, false).or_could_not_find_out(what(root, inside))
    }

    /// As [`locate`](TargetRoot::locate), a link at the end followed, too.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn locate_target(self, inside: &Path) -> Result<PathBuf> {
        let root = self.root.unwrap_or(Path::new("/"));
        self.walk(root, inside, true).or_could_not_find_out(what(root, inside))
    }

    fn walk(self, root: &Path, inside: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let mut todo: Vec<OsString> = reversed(inside);
        let mut at = root.to_owned();
        let mut depth = 0_usize;
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                if depth > 0 {
                    at.pop();
                    depth -= 1;
                }
                continue;
            }
            at.push(&name);
            depth += 1;
            if todo.is_empty() && !follow_last {
                break;
            }
            let Some(target) = link_at(&at)? else { continue };
            // Nor where somebody wants us to go.
            may_follow(&at)?;
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            at.pop();
            depth -= 1;
            if target.is_absolute() {
                at = root.to_owned();
                depth = 0;
            }
            todo.extend(reversed(&target));
        }
        Ok(at)
    }

    /// A command of that machine: for a tree its own program, by `chroot`, which takes root's rights.
    pub(crate) fn command(self, cx: &Context, program: impl AsRef<OsStr>) -> Command<'_> {
        let command = match self.root {
            None => cx.command(program),
            Some(root) => cx.command("chroot").arg(root).arg(program),
        };
        plain(command)
    }

    /// Whether that machine has a program of this name.
    ///
    /// # Errors
    /// When its tree cannot be seen.
    pub(crate) fn has(self, program: &str) -> Result<bool> {
        let path = match self.root {
            None => path_with_tools(env::var_os("PATH")),
            Some(_) => path_with_tools(None),
        };
        for directory in env::split_paths(&path) {
            if self.locate_target(&directory.join(program))?.is_file() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A command of *this* machine that knows an option for working on a tree; `option` is joined with the tree.
    pub(crate) fn command_with<'cx>(self, cx: &'cx Context, program: &str, option: &str) -> Command<'cx> {
        let command = plain(cx.command(program));
        match self.root {
            None => command,
            Some(root) => {
                let mut joined = OsString::from(option);
                joined.push("=");
                joined.push(root);
                command.arg(joined)
            }
        }
    }
}

fn what(root: &Path, inside: &Path) -> String {
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    format!("where {} is", root.join(inside).display())
}

/// A path's names, the last one first; what leads nowhere is left out.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.rev().collect()
}

/// The target of a link; `None` for what is no link, or not there.
fn link_at(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// In the language of programs, and with all system tools within reach.
fn plain(command: Command<'_>) -> Command<'_> {
    command.env("LC_ALL", "C").env("PATH", path_with_tools(env::var_os("PATH")))
}

fn path_with_tools(path: Option<OsString>) -> OsString {
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    for tools in TOOLS.map(PathBuf::from) {
        if !places.contains(&tools) {
            places.push(tools);
        }
    }
    env::join_paths(places).unwrap_or(path)
}

/// Refuses what cannot be the name of a user or group, or would be taken for a number or an option.
pub(crate) fn account_name(field: &str, name: &str) -> Result<()> {
    const LONGEST: usize = 32;
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !":,/\\\"'`!;&|<>()*?#%".contains(c);
    crate::serde_helpers::one_line(field, name)?;
    ensure!(
        name.chars().all(fits) && !name.starts_with(['-', '+', '~']) && name != "." && name != "..",
        "`{field}` is `{}`, which is no name of a user or group: letters, digits, `_`, `-`, `.` are wanted",
        name.escape_debug()
    );
    ensure!(
        !name.chars().all(|c| c.is_ascii_digit()),
        "`{field}` is `{name}`, which is a number; a name is wanted"
    );
    ensure!(name.len() <= LONGEST, "`{field}` is longer than {LONGEST} bytes: `{name}`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_of_the_tree() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().to_owned();
        fs::create_dir_all(root.join("srv/etc")).unwrap();
        symlink("/srv/etc", root.join("etc")).unwrap();
        symlink("../../../../srv/../etc/hosts.real", root.join("srv/etc/hosts")).unwrap();
        let machine = TargetRoot::new(Some(&root));
        assert_eq!(machine.locate(Path::new("/etc/passwd")).unwrap(), root.join("srv/etc/passwd"));
        assert_eq!(machine.locate(Path::new("/etc/hosts")).unwrap(), root.join("srv/etc/hosts"));
        assert_eq!(machine.locate_target(Path::new("/etc/hosts")).unwrap(), root.join("srv/etc/hosts.real"));
        assert_eq!(machine.locate(Path::new("/../../x")).unwrap(), root.join("x"));
    }

    #[test]
    fn a_circle_of_links_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().to_owned();
        symlink("/b", root.join("a")).unwrap();
        symlink("/a", root.join("b")).unwrap();
        let error = TargetRoot::new(Some(&root)).locate(Path::new("/a/x")).unwrap_err();
        assert!(format!("{error:#}").contains("Too many levels of symbolic links"), "{error:#}");
    }

    #[test]
    fn this_machine_is_as_it_is() {
        let slash = PathBuf::from("/");
        assert_eq!(
            TargetRoot::new(Some(&slash)).locate(Path::new("/etc/hosts")).unwrap(),
            Path::new("/etc/hosts")
        );
        assert_eq!(TargetRoot::new(Some(&slash)).root(), None);
        assert!(TargetRoot::new(Some(&PathBuf::from("relative"))).validate().is_err());
    }

    #[test]
    fn tools_are_within_reach() {
        assert_eq!(path_with_tools(Some("/bin:/usr/sbin".into())), "/bin:/usr/sbin:/usr/local/sbin:/sbin");
        assert_eq!(path_with_tools(None), "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    }

    #[test]
    fn names_of_accounts() {
        for name in ["rosa", "www-data", "a.b", "_apt", "build$", "Ärzte"] {
            account_name("name", name).unwrap();
        }
        for name in ["", "a b", "a:b", "-a", "4711", "..", "a/b", "a\nb", "a\0b", &"x".repeat(33)] {
            assert!(account_name("name", name).is_err(), "{name:?}");
        }
    }
}
