//! What a checkout must not lose, leave out or give away: in submodules, of the history, and of passwords.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use dojob::Outcome;
use dojob_jobs::GitCheckout;

use super::git_checkout::{Scene, git};
use crate::support::{engine, lines};

/// A repository with the submodule `sub`, which has the submodule `inner`; all of them are served over HTTP.
struct Nested {
    outer: Scene,
    sub: Scene,
    inner: Scene,
    url: String,
}

impl Nested {
    fn new() -> Self {
        let [outer, sub, inner] = [Scene::new(), Scene::new(), Scene::new()];
        let url = serve(outer.root.path().to_owned(), Answer::Files).url;
        let nested = Nested { outer, sub, inner, url };
        nested.publish(&nested.inner, "inner.git");
        nested.add(&nested.sub, "inner", &nested.inner);
        nested.publish(&nested.sub, "sub.git");
        nested.add(&nested.outer, "sub", &nested.sub);
        nested.publish(&nested.outer, "outer.git");
        nested
    }

    /// Has a bare copy follow a repository.
    fn publish(&self, scene: &Scene, name: &str) {
        let bare = self.outer.root.path().join(name);
        let source = scene.source();
        if !bare.exists() {
            let bare = bare.to_str().unwrap();
            git(&source, &["clone", "--quiet", "--bare", source.to_str().unwrap(), bare]);
        }
        git(&source, &["push", "--quiet", "--force", bare.to_str().unwrap(), "HEAD:main"]);
        git(&bare, &["repack", "-a", "-d", "--quiet"]);
        git(&bare, &["update-server-info"]);
    }

    /// Records where a submodule is now.
    fn add(&self, scene: &Scene, name: &str, of: &Scene) {
        let (source, commit) = (scene.source(), git(&of.source(), &["rev-parse", "HEAD"]));
        let text = format!("[submodule \"{name}\"]\npath = {name}\nurl = {}/{name}.git\n", self.url);
        fs::write(source.join(".gitmodules"), text).unwrap();
        git(&source, &["add", ".gitmodules"]);
        git(&source, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{name}")]);
        git(&source, &["commit", "--quiet", "--message", name]);
    }

    /// A new commit of the inner one, up to the outer one.
    fn move_on(&self, file: &str, text: &str) {
        self.inner.commit(file, text);
        self.publish(&self.inner, "inner.git");
        self.add(&self.sub, "inner", &self.inner);
        self.publish(&self.sub, "sub.git");
        self.add(&self.outer, "sub", &self.sub);
        self.publish(&self.outer, "outer.git");
    }

    fn job(&self) -> GitCheckout {
        GitCheckout::new(format!("{}/outer.git", self.url), self.outer.dest()).submodules(true)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.outer.dest().join(path)
    }
}

/// All that was said while a job failed.
fn told(job: GitCheckout) -> String {
    let (ears, seen) = lines();
    assert!(engine(job).observe(ears).converge().failure());
    let seen = seen.lock().unwrap();
    seen.join("\n")
}

#[test]
fn commits_in_a_submodule_are_lost_by_force_alone() {
    let nested = Nested::new();
    nested.outer.prove(nested.job());
    for place in ["sub", "sub/inner"] {
        let at = nested.at(place);
        fs::write(at.join("mine"), "mine\n").unwrap();
        git(&at, &["add", "mine"]);
        git(&at, &["commit", "--quiet", "--message", "mine"]);
        let mine = git(&at, &["rev-parse", "HEAD"]);
        let said = told(nested.job());
        assert!(
            said.contains(&format!("submodule {place} has commits that are nowhere else, up to ")),
            "{said}"
        );
        assert_eq!(git(&at, &["rev-parse", "HEAD"]), mine);
        // On a branch it is not lost.
        git(&at, &["branch", "mine"]);
        nested.outer.prove(nested.job());
        assert_eq!(git(&at, &["rev-parse", "mine"]), mine);
        git(&at, &["checkout", "--quiet", "--detach", "mine"]);
        git(&at, &["branch", "--quiet", "-D", "mine"]);
        nested.outer.prove(nested.job().force(true));
        assert!(!at.join("mine").exists());
    }
}

#[test]
fn modifications_in_a_submodule_are_lost_by_force_alone() {
    let nested = Nested::new();
    nested.outer.prove(nested.job());
    for place in ["sub", "sub/inner"] {
        let at = nested.at(place);
        fs::write(at.join("a"), "mine\n").unwrap();
        let seen = nested.outer.look(nested.job());
        assert_eq!(seen.reason, format!("there are local modifications in submodule {place} (a)"));
        let said = told(nested.job());
        assert!(said.contains(&format!("submodule {place} has local modifications (a)")), "{said}");
        assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "mine\n");
        nested.outer.prove(nested.job().force(true));
        assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "one\n");
    }
    // What somebody is about to commit is a change of the outer one.
    let other = git(&nested.at("sub"), &["rev-parse", "HEAD~1"]);
    git(&nested.outer.dest(), &["update-index", "--cacheinfo", &format!("160000,{other},sub")]);
    assert!(nested.outer.look(nested.job()).reason.contains("there are local modifications (sub)"));
    assert!(told(nested.job()).contains("has local modifications (sub)"));
    nested.outer.prove(nested.job().force(true));
}

