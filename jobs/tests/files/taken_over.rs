//! What another user has prepared before it becomes root's: files that they keep open, links, and access control lists.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use dojob::{AnyJob, IntoJob, Outcome};
use dojob_jobs::{Archive, AuthorizedKey, Directory, Download, File, Line, Size, Template, Unarchive};
use tempfile::TempDir;

use crate::support::*;

const USER: u32 = 12345;
const TEXT: &str = "#!/bin/sh\necho good\n";

fn any<M>(job: impl IntoJob<M>) -> AnyJob {
    job.into_job()
}

/// A root with a directory `shared`, where everybody may create files. `None` for who is not root.
fn shared() -> Option<TempDir> {
    if !is_root() {
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("shared")).unwrap();
    set_mode(&root.path().join("shared"), 0o1777);
    Some(root)
}

/// A file of this owner and mode, which stays open for writing.
fn held(path: &Path, owner: u32, mode: u32) -> fs::File {
    fs::write(path, TEXT).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
    set_mode(path, mode);
    fs::OpenOptions::new().write(true).open(path).unwrap()
}

/// Converges, and then writes into the file that was held: what is at `path` stays as it should be.
fn is_out_of_reach(job: impl Fn() -> AnyJob, path: &Path, mut held: fs::File) {
    let report = converge(job());
    assert!(report.success(), "{report:?}");
    held.rewind().unwrap();
    held.write_all(b"evil").unwrap();
    assert_eq!(read(path), TEXT, "{}", path.display());
    assert_eq!((fs::metadata(path).unwrap().uid(), mode(path) & 0o022), (0, 0));
    assert_eq!(converge(job()).counts().in_place, 1);
}

/// The jobs that say what is in a file, on `path`.
fn with_content(root: &Path, path: &Path) -> Vec<Box<dyn Fn() -> AnyJob>> {
    let source = root.join("source");
    fs::write(&source, TEXT).unwrap();
    let hash = sha256(TEXT);
    let url = format!("file://{}", source.display());
    let [a, b, c, d, e] = [(); 5].map(|()| path.to_owned());
    let url_too = url.clone();
    vec![
        Box::new(move || any(File::new(&a, TEXT).owner(0).mode(0o755))),
        Box::new(move || any(File::copy(&b, &source).owner(0).mode(0o755))),
        Box::new(move || any(Template::new(&c, TEXT).owner(0).mode(0o755))),
        Box::new(move || any(Download::new(&url, &d).sha256(&hash).owner(0).mode(0o755))),
        Box::new(move || any(Download::new(&url_too, &e).owner(0).mode(0o755))),
    ]
}

