//! Working copies of Git repositories, made by the real `git`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use dojob::Outcome;
use dojob_jobs::{Become, GitCheckout};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Came, as_nobody, converge, engine, is_root, lines, look, tree};

/// Git in a directory, with nobody's settings.
pub(super) fn git(directory: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").arg("-C").arg(directory);
    for setting in
        ["init.defaultBranch=main", "user.name=Rosa", "user.email=rosa@localhost", "safe.directory=*"]
    {
        command.args(["-c", setting]);
    }
    let output = command.args(args).output().expect("git is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository to check out from, and where to check it out.
pub(super) struct Scene {
    pub(super) root: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let scene = Scene { root: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.source()).unwrap();
        git(&scene.source(), &["init", "--quiet"]);
        scene.commit("a", "one\n");
        scene
    }

    pub(super) fn source(&self) -> PathBuf {
        self.root.path().join("source")
    }

    pub(super) fn dest(&self) -> PathBuf {
        self.root.path().join("dest")
    }

    /// Commits a file, and returns the commit.
    pub(super) fn commit(&self, file: &str, text: &str) -> String {
        fs::write(self.source().join(file), text).unwrap();
        git(&self.source(), &["add", file]);
        git(&self.source(), &["commit", "--quiet", "--message", file]);
        git(&self.source(), &["rev-parse", "HEAD"])
    }

    pub(super) fn job(&self) -> GitCheckout {
        GitCheckout::new(self.source().to_str().unwrap(), self.dest())
    }

    pub(super) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dest().join(file)).unwrap()
    }

    /// What a text says of this place, which is another one each time.
    fn plain(&self, came: Came) -> Came {
        Came { reason: came.reason.replace(self.root.path().to_str().unwrap(), "ROOT"), ..came }
    }

    pub(super) fn look(&self, job: GitCheckout) -> Came {
        let before = tree(self.root.path());
        let came = self.plain(look(job));
        assert_eq!(tree(self.root.path()), before, "a look changes nothing");
        came
    }

    pub(super) fn converge(&self, job: GitCheckout) -> Came {
        self.plain(converge(job))
    }

    /// Makes it so, and sees that then there is nothing to do.
    pub(super) fn prove(&self, job: GitCheckout) {
        let came = self.converge(job.clone());
        assert_eq!(came.outcome, Outcome::Changed, "{came:?}");
        assert_eq!(self.look(job.clone()).outcome, Outcome::InPlace);
        assert_eq!(self.converge(job).outcome, Outcome::InPlace);
    }
}

#[test]
fn it_follows_the_default_branch() {
    let scene = Scene::new();
    let first = git(&scene.source(), &["rev-parse", "HEAD"]);
    let came = scene.look(scene.job());
    assert_eq!(came.reason, "ROOT/dest does not exist");
    assert_eq!(came.diff, format!("nothing -> {first}"));
    scene.prove(scene.job());
    assert_eq!(scene.read("a"), "one\n");

    let second = scene.commit("a", "two\n");
    let came = scene.look(scene.job());
    assert_eq!(
        came.reason,
        format!("ROOT/dest is at {}, not {} (the default branch)", &first[..10], &second[..10])
    );
    assert_eq!(came.diff, format!("commit {first} -> {second}"));
    assert_eq!(scene.look(scene.job().update(false)).outcome, Outcome::InPlace);
    scene.prove(scene.job());
    assert_eq!(scene.read("a"), "two\n");
    let report = engine(scene.job()).converge();
    assert_eq!(report.jobs().last().unwrap().result(), Some(&json!(second)));
}

#[test]
fn it_follows_branches_tags_and_commits() {
    let scene = Scene::new();
    let first = git(&scene.source(), &["rev-parse", "HEAD"]);
    git(&scene.source(), &["tag", "light"]);
    git(&scene.source(), &["branch", "feature/x"]);
    scene.commit("a", "two\n");
    git(&scene.source(), &["tag", "--annotate", "--message", "heavy", "heavy"]);
    scene.commit("a", "three\n");
    for (version, text) in [
        ("heavy", "two\n"),
        ("feature/x", "one\n"),
        ("main", "three\n"),
        ("light", "one\n"),
        (&first, "one\n"),
        ("refs/tags/heavy", "two\n"),
    ] {
        let job = scene.job().version(version);
        let changed = converge(job.clone());
        assert!(matches!(changed.outcome, Outcome::Changed | Outcome::InPlace), "{version}: {changed:?}");
        assert_eq!(scene.read("a"), text, "{version}");
        assert_eq!(scene.look(job).outcome, Outcome::InPlace, "{version}");
    }
    // A branch that was moved back, and one in the place of a directory of them.
    git(&scene.source(), &["reset", "--quiet", "--hard", &first]);
    git(&scene.source(), &["branch", "-D", "feature/x"]);
    git(&scene.source(), &["branch", "feature"]);
    assert!(converge(scene.job().version("feature")).outcome.is_converged());
    assert_eq!(scene.read("a"), "one\n");
}