#[test]
fn files_that_git_does_not_know_or_ignores_are_left_alone() {
    let nested = Nested::new();
    nested.outer.prove(nested.job());
    for place in ["", "sub/inner"] {
        let at = nested.at(place);
        let exclude = git(&at, &["rev-parse", "--path-format=absolute", "--git-path", "info/exclude"]);
        fs::write(exclude, "ignored\n").unwrap();
        fs::write(at.join("ignored"), "mine\n").unwrap();
        fs::write(at.join("unknown"), "mine\n").unwrap();
    }
    nested.move_on("a", "two\n");
    nested.outer.prove(nested.job());
    assert_eq!(fs::read_to_string(nested.at("sub/inner/a")).unwrap(), "two\n");
    let inner = |file: &str| fs::read_to_string(nested.at("sub/inner").join(file)).unwrap();
    for file in ["ignored", "unknown"] {
        nested.move_on(file, "theirs\n");
        told(nested.job());
        assert_eq!(inner(file), "mine\n");
        nested.outer.prove(nested.job().force(true));
        assert_eq!(inner(file), "theirs\n");
        // And of the outermost one.
        nested.outer.commit(file, "theirs\n");
        nested.publish(&nested.outer, "outer.git");
        told(nested.job());
        assert_eq!(nested.outer.read(file), "mine\n");
        nested.outer.prove(nested.job().force(true));
        assert_eq!(nested.outer.read(file), "theirs\n");
    }
}

#[test]
fn a_submodule_that_files_take_the_place_of_is_lost_by_force_alone() {
    for submodules in [true, false] {
        let nested = Nested::new();
        nested.outer.prove(nested.job());
        let job = || nested.job().submodules(submodules);
        let source = nested.outer.source();
        git(&source, &["rm", "--quiet", "--cached", "sub"]);
        let _ = fs::remove_dir_all(source.join("sub"));
        nested.outer.commit("sub", "a file\n");
        nested.publish(&nested.outer, "outer.git");
        fs::write(nested.at("sub/mine"), "mine\n").unwrap();
        let said = told(job());
        assert!(said.contains("submodule sub would be replaced by files, and has files that"), "{said}");
        assert_eq!(fs::read_to_string(nested.at("sub/mine")).unwrap(), "mine\n");
        // One in which nothing is to be lost is in nobody's way.
        fs::remove_file(nested.at("sub/mine")).unwrap();
        fs::remove_dir_all(nested.at("sub/inner")).unwrap();
        fs::create_dir(nested.at("sub/inner")).unwrap();
        nested.outer.prove(job());
        assert_eq!(nested.outer.read("sub"), "a file\n");
    }
}

