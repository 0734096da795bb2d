//! Stand-ins for remote sources: a program to download, a package, a repository. They are created locally so that the example
//! works anywhere. With your own URLs in place of these paths, delete this file.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use dojob::{AnyJob, Deps, IntoJob, deps};
use dojob_jobs::{Archive, Command, Directory, File};

use super::{Place, system};

/// Relative to the root.
const UPSTREAM: &str = "var/lib/workstation/upstream";
pub(crate) const NOTES: &str = "var/lib/workstation/upstream/notes";
pub(crate) const PACKAGE: &str = "var/lib/workstation/upstream/greet.tar.gz";
pub(crate) const REPOSITORY: &str = "var/lib/workstation/upstream/dotfiles";

/// The wanted tag of the repository.
pub(crate) const VERSION: &str = "v1";

/// In the format of `sha256sum`.
pub(crate) const NOTES_SHA256: &str = "530e5690c61723f61b1cc02ae464665be5e74105c49656587e47f10151923de1";

const NOTES_PROGRAM: &str = r#"#!/bin/sh
# Keeps notes, one a line, and copies of them.
set -eu
notes=${NOTES:-$HOME/notes}
mkdir -p "$notes/backups"
case ${1:-list} in
    list) cat "$notes/all" 2>/dev/null || echo "no notes yet" ;;
    add) shift; echo "$*" >> "$notes/all" ;;
    backup) [ ! -e "$notes/all" ] || tar -C "$notes" -czf "$notes/backups/$(date +%F).tar.gz" all ;;
    *) echo "usage: notes [list | add WORD... | backup]" >&2; exit 2 ;;
esac
"#;

/// A system-wide program with its data.
const GREET_FILES: [(&str, u32, &str); 2] = [
    ("greet/bin/greet", 0o755, "#!/bin/sh\ncat \"${0%/*}/../share/greet/words\"\n"),
    ("greet/share/greet/words", 0o644, "Good morning!\n"),
];

fn file(place: &Place, path: &str, mode: u32, content: &str) -> AnyJob {
    let path = place.root(UPSTREAM).join(path);
    let directory = path.parent().map(Directory::new);
    let mut needed = Deps::new();
    needed.extend(directory);
    File::new(path, content).mode(mode).needs(needed)
}

/// The program at [`NOTES`].
pub(crate) fn notes(place: &Place) -> AnyJob {
    file(place, "notes", 0o644, NOTES_PROGRAM)
}

/// The archive at [`PACKAGE`].
pub(crate) fn package(place: &Place) -> AnyJob {
    let mut needed = deps![];
    needed.extend(GREET_FILES.map(|(path, mode, content)| file(place, path, mode, content)));
    Archive::new(place.root(UPSTREAM).join("greet"), place.root(PACKAGE)).needs(needed)
}

/// The repository at [`REPOSITORY`], with the tag [`VERSION`].
pub(crate) fn repository(place: &Place) -> AnyJob {
    // A reproducible commit: fixed author and date, no user settings.
    let git = "unset $(git rev-parse --local-env-vars); \
               git() { command git --git-dir=.git -c user.name=Upstream -c user.email=upstream@localhost \"$@\"; }";
    let make = format!(
        "{git}; rm -rf .git && git init --quiet --initial-branch=main && git add vimrc \
         && git commit --quiet --message=First && git tag {VERSION}"
    );
    let path = place.root(REPOSITORY);
    Command::new(make)
        .check(format!("{git}; git rev-parse --quiet --verify 'refs/tags/{VERSION}^{{commit}}'"))
        // 128: not a repository.
        .check_no([1, 128])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .cwd(&path)
        .needs(deps![
            system::packages(place),
            file(place, "dotfiles/vimrc", 0o644, "set expandtab\nset shiftwidth=4\n")
        ])
        .named(format!("Repository {}", path.display()))
}

/// The URL of a local file.
pub(crate) fn url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                url.push(char::from(*byte))
            }
            other => {
                let _ = write!(url, "%{other:02X}");
            }
        }
    }
    url
}