fn sha256(text: &str) -> String {
    use std::process::{Command, Stdio};
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    said.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_file_that_another_user_holds_open_is_replaced_by_a_new_one() {
    let Some(root) = shared() else { return };
    let path = root.path().join("shared/file");
    for job in with_content(root.path(), &path) {
        // Another user's file, root's own that everybody may write to, and one that a group may.
        for (owner, mode) in [(USER, 0o755), (0, 0o777)] {
            let _ = fs::remove_file(&path);
            let held = held(&path, owner, mode);
            is_out_of_reach(&job, &path, held);
        }
        let _ = fs::remove_file(&path);
        let held = held(&path, 0, 0o775);
        chown(&path, Some(0), Some(USER)).unwrap();
        is_out_of_reach(&job, &path, held);
    }
    // What nobody else could write to is only given another mode.
    fs::remove_file(&path).unwrap();
    drop(held(&path, 0, 0o600));
    let before = fs::metadata(&path).unwrap().ino();
    assert!(converge(File::new(&path, TEXT).owner(0).mode(0o755)).success());
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
}

#[test]
fn what_an_archive_holds_is_unpacked_anew_where_another_user_was_first() {
    let Some(root) = shared() else { return };
    let (packed, archive) = (root.path().join("packed"), root.path().join("a.tar.gz"));
    fs::create_dir(&packed).unwrap();
    fs::write(packed.join("script"), TEXT).unwrap();
    set_mode(&packed.join("script"), 0o755);
    assert!(converge(Archive::new(&packed, &archive)).success());
    let dest = root.path().join("shared/dest");
    fs::create_dir(&dest).unwrap();
    chown(&dest, Some(USER), Some(USER)).unwrap();
    // Whether the folder's own name is in the archive or not.
    for strip in [0, 1] {
        let place = [dest.join("packed/script"), dest.join("script")];
        let place = place.iter().find(|place| {
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            let _ = fs::remove_file(place);
            let job = || Unarchive::new(&archive, &dest).strip_components(strip).owner(0).group(0);
            converge(job()).success() && place.exists()
        });
        let Some(place) = place else { continue };
        fs::remove_file(place).unwrap();
        let held = held(place, USER, 0o755);
        let job = || any(Unarchive::new(&archive, &dest).strip_components(strip).owner(0).group(0));
        is_out_of_reach(job, place, held);
        return;
    }
    panic!("nothing was unpacked: {:?}", names(&dest));
}

#[test]
fn a_file_that_is_taken_over_is_no_longer_for_everybody_to_write() {
    let Some(root) = shared() else { return };
    let path = root.path().join("shared/file");
    let held = held(&path, USER, 0o6777);
    is_out_of_reach(|| any(File::new(root.path().join("shared/file"), TEXT).owner(0)), &path, held);
    assert_eq!(mode(&path), 0o755);
}

#[test]
fn a_file_larger_than_can_be_read_is_replaced_without_being_read() {
    let root = tempfile::tempdir().unwrap();
    let [path, source] = ["huge", "source"].map(|name| root.path().join(name));
    fs::write(&source, TEXT).unwrap();
    let jobs: [Box<dyn Fn() -> AnyJob>; 3] = [
        Box::new(|| any(File::new(&path, TEXT))),
        Box::new(|| any(File::copy(&path, &source))),
        Box::new(|| {
            let url = format!("file://{}", source.display());
            any(Download::new(url, &path).max_size(Size::bytes(1024)))
        }),
    ];
    for job in jobs {
        let huge = fs::File::create(&path).unwrap();
        // A file system may have bounds of its own.
        let Some(size) = [1_u64 << 62, 1 << 43].into_iter().find(|size| huge.set_len(*size).is_ok()) else {
            return;
        };
        let (_, difference) = would(job(), root.path());
        assert!(difference.starts_with(&format!("{size} bytes -> ")), "{difference}");
        assert!(converge(job()).success());
        assert_eq!(read(&path), TEXT);
    }
}

/// A directory that the user has made and filled, and that is root's now; `etc/passwd` is root's.
fn changed_hands() -> Option<(TempDir, PathBuf)> {
    let root = shared()?;
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("etc/cron.d")).unwrap();
    fs::write(at("etc/passwd"), "precious\n").unwrap();
    let work = at("shared/work");
    fs::create_dir(&work).unwrap();
    symlink(at("etc/cron.d"), work.join("jobs")).unwrap();
    symlink(at("etc/passwd"), work.join("app.conf")).unwrap();
    for path in [work.clone(), work.join("jobs"), work.join("app.conf")] {
        lchown(path, Some(USER), Some(USER)).unwrap();
    }
    assert!(converge(Directory::new(&work).owner(0).group(0).mode(0o755)).success());
    Some((root, work))
}

#[test]
fn a_link_that_was_there_before_its_directory_was_safe_is_not_followed() {
    let Some((root, work)) = changed_hands() else { return };
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzTjY8yHbfyfGgbqcLYNPpIe0vDiQ0Jkh8Cf4yHdQWn rosa@laptop";
    let archive = root.path().join("etc.tar.gz");
    assert!(converge(Archive::new(root.path().join("etc"), &archive)).success());
    let told = [
        unknown(Line::new(work.join("app.conf"), "evil"), root.path()),
        unknown(File::new(work.join("jobs/run"), "x"), root.path()),
        unknown(File::new(work.join("app.conf"), "x").follow(), root.path()),
        unknown(Directory::new(work.join("jobs")).purge(["none"]), root.path()),
        unknown(Directory::new(work.join("jobs/new")), root.path()),
        unknown(Archive::new(work.join("jobs"), root.path().join("a.tar.gz")), root.path()),
        unknown(Unarchive::new(&archive, work.join("jobs/new")), root.path()),
        unknown(Download::new("file:///etc/hostname", work.join("app.conf")), root.path()),
        unknown(AuthorizedKey::in_file(work.join("app.conf"), key), root.path()),
    ];
    for told in told {
        assert!(told.contains("is a symbolic link that the user 12345 could have created"), "{told}");
    }
    assert!(!converge(Line::new(work.join("app.conf"), "evil")).success());
    assert_eq!(read(&root.path().join("etc/passwd")), "precious\n");
    // Once it is root's own, it is meant.
    lchown(work.join("app.conf"), Some(0), Some(0)).unwrap();
    assert!(converge(Line::new(work.join("app.conf"), "more")).success());
    assert_eq!(read(&root.path().join("etc/passwd")), "precious\nmore\n");
}