#[test]
fn what_is_not_in_the_repository_is_told() {
    let scene = Scene::new();
    git(&scene.source(), &["tag", "both"]);
    git(&scene.source(), &["branch", "both"]);
    let said = |version: &str| scene.look(scene.job().version(version)).reason;
    assert_eq!(
        said("gone"),
        "could not find out what gone is in ROOT/source: there is no branch or tag `gone`; a commit needs all of its 40 digits"
    );
    assert_eq!(
        said("both"),
        "could not find out what both is in ROOT/source: `both` is both a branch and a tag; say `refs/heads/both` or `refs/tags/both`"
    );
    let nowhere = GitCheckout::new(scene.root.path().join("nowhere").to_str().unwrap(), scene.dest());
    let came = scene.look(nowhere.clone());
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(
        came.reason.starts_with("could not find out what HEAD is in ROOT/nowhere: git says: fatal:"),
        "{came:?}"
    );
    assert_eq!(scene.converge(nowhere).outcome, Outcome::Failed);
    assert!(!scene.dest().exists());
    let lost = scene.converge(scene.job().version("1".repeat(40)));
    assert_eq!(lost.outcome, Outcome::Failed);
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let scene = Scene::new();
    let blocked = |what: &str| {
        let said = format!("ROOT/dest is {what}; move it out of the way");
        for came in [scene.look(scene.job()), scene.converge(scene.job().force(true))] {
            assert_eq!(came.reason, said);
        }
    };
    fs::write(scene.dest(), "mine").unwrap();
    blocked("a file");
    fs::remove_file(scene.dest()).unwrap();
    symlink("nowhere", scene.dest()).unwrap();
    blocked("a link that leads nowhere");
    fs::remove_file(scene.dest()).unwrap();
    fs::create_dir(scene.dest()).unwrap();
    fs::write(scene.dest().join("mine"), "mine").unwrap();
    blocked("a directory with other things in it");
    fs::remove_file(scene.dest().join("mine")).unwrap();
    assert_eq!(scene.look(scene.job()).reason, "ROOT/dest is empty");
    scene.prove(scene.job());
}

#[test]
fn local_modifications_are_lost_by_force_alone() {
    let scene = Scene::new();
    scene.commit("b", "b\n");
    scene.prove(scene.job());
    fs::write(scene.dest().join("a"), "mine\n").unwrap();
    fs::remove_file(scene.dest().join("b")).unwrap();
    fs::write(scene.dest().join("unknown"), "mine\n").unwrap();
    assert_eq!(scene.look(scene.job()).reason, "there are local modifications (a, b)");
    scene.commit("a", "two\n");
    let (ears, seen) = lines();
    let report = engine(scene.job()).observe(ears).converge();
    assert!(report.failure());
    let seen = seen.lock().unwrap().join("\n");
    assert!(
        seen.contains("has local modifications (a, b); commit them or take them back, or say `force`"),
        "{seen}"
    );
    assert_eq!((scene.read("a"), scene.dest().join("b").exists()), ("mine\n".to_owned(), false));
    scene.prove(scene.job().force(true));
    assert_eq!(scene.read("a") + &scene.read("b") + &scene.read("unknown"), "two\nb\nmine\n");
}

#[test]
fn a_file_that_git_does_not_know_is_overwritten_by_force_alone() {
    let scene = Scene::new();
    scene.prove(scene.job());
    fs::write(scene.dest().join("new"), "mine\n").unwrap();
    scene.commit("new", "theirs\n");
    assert_eq!(scene.converge(scene.job()).outcome, Outcome::Failed);
    assert_eq!(scene.read("new"), "mine\n");
    scene.prove(scene.job().force(true));
    assert_eq!(scene.read("new"), "theirs\n");
}