/// A repository with five commits and a submodule with three, from which parts can be fetched.
fn deep() -> (Scene, Scene, GitCheckout) {
    let (scene, sub) = (Scene::new(), Scene::new());
    sub.commit("a", "two\n");
    let commit = sub.commit("a", "three\n");
    for text in ["two\n", "three\n", "four\n"] {
        scene.commit("a", text);
    }
    let url = format!("file://{}", sub.source().display());
    let text = format!("[submodule \"sub\"]\npath = sub\nurl = {url}\nshallow = true\n");
    fs::write(scene.source().join(".gitmodules"), text).unwrap();
    git(&scene.source(), &["add", ".gitmodules"]);
    git(&scene.source(), &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    git(&scene.source(), &["commit", "--quiet", "--message", "sub"]);
    let job = GitCheckout::new(format!("file://{}", scene.source().display()), scene.dest());
    (scene, sub, job)
}

fn count(directory: &Path) -> String {
    git(directory, &["rev-list", "--count", "HEAD"])
}

#[test]
fn a_depth_that_is_taken_away_is_undone() {
    let (scene, _sub, job) = deep();
    scene.prove(job.clone().depth(1));
    assert_eq!(count(&scene.dest()), "1");
    assert_eq!(scene.look(job.clone()).reason, "the history is cut off, and no `depth` is asked for");
    scene.prove(job.clone());
    assert_eq!(count(&scene.dest()), "5");
    // Also where a commit is asked for, which is there.
    let (scene, _sub, job) = deep();
    let commit = git(&scene.source(), &["rev-parse", "HEAD"]);
    scene.prove(job.clone().depth(2).version(&commit));
    assert_eq!(count(&scene.dest()), "2");
    assert_eq!(scene.look(job.clone().version(&commit).update(false)).outcome, Outcome::InPlace);
    scene.prove(job.version(&commit));
    assert_eq!(count(&scene.dest()), "5");
}

#[test]
fn another_depth_fetches_more_and_takes_nothing_away() {
    let (scene, _sub, job) = deep();
    scene.prove(job.clone().depth(2));
    assert_eq!(scene.look(job.clone().depth(1)).outcome, Outcome::InPlace);
    let seen = scene.look(job.clone().depth(4));
    assert_eq!(seen.reason, "the history has less than 4 commits, and is cut off");
    scene.prove(job.clone().depth(4));
    assert_eq!(count(&scene.dest()), "4");
    scene.prove(job.clone().depth(99));
    assert_eq!(count(&scene.dest()), "5");
    // One that has all keeps them.
    scene.commit("a", "new\n");
    scene.prove(job.depth(1));
    assert_eq!(count(&scene.dest()), "6");
}

#[test]
fn a_history_that_nobody_has_is_asked_for_once() {
    let (scene, _sub, job) = deep();
    let cut = scene.root.path().join("cut");
    let from = format!("file://{}", scene.source().display());
    git(scene.root.path(), &["clone", "--quiet", "--depth=2", &from, cut.to_str().unwrap()]);
    scene.prove(job.depth(1));
    let job = GitCheckout::new(format!("file://{}", cut.display()), scene.dest());
    let report = engine(job).converge();
    assert!(report.failure());
    assert_eq!(report.jobs().last().unwrap().tries(), 1);
}

/// How a server answers.
#[derive(Clone)]
enum Answer {
    /// With files, to everybody.
    Files,
    /// With files, to who has the password of `rosa`, `hunter2`.
    FilesForRosa,
    /// With nothing, to nobody: it asks for a password.
    Ask,
    /// With a redirect to somewhere else, to who has the password.
    Redirect(String),
}

struct Server {
    url: String,
    /// The `Authorization` of each request that had one.
    seen: Arc<Mutex<Vec<String>>>,
}

/// Serves files by HTTP.
fn serve(root: PathBuf, answer: Answer) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let given = head.iter().filter_map(|line| line.strip_prefix("Authorization: "));
            let given: Vec<_> = given.map(str::to_owned).collect();
            let is_rosa = given.iter().any(|given| given == "Basic cm9zYTpodW50ZXIy");
            noted.lock().unwrap().extend(given);
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let path = target.split('?').next().unwrap_or_default().trim_start_matches('/');
            let (status, body) = match &answer {
                Answer::Ask => ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned(), Vec::new()),
                Answer::FilesForRosa | Answer::Redirect(_) if !is_rosa => {
                    ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned(), Vec::new())
                }
                Answer::Redirect(to) => (format!("302 There\r\nLocation: {to}{target}"), Vec::new()),
                Answer::Files | Answer::FilesForRosa => match fs::read(root.join(path)) {
                    Ok(body) => ("200 Yes".to_owned(), body),
                    Err(_) => ("404 No".to_owned(), Vec::new()),
                },
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    Server { url, seen }
}

#[test]
fn a_password_is_for_one_server_alone() {
    let scene = Scene::new();
    let root = || scene.root.path().to_owned();
    let own = serve(root(), Answer::FilesForRosa);
    let other = serve(root(), Answer::Ask);
    let publish = || {
        let bare = scene.root.path().join("a.git");
        if !bare.exists() {
            let bare = bare.to_str().unwrap();
            git(&scene.source(), &["clone", "--quiet", "--bare", ".", bare]);
        }
        git(&scene.source(), &["push", "--quiet", bare.to_str().unwrap(), "main"]);
        git(&bare, &["update-server-info"]);
    };
    publish();
    let job =
        || GitCheckout::new(format!("{}/a.git", own.url), scene.dest()).login("rosa", "hunter2".to_owned());
    scene.prove(job());
    assert!(!own.seen.lock().unwrap().is_empty());

    // A submodule of another server, which asks for one: another port is another server.
    let commit = git(&scene.source(), &["rev-parse", "HEAD"]);
    let text = format!("[submodule \"sub\"]\npath = sub\nurl = {}/a.git\n", other.url);
    fs::write(scene.source().join(".gitmodules"), text).unwrap();
    git(&scene.source(), &["add", ".gitmodules"]);
    git(&scene.source(), &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    git(&scene.source(), &["commit", "--quiet", "--message", "sub"]);
    publish();
    told(job().submodules(true));
    assert_eq!(*other.seen.lock().unwrap(), Vec::<String>::new());

    // A redirect to one that asks.
    let redirect = serve(root(), Answer::Redirect(other.url.clone()));
    let there = GitCheckout::new(format!("{}/a.git", redirect.url), scene.root.path().join("there"));
    told(there.login("rosa", "hunter2".to_owned()));
    assert!(!redirect.seen.lock().unwrap().is_empty());
    assert_eq!(*other.seen.lock().unwrap(), Vec::<String>::new());
}