#[test]
fn a_hard_link_that_was_there_before_its_directory_was_safe_is_left_alone() {
    let Some(root) = shared() else { return };
    let (work, secret) = (root.path().join("shared/work"), root.path().join("secret"));
    fs::create_dir_all(work.join("below")).unwrap();
    fs::write(&secret, "").unwrap();
    set_mode(&secret, 0o600);
    for name in ["", "below"] {
        fs::hard_link(&secret, work.join(name).join("name")).unwrap();
        chown(work.join(name), Some(USER), Some(USER)).unwrap();
    }
    let job = || Directory::new(&work).owner(0).group(0).mode(0o755).file_mode(0o644);
    assert!(failures(&converge(job()), root.path()).contains("it has several names (hard links)"));
    fs::remove_file(work.join("name")).unwrap();
    chown(&work, Some(0), Some(0)).unwrap();
    assert!(failures(&converge(job()), root.path()).contains("below/name: it has several names"));
    assert_eq!(mode(&secret), 0o600);
    // Another user's file with a name in a directory that is root's by now.
    chown(&secret, Some(USER), Some(USER)).unwrap();
    fs::hard_link(&secret, root.path().join("name")).unwrap();
    let told = unknown(File::any(root.path().join("name")).mode(0o644), root.path());
    assert!(told.contains("it has several names (hard links), and the user 12345"), "{told}");
}

#[cfg(target_os = "linux")]
mod lists {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    use rustix::io::Errno;

    use super::*;

    const ACCESS: &str = "system.posix_acl_access";
    const DEFAULT: &str = "system.posix_acl_default";

    /// Grants the user everything; `false` where the file system has no such lists.
    fn grant(path: &Path, kind: &str) -> bool {
        // The owner, the user, the group, the mask and all others, each with rights and number.
        let entries: [(u16, u16, u32); 5] =
            [(1, 7, u32::MAX), (2, 7, USER), (4, 0, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            list.extend(tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes()));
        }
        match setxattr(path, kind, &list, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => false,
            set => set.map(|()| true).unwrap(),
        }
    }

    fn has(path: &Path, kind: &str) -> bool {
        let mut buffer = vec![0; 1000];
        getxattr(path, kind, &mut buffer[..]).is_ok()
    }

    #[test]
    fn a_list_that_another_user_has_made_does_not_outlive_their_ownership() {
        let Some(root) = shared() else { return };
        let at = |name: &str| root.path().join("shared").join(name);
        let theirs = |name: &str| {
            if !at(name).is_dir() {
                fs::write(at(name), TEXT).unwrap();
            }
            chown(at(name), Some(USER), Some(USER)).unwrap();
            grant(&at(name), ACCESS)
        };
        if !theirs("kept") {
            return;
        }
        // Whether its content is as wanted or not, and with a mode or without.
        assert!(converge(File::new(at("kept"), TEXT).owner(0).group(0)).success());
        assert!(theirs("new") && converge(File::new(at("new"), "other").owner(0).group(0)).success());
        assert!(theirs("moded") && converge(File::new(at("moded"), "other").owner(0).mode(0o640)).success());
        assert!(theirs("any") && converge(File::any(at("any")).owner(0)).success());
        let source = root.path().join("source");
        fs::write(&source, "other").unwrap();
        let url = format!("file://{}", source.display());
        assert!(theirs("fetched") && converge(Download::new(url, at("fetched")).owner(0)).success());
        for name in ["kept", "new", "moded", "any", "fetched"] {
            assert!(!has(&at(name), ACCESS), "{name}");
            assert_eq!(mode(&at(name)) & 0o022, 0, "{name}");
        }
        for (name, wanted) in [("dir", Some(0o770)), ("other", None)] {
            fs::create_dir(at(name)).unwrap();
            assert!(theirs(name) && grant(&at(name), DEFAULT));
            let mut job = Directory::new(at(name)).owner(0).group(0);
            if let Some(mode) = wanted {
                job = job.mode(mode);
            }
            assert!(converge(job.clone()).success());
            assert!(!has(&at(name), ACCESS) && !has(&at(name), DEFAULT), "{name}");
            assert_eq!(mode(&at(name)), wanted.unwrap_or(0o700), "{name}");
            assert_eq!(converge(job).counts().in_place, 1);
        }
    }