#[test]
fn commits_that_are_nowhere_else_are_lost_by_force_alone() {
    let scene = Scene::new();
    scene.prove(scene.job());
    fs::write(scene.dest().join("a"), "mine\n").unwrap();
    git(&scene.dest(), &["commit", "--quiet", "--all", "--message", "mine"]);
    let (ears, seen) = lines();
    assert!(engine(scene.job()).observe(ears).converge().failure());
    let seen = seen.lock().unwrap().join("\n");
    assert!(seen.contains("has commits that are nowhere else, up to "), "{seen}");
    assert_eq!(scene.read("a"), "mine\n");
    // On a branch it is not lost.
    git(&scene.dest(), &["checkout", "--quiet", "-b", "mine"]);
    scene.prove(scene.job());
    assert_eq!(git(&scene.dest(), &["show", "mine:a"]), "mine");
    git(&scene.dest(), &["checkout", "--quiet", "--detach", "mine"]);
    git(&scene.dest(), &["branch", "-D", "mine"]);
    scene.prove(scene.job().force(true));
    assert_eq!(scene.read("a"), "one\n");
}

#[test]
fn a_part_of_the_commits_is_enough() {
    let scene = Scene::new();
    scene.commit("a", "two\n");
    let url = format!("file://{}", scene.source().display());
    let job = GitCheckout::new(url, scene.dest()).depth(1);
    for text in ["three\n", "four\n"] {
        scene.commit("a", text);
        scene.prove(job.clone());
        assert_eq!(scene.read("a"), text);
        assert_eq!(git(&scene.dest(), &["rev-list", "--count", "HEAD"]), "1");
    }
}

#[test]
fn another_origin_is_put_right() {
    let (scene, other) = (Scene::new(), Scene::new());
    other.commit("a", "other\n");
    scene.prove(scene.job());
    let job = GitCheckout::new(other.source().to_str().unwrap(), scene.dest());
    let said = scene.look(job.clone()).reason;
    let from = format!("origin is ROOT/source, not {}; ROOT/dest is at ", other.source().display());
    assert!(said.starts_with(&from), "{said}");
    scene.prove(job);
    assert_eq!(scene.read("a"), "other\n");
}