    #[test]
    fn a_list_that_grants_more_than_the_mode_is_told_and_taken_away() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), TEXT).unwrap();
        fs::create_dir_all(at("dir/below")).unwrap();
        fs::write(at("dir/file"), TEXT).unwrap();
        if !grant(&at("file"), ACCESS) {
            return;
        }
        for name in ["dir", "dir/below"] {
            assert!(grant(&at(name), DEFAULT));
        }
        assert!(grant(&at("dir/file"), ACCESS));
        for name in ["file", "dir/file"] {
            set_mode(&at(name), 0o640);
        }
        for name in ["dir", "dir/below"] {
            set_mode(&at(name), 0o750);
        }
        let grants = |mode| format!("an access control list grants more than the mode {mode}");
        let url = format!("file://{}", at("dir/file").display());
        let jobs = [
            any(Template::new(at("file"), TEXT).mode(0o640)),
            any(Download::new(url, at("file")).mode(0o640)),
            any(File::new(at("file"), TEXT).mode(0o640)),
        ];
        for job in jobs {
            assert_eq!(would(job, root.path()).0, grants("0640"));
        }
        let file = || File::new(at("file"), TEXT).mode(0o640);
        let tree = || Directory::new(at("dir")).mode(0o750).file_mode(0o640);
        assert_eq!(
            would(tree(), root.path()).0,
            format!(
                "{}; 2 below it differ, such as below: an access control list grants more than its mode",
                grants("0750")
            )
        );
        for job in [any(file()), any(tree())] {
            assert!(converge(job).success());
        }
        for job in [any(file()), any(tree())] {
            assert_eq!(told(&no_act(job), root.path()).outcome, Outcome::InPlace);
        }
        for name in ["file", "dir", "dir/below", "dir/file"] {
            assert!(!has(&at(name), ACCESS) && !has(&at(name), DEFAULT), "{name}");
        }
        // What it grants is granted to all, or bounded by the mode, or no mode is asked for.
        assert!(grant(&at("file"), ACCESS));
        set_mode(&at("file"), 0o600);
        assert_eq!(converge(File::new(at("file"), TEXT).mode(0o600)).counts().in_place, 1);
        set_mode(&at("file"), 0o644);
        assert_eq!(converge(File::new(at("file"), TEXT).mode(0o644)).counts().in_place, 1);
        assert!(converge(File::new(at("file"), "other")).success() && has(&at("file"), ACCESS));
    }

    #[test]
    fn a_new_file_has_no_list_of_its_directory_where_it_is_a_secret_or_has_a_mode() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("home")).unwrap();
        if !grant(&at("home"), DEFAULT) {
            return;
        }
        assert!(converge(File::secret(at("home/secret"), "hunter2".to_owned())).success());
        assert!(converge(File::new(at("home/file"), TEXT).mode(0o640)).success());
        assert!(converge(Directory::new(at("home/dir")).mode(0o770)).success());
        for name in ["home/secret", "home/file", "home/dir"] {
            assert!(!has(&at(name), ACCESS) && !has(&at(name), DEFAULT), "{name}");
        }
        // Otherwise it is what the directory has it for.
        assert!(converge(File::new(at("home/plain"), TEXT)).success() && has(&at("home/plain"), ACCESS));
        assert!(converge(Directory::new(at("home/plain.d"))).success() && has(&at("home/plain.d"), DEFAULT));
    }
}