/// Serves files by HTTP to those who know the password.
fn serve(root: PathBuf) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            // rosa:hunter2
            let may = head.iter().any(|line| line == "Authorization: Basic cm9zYTpodW50ZXIy");
            let path = request.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/');
            let (status, body) = match fs::read(root.join(path)) {
                _ if !may => ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"", Vec::new()),
                Ok(body) => ("200 Yes", body),
                Err(_) => ("404 No", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

#[test]
fn submodules_and_passwords() {
    let (scene, inner) = (Scene::new(), Scene::new());
    let publish = |scene: &Scene, name: &str| {
        let bare = inner.root.path().join(name);
        if !bare.exists() {
            git(inner.root.path(), &["clone", "--quiet", "--bare", scene.source().to_str().unwrap(), name]);
        }
        git(&scene.source(), &["push", "--quiet", bare.to_str().unwrap(), "main"]);
        git(&bare, &["update-server-info"]);
    };
    publish(&inner, "inner.git");
    let url = serve(inner.root.path().to_owned());
    fs::write(
        scene.source().join(".gitmodules"),
        format!("[submodule \"sub\"]\npath = sub dir\nurl = {url}/inner.git\n"),
    )
    .unwrap();
    let add = |commit: &str| {
        git(&scene.source(), &["add", ".gitmodules"]);
        git(&scene.source(), &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub dir")]);
        git(&scene.source(), &["commit", "--quiet", "--message", "sub"]);
        publish(&scene, "outer.git");
    };
    add(&git(&inner.source(), &["rev-parse", "HEAD"]));

    let job = GitCheckout::new(format!("{url}/outer.git"), scene.dest());
    let came = scene.look(job.clone());
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.contains("could not read Username"), "{came:?}");
    let wrong = scene.look(job.clone().login("rosa", "wrong".to_owned()));
    assert!(wrong.reason.contains("Authentication failed"), "{wrong:?}");

    let job = job.login("rosa", "hunter2".to_owned());
    let (ears, seen) = lines();
    assert!(engine(job.clone()).observe(ears).converge().success());
    assert!(!seen.lock().unwrap().join("\n").contains("hunter2"));
    assert!(!fs::read_to_string(scene.dest().join(".git/config")).unwrap().contains("hunter2"));
    assert_eq!(scene.look(job.clone()).outcome, Outcome::InPlace);

    let job = job.submodules(true);
    assert_eq!(scene.look(job.clone()).reason, "submodule sub dir is not checked out");
    scene.prove(job.clone());
    assert_eq!(scene.read("sub dir/a"), "one\n");
    let next = inner.commit("a", "two\n");
    publish(&inner, "inner.git");
    add(&next);
    scene.prove(job.clone());
    assert_eq!(scene.read("sub dir/a"), "two\n");
    git(&scene.dest().join("sub dir"), &["checkout", "--quiet", "HEAD~1"]);
    assert_eq!(scene.look(job.clone()).reason, "submodule sub dir is at another commit");
    scene.prove(job);
}

/// Lets the next checkout in `dest` kill its Git in the middle, with SIGKILL.
fn deadly(scene: &Scene) {
    fs::write(scene.root.path().join("deadly"), "").unwrap();
    let marker = scene.root.path().join("deadly").display().to_string();
    let smudge = format!("test -e {marker} && rm {marker} && kill -9 $PPID; cat");
    git(&scene.dest(), &["config", "filter.deadly.smudge", &smudge]);
}

#[test]
fn a_git_that_was_killed_leaves_nothing_behind() {
    let scene = Scene::new();
    scene.commit(".gitattributes", "m filter=deadly\n");
    scene.commit("m", "m\n");
    scene.commit("z", "z\n");

    // In the first checkout of all.
    fs::create_dir(scene.dest()).unwrap();
    git(&scene.dest(), &["init", "--quiet"]);
    deadly(&scene);
    let killed = scene.converge(scene.job());
    assert_eq!(killed.outcome, Outcome::Failed, "{killed:?}");
    assert!(!scene.dest().join(".git/index.lock").exists());
    assert!(scene.converge(scene.job()).outcome.is_converged());
    assert_eq!(scene.look(scene.job()).outcome, Outcome::InPlace);
    assert_eq!(scene.read("a") + &scene.read("m") + &scene.read("z"), "one\nm\nz\n");

    // In a later one.
    for file in ["a", "m", "z"] {
        scene.commit(file, "later\n");
    }
    deadly(&scene);
    assert_eq!(scene.converge(scene.job()).outcome, Outcome::Failed);
    assert!(!scene.dest().join(".git/index.lock").exists());
    assert_eq!(git(&scene.dest(), &["status", "--porcelain"]), "");
    scene.prove(scene.job());
    assert_eq!(scene.read("a") + &scene.read("m") + &scene.read("z"), "later\nlater\nlater\n");
}

#[test]
fn half_a_repository_is_made_whole() {
    let scene = Scene::new();
    fs::create_dir_all(scene.dest().join(".git/refs")).unwrap();
    assert_eq!(scene.look(scene.job()).reason, "ROOT/dest has half a repository");
    scene.prove(scene.job());
}

#[test]
fn it_works_as_somebody_else() {
    if !is_root("becoming somebody else") {
        return;
    }
    let scene = Scene::new();
    fs::set_permissions(scene.root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir(scene.dest()).unwrap();
    chown(scene.dest(), Some(65534), Some(65534)).unwrap();
    // Git lets nobody read the repository of somebody else by its path.
    chown(scene.source(), Some(65534), Some(65534)).unwrap();
    chown(scene.source().join(".git"), Some(65534), Some(65534)).unwrap();
    scene.prove(scene.job().as_user(Become::new("nobody")));
    let owner = fs::metadata(scene.dest().join("a")).unwrap().uid();
    assert_eq!(owner, 65534);
    let came = scene.look(scene.job());
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(
        came.reason.ends_with("ROOT/dest belongs to another user; set `become` to its owner"),
        "{came:?}"
    );
}

/// Git runs what a repository's configuration and hooks say, also when it only looks.
#[test]
fn what_others_may_write_is_not_run_as_root() {
    if !is_root("writing as root where others may write, too") {
        return;
    }
    let (group, everybody) = (0o020, 0o002);
    let cases: [(&str, u32, Option<u32>, &str); 6] = [
        (".git", group, None, "the group 12345 may write to ROOT/dest/.git"),
        (".git/config", everybody, None, "anybody may write to ROOT/dest/.git/config"),
        (".git/hooks", group, None, "the group 12345 may write to ROOT/dest/.git/hooks"),
        (".git/hooks/post-checkout", group, None, "may write to ROOT/dest/.git/hooks/post-checkout"),
        (".git/config", 0, Some(12345), "ROOT/dest/.git/config belongs to another user"),
        (".git/modules/a/b/config", everybody, None, "may write to ROOT/dest/.git/modules/a/b/config"),
    ];
    for (path, more, owner, said) in cases {
        let scene = Scene::new();
        scene.prove(scene.job());
        let run = scene.root.path().join("run");
        let path = scene.dest().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            fs::write(path.parent().unwrap().join("HEAD"), "ref: refs/heads/main\n").unwrap();
            fs::write(&path, "").unwrap();
        }
        git(&scene.dest(), &["config", "core.fsmonitor", &format!("touch {}; false", run.display())]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        chown(&path, owner, Some(12345)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode | more)).unwrap();
        let came = scene.look(scene.job());
        assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{said}: {came:?}");
        assert!(came.reason.contains(said), "{came:?}");
        assert!(!scene.converge(scene.job()).reason.is_empty() && !run.exists(), "{said}: it was run");
    }
}

#[test]
fn a_repository_of_another_user_is_not_used_through_a_link() {
    if !is_root("a repository of another user") {
        return;
    }
    let scene = Scene::new();
    scene.prove(scene.job());
    let elsewhere = scene.root.path().join("elsewhere");
    fs::rename(scene.dest().join(".git"), &elsewhere).unwrap();
    chown(&elsewhere, Some(12345), Some(12345)).unwrap();
    chown(elsewhere.join("config"), Some(12345), Some(12345)).unwrap();
    symlink(&elsewhere, scene.dest().join(".git")).unwrap();
    assert!(scene.look(scene.job()).reason.contains("belongs to another user"));
    fs::remove_file(scene.dest().join(".git")).unwrap();
    fs::write(scene.dest().join(".git"), format!("gitdir: {}\n", elsewhere.display())).unwrap();
    assert!(scene.look(scene.job()).reason.contains("belongs to another user"));
}

#[test]
fn a_missing_git_is_told() {
    if is_root("being somebody else") {
        as_nobody("git_checkout::inner_missing", "/nowhere".as_ref(), &[]);
    }
}

#[test]
#[ignore = "called by `a_missing_git_is_told` as nobody"]
fn inner_missing() {
    let came = look(GitCheckout::new("/a", "/nowhere/b"));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.ends_with("there is no program `git`; install it or set PATH"), "{came:?}");
}

#[test]
fn fields_are_read_and_bad_ones_refused() {
    let whole = json!({"repo": "https://a/b.git", "dest": "/srv/b", "version": "v1", "depth": 1, "submodules": true,
        "force": true, "update": false, "username": "rosa", "password": "pw", "become": "rosa"});
    let job: GitCheckout = serde_json::from_value(whole).unwrap();
    let wanted =
        GitCheckout::new("https://a/b.git", "/srv/b").version("v1").depth(1).submodules(true).force(true);
    assert_eq!(job, wanted.update(false).login("rosa", "pw".to_owned()).as_user("rosa"));
    let cases = [
        ("repo", json!("b"), "`b` is no repository: a URL is, `host:path`, or an absolute path"),
        ("repo", json!("https://a:b@c/d"), "a `repo` with a password would be shown; give it as `password`"),
        ("repo", json!(1), "invalid type: integer `1`, expected a string"),
        ("dest", json!(""), "a path must not be empty"),
        ("dest", json!("/a/.."), "a path of a file must end with its name, not with `/`, `.` or `..`"),
        ("version", json!("HEAD~1"), "`HEAD~1` is no version: a branch, a tag or a whole commit is"),
        ("depth", json!(0), "`depth` must be 1 or more"),
        ("username", json!("rosa"), "`username` needs a `password`; for SSH, put the user into `repo`"),
        (
            "password",
            json!("a\nb"),
            "`username` and `password` must not be empty, nor contain line breaks or NUL bytes",
        ),
        ("become", json!(""), "`` is no name of a user to become: a name such as `postgres` is wanted"),
        ("force", json!("yes"), "invalid type: string \"yes\", expected a boolean"),
    ];
    for (field, value, said) in cases {
        let mut job = json!({"repo": "/a", "dest": "/b"});
        job[field] = value;
        assert_eq!(serde_json::from_value::<GitCheckout>(job).unwrap_err().to_string(), said, "{field}");
    }
    for repo in ["/a", "file:///a", "git@a:b", "a:b", "ssh://git@a/b", "git://a/b", "git+ssh://a/b"] {
        let job = json!({"repo": repo, "dest": "/b", "password": "pw"});
        assert_eq!(
            serde_json::from_value::<GitCheckout>(job).unwrap_err().to_string(),
            "`password` is only for a `repo` that begins with `https://` or `http://`; SSH logs in with a key",
            "{repo}"
        );
    }
    assert_eq!(
        look(GitCheckout::new("b", "/c")).reason,
        "`b` is no repository: a URL is, `host:path`, or an absolute path"
    );
}
