//! `Download`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use dojob::{Engine, IntoJob, Outcome, StopHandle};
use dojob_jobs::{Download, Size, Span};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::server::{Reply, Seen, Server};
use super::small_disk::needs_room;
use super::support::{as_nobody, converge, dry, failures, handed, outcome, prove, tree};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Some bytes that are not all the same.
fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Answers for a file as it should, with ranges.
fn with_ranges(seen: &Seen, file: &[u8]) -> Reply {
    let range =
        seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match range {
        None => Reply::ok(file),
        Some(from) if from < file.len() => Reply::status(206)
            .header("content-range", format!("bytes {from}-{}/{}", file.len() - 1, file.len()))
            .body(&file[from..]),
        Some(_) => Reply::status(416).header("content-range", format!("bytes */{}", file.len())),
    }
}

/// Sends so many bytes of a file, and breaks off.
fn broken_off(file: &[u8], after: usize) -> Reply {
    Reply::ok(&file[..after]).header("content-length", file.len().to_string())
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn the_part(root: &Path) -> PathBuf {
    let parts: Vec<_> = names(root).into_iter().filter(|name| name.ends_with(".part")).collect();
    let [part] = &parts[..] else { panic!("{parts:?}") };
    root.join(part)
}

/// A greeting, and where it is to be had.
fn greeting() -> (Server, String) {
    let server = Server::start(|_| Reply::ok("Hello\n"));
    let url = server.url("/hello");
    (server, url)
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let (_server, url) = greeting();
    let download = |root: &Path| Download::new(&url, root.join("hello")).sha256(sha256(b"Hello\n"));
    needs_room(&[("hello", "Good bye\n")], "/hello: ", |root| download(root).into_job());
    needs_room(&[], "/hello: ", |root| download(root).into_job());
}

#[test]
fn a_download_with_a_hash_is_proved() {
    let (_server, url) = greeting();
    prove(
        |_| {},
        move |root| Download::new(&url, root.join("hello")).sha256(sha256(b"Hello\n")).mode(0o600).into_job(),
    );
}

#[test]
fn a_download_without_a_hash_is_proved() {
    let (_server, url) = greeting();
    prove(|_| {}, move |root| Download::new(&url, root.join("hello")).into_job());
}

#[test]
fn a_download_in_place_of_another_file_is_proved() {
    let (_server, url) = greeting();
    let prepare = |root: &Path| fs::write(root.join("hello"), "something else").unwrap();
    prove(prepare, move |root| Download::new(&url, root.join("hello")).sha256(sha256(b"Hello\n")).into_job());
}

#[test]
fn a_copy_is_proved() {
    let prepare = |root: &Path| fs::write(root.join("source"), content()).unwrap();
    prove(prepare, |root| {
        Download::new(format!("file://{}/source", root.display()), root.join("hello")).into_job()
    });
}

#[test]
fn a_check_with_a_hash_needs_no_net() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("hello");
    let shown = path.display();
    let server = Server::start(|_| Reply::ok("Hello\n"));
    let job = Download::new(server.url("/hello"), &path).sha256(sha256(b"Hello\n"));
    let told = dry(job.clone());
    assert_eq!(told.reason, format!("{shown} does not exist"));
    assert_eq!(told.diff, format!("nothing -> sha256 {}", sha256(b"Hello\n")));
    fs::write(&path, "Hi\n").unwrap();
    let told = dry(job.clone().mode(0o600));
    assert_eq!(told.reason, format!("{shown} has another content; mode is 0644, not 0600"));
    assert_eq!(told.diff, format!("3 bytes, sha256 {} -> sha256 {}", sha256(b"Hi\n"), sha256(b"Hello\n")));
    fs::write(&path, "Hello\n").unwrap();
    assert_eq!(dry(job.clone()).outcome, Outcome::InPlace);
    // Only the mode is to be mended: neither is it fetched again.
    assert_eq!(outcome(job.mode(0o600)), Outcome::Changed);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(server.seen(), []);

    // Without one any file will do, and the net is asked only where there is none.
    let any = Download::new(server.url("/hello?token=hunter2"), root.path().join("any"));
    let told = dry(any.clone());
    assert_eq!(told.diff, format!("nothing -> {}", server.url("/hello")), "without the query");
    assert_eq!(outcome(any.clone()), Outcome::Changed);
    fs::write(root.path().join("any"), "whatever").unwrap();
    assert_eq!(outcome(any), Outcome::InPlace);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn where_it_is_and_what_it_is_are_handed_on() {
    let root = tempfile::tempdir().unwrap();
    let (_server, url) = greeting();
    let path = root.path().join("hello");
    let plain = json!({ "path": path, "size": 6 });
    let with_hash = json!({ "path": path, "size": 6, "sha256": sha256(b"Hello\n") });
    let job = Download::new(&url, root.path().join(".").join("hello"));
    for _ in 0..2 {
        assert_eq!(handed(job.clone()), plain);
    }
    assert_eq!(handed(job.sha256(sha256(b"Hello\n").to_uppercase())), with_hash);
    let copy = root.path().join("copy");
    let job = Download::new(format!("file://{}", path.display()), &copy);
    assert_eq!(handed(job), json!({ "path": copy, "size": 6, "sha256": sha256(b"Hello\n") }));
}

#[test]
fn the_old_file_keeps_its_mode_and_a_link_its_place() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::ok("new"));
    let real = root.path().join("real");
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o4750)).unwrap();
    symlink("real", root.path().join("link")).unwrap();
    let job = Download::new(server.url("/"), root.path().join("link")).sha256(sha256(b"new"));
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o4750);
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert_eq!(names(root.path()), ["link", "real"]);
    assert_eq!(outcome(job), Outcome::InPlace);
}

#[test]
fn what_breaks_off_is_taken_up() {
    let file = content();
    let served = file.clone();
    let first = Mutex::new(true);
    let server = Server::start(move |seen| {
        if std::mem::take(&mut *first.lock().unwrap()) {
            return broken_off(&served, 300_000);
        }
        with_ranges(seen, &served)
    });
    let root = tempfile::tempdir().unwrap();
    let job = Download::new(server.url("/large"), root.path().join("large")).sha256(sha256(&file));
    let failed = failures(job.clone());
    assert!(
        failed[1].starts_with(&format!("run: failed to download {0}: {0} broke off", server.url("/large"))),
        "{failed:?}"
    );
    let part = the_part(root.path());
    assert_eq!(names(root.path()).len(), 1, "not at its place");
    assert_eq!(fs::metadata(&part).unwrap().mode() & 0o7777, 0o600);
    assert!(fs::read(&part).unwrap() == file[..300_000]);

    // The next start.
    assert_eq!(outcome(job), Outcome::Changed);
    assert!(fs::read(root.path().join("large")).unwrap() == file);
    assert_eq!(names(root.path()), ["large"]);
    let seen = server.seen();
    assert_eq!(seen[0].header("range"), None);
    assert_eq!(seen[1].header("range"), Some("bytes=300000-"));
}

#[test]
fn a_part_is_only_trusted_as_far_as_its_hash() {
    let file = content();
    // What there is already; how the server goes about ranges; how often it is asked.
    type Answers = fn(&Seen, &[u8]) -> Reply;
    let no_ranges: Answers = |_, file| Reply::ok(file);
    let wrong_range: Answers = |seen, file| {
        if seen.header("range").is_some() {
            Reply::status(206).header("content-range", "bytes 0-9/10").body("0123456789")
        } else {
            Reply::ok(file)
        }
    };
    let cases: [(&str, Vec<u8>, Answers, usize, bool); 6] = [
        ("no ranges", file[..100].to_vec(), no_ranges, 1, true),
        ("of another file", vec![b'x'; 100], with_ranges, 2, true),
        ("of another file, no ranges", vec![b'x'; 100], no_ranges, 1, true),
        ("longer than the file", vec![b'x'; 1_000_000], with_ranges, 2, true),
        ("complete already", file.clone(), with_ranges, 0, true),
        ("another range than asked for", file[..100].to_vec(), wrong_range, 1, false),
    ];
    for (case, there, answers, times, works) in cases {
        let served = file.clone();
        let first = Arc::new(Mutex::new(true));
        let server = Server::start(move |seen| {
            if std::mem::take(&mut *first.lock().unwrap()) {
                broken_off(&served, 10)
            } else {
                answers(seen, &served)
            }
        });
        let root = tempfile::tempdir().unwrap();
        let job = Download::new(server.url("/large"), root.path().join("large")).sha256(sha256(&file));
        failures(job.clone());
        fs::write(the_part(root.path()), &there).unwrap();
        server.seen();
        let report = converge(job.clone());
        assert_eq!(server.seen().len(), times, "{case}");
        assert_eq!(report.success(), works, "{case} {:?}", report.job(&dojob::Job::name(&job)).failures());
        if works {
            assert!(fs::read(root.path().join("large")).unwrap() == file, "{case}");
            assert_eq!(names(root.path()), ["large"], "{case}");
        } else {
            assert_eq!(outcome(job), Outcome::Changed, "{case}: the next start begins anew");
        }
    }
}

#[test]
fn a_part_of_somebody_else_is_thrown_away() {
    let file = content();
    let served = file.clone();
    let first = Mutex::new(true);
    let server = Server::start(move |seen| {
        if std::mem::take(&mut *first.lock().unwrap()) {
            broken_off(&served, 10)
        } else {
            with_ranges(seen, &served)
        }
    });
    let root = tempfile::tempdir().unwrap();
    let job = Download::new(server.url("/large"), root.path().join("large")).sha256(sha256(&file));
    failures(job.clone());
    let part = the_part(root.path());
    server.seen();
    let target = root.path().join("target");
    let make: [&dyn Fn(); 4] = [
        &|| {
            fs::write(&part, &file[..50]).unwrap();
            fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
        },
        &|| {
            fs::write(&target, "mine").unwrap();
            symlink("target", &part).unwrap();
        },
        &|| {
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
            fs::hard_link(&target, &part).unwrap();
        },
        &|| fs::create_dir(&part).unwrap(),
    ];
    for (case, make) in make.iter().enumerate() {
        let _ = fs::remove_file(&part);
        make();
        let report = converge(job.clone());
        if case == 3 {
            assert!(report.failure(), "a directory is nobody's part");
            continue;
        }
        assert!(report.success(), "{case}");
        assert_eq!(server.seen()[0].header("range"), None, "{case}");
        fs::remove_file(root.path().join("large")).unwrap();
    }
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn another_hash_never_gets_to_its_place() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::ok("evil"));
    let path = root.path().join("file");
    fs::write(&path, "old").unwrap();
    let job = Download::new(server.url("/"), &path).sha256(sha256(b"good"));
    let failed = failures(job);
    let url = server.url("/");
    assert_eq!(
        failed[1],
        format!(
            "run: failed to download {url}: what came has 4 bytes, sha256 {}, and not sha256 {}; is the URL or the hash out of date?",
            sha256(b"evil"),
            sha256(b"good")
        )
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(root.path()), ["file"]);
    // Also from this machine.
    fs::write(root.path().join("source"), "evil").unwrap();
    let source = format!("file://{}/source", root.path().display());
    assert!(
        failures(Download::new(source, &path).sha256(sha256(b"good")))[1].contains("what came has 4 bytes")
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

/// What a run says of a server that answers so; nothing may be left of it.
fn told(
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    with: impl Fn(Download) -> Download,
) -> String {
    let server = Server::start(reply);
    let root = tempfile::tempdir().unwrap();
    let job = with(Download::new(server.url("/file?token=hunter2"), root.path().join("file")));
    let failed = failures(job);
    assert_eq!(names(root.path()), [""; 0]);
    assert!(!failed[1].contains("hunter2"), "{failed:?}");
    failed[1].replace(&server.url(""), "SERVER").replace(&format!("127.0.0.1:{}", server.port()), "ADDRESS")
}

#[test]
fn what_servers_do_wrong_is_told() {
    let plain = |job: Download| job;
    let status = |status| told(move |_| Reply::status(status).body("no"), plain);
    let start = "run: failed to download SERVER/file: ";
    assert_eq!(
        status(404),
        format!(
            "{start}SERVER/file answers with status 404 (there is nothing of that name; is the URL right?)"
        )
    );
    assert_eq!(
        status(500),
        format!("{start}SERVER/file answers with status 500 (trouble of the server; later it may work)")
    );
    assert_eq!(
        status(403),
        format!(
            "{start}SERVER/file answers with status 403 (does it need a header such as `Authorization`?)"
        )
    );
    assert_eq!(status(302), format!("{start}SERVER/file answers with status 302 (a redirect to nowhere)"));
    assert_eq!(status(204), format!("{start}SERVER/file answers with status 204"));
    assert_eq!(status(206), format!("{start}SERVER/file sends another part than the one that was asked for"));

    let truncated = told(|_| Reply::ok("half").header("content-length", "8"), plain);
    assert!(truncated.starts_with(&format!("{start}SERVER/file broke off")), "{truncated}");
    let chunked =
        told(|_| Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf"), plain);
    assert!(chunked.starts_with(&format!("{start}SERVER/file broke off")), "{chunked}");
    let garbage = told(|_| Reply::raw("220 mail.example ESMTP\r\n\r\n"), plain);
    assert!(
        garbage
            .contains("SERVER/file gave no answer that can be understood (is it a server for HTTP at all?)"),
        "{garbage}"
    );
    let nothing = told(|_| Reply::raw(""), plain);
    assert!(nothing.contains("SERVER/file"), "{nothing}");

    let slow = |job: Download| job.timeout(Span::from(Duration::from_millis(50)));
    for reply in
        [|_: &Seen| Reply::raw("").hang(), |_: &Seen| Reply::ok("half").header("content-length", "8").hang()]
    {
        let told = told(reply, slow);
        assert!(told.contains("SERVER/file was silent for 50ms (set a longer `timeout`)"), "{told}");
    }

    let large = |job: Download| job.max_size(Size::bytes(5));
    let limit = "it is larger than 5 B; raise `max_size` if that is meant";
    assert_eq!(told(|_| Reply::ok("123456"), large), format!("{start}{limit}"));
    let chunked = |_: &Seen| {
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n")
    };
    assert_eq!(told(chunked, large), format!("{start}{limit}"));
    let with_hash = |job: Download| large(job).sha256(sha256(b"123456"));
    assert_eq!(told(|_| Reply::ok("123456"), with_hash), format!("{start}{limit}"));

    let circle = told(|_| Reply::redirect(302, "/file"), plain);
    assert_eq!(circle, format!("{start}SERVER/file redirects more than 10 times (is it a circle?)"));
    let elsewhere = told(|_| Reply::redirect(301, "file:///etc/passwd"), plain);
    assert!(elsewhere.contains("`file:///etc/passwd` cannot be asked"), "{elsewhere}");
}

#[test]
fn nobody_there_is_told() {
    let root = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = failures(Download::new(format!("http://{free}/x"), root.path().join("x")));
    let wanted = format!(
        "run: failed to download http://{free}/x: nothing listens at {free} (does the server run, and is the port right?)"
    );
    assert!(failed[1].starts_with(&wanted), "{failed:?}");
    let failed = failures(Download::new("http://no-such-host.invalid/x", root.path().join("x")));
    assert!(failed[1].contains("there is no host no-such-host.invalid (is the name right"), "{failed:?}");
    assert_eq!(names(root.path()), [""; 0]);

    // Encryption where there is none.
    let server = Server::start(|_| Reply::ok("x"));
    let failed = failures(Download::new(server.url("/x").replace("http:", "https:"), root.path().join("x")));
    let wanted = format!(
        "127.0.0.1:{} does not encrypt as it should (is it a server for https at all?)",
        server.port()
    );
    assert!(failed[1].contains(&wanted), "{failed:?}");
}

#[test]
fn headers_are_for_the_server_that_was_named() {
    let other = Server::start(|_| Reply::ok("Hello\n"));
    let to = other.url("/there");
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/first" => Reply::redirect(307, "second"),
        _ => Reply::redirect(302, &to),
    });
    let root = tempfile::tempdir().unwrap();
    let job = Download::new(server.url("/first"), root.path().join("x"))
        .header("Authorization", "Bearer hunter2")
        .header("X-Key", "swordfish");
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    let seen = server.seen();
    assert_eq!(seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/first", "/second"]);
    for seen in seen {
        assert_eq!(
            (seen.header("authorization"), seen.header("x-key")),
            (Some("Bearer hunter2"), Some("swordfish"))
        );
    }
    let [seen] = &other.seen()[..] else { panic!("asked once") };
    assert_eq!((seen.header("authorization"), seen.header("x-key")), (None, None));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("dojob/")));
    assert!(!format!("{job:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&job).unwrap().contains("swordfish"));
}

#[test]
fn secrets_are_masked_where_a_server_repeats_them() {
    let server = Server::start(|seen| {
        Reply::redirect(302, format!("ftp://{}", seen.header("x-key").unwrap_or_default()))
    });
    let root = tempfile::tempdir().unwrap();
    let job = Download::new(server.url("/"), root.path().join("x")).header("X-Key", "swordfish");
    let failed = failures(job);
    assert!(failed[1].contains("ftp://***"), "{failed:?}");
}

#[test]
fn a_request_to_stop_ends_it() {
    for with_hash in [false, true] {
        let stop: Arc<OnceLock<StopHandle>> = Arc::default();
        let handle = stop.clone();
        let server = Server::start(move |_| {
            handle.get().expect("set before").stop();
            Reply::ok("half").header("content-length", "8").hang()
        });
        let root = tempfile::tempdir().unwrap();
        let mut job =
            Download::new(server.url("/"), root.path().join("x")).timeout(Duration::from_secs(3600));
        if with_hash {
            job = job.sha256(sha256(b"half and half"));
        }
        let mut engine = Engine::new(job).unwrap();
        stop.set(engine.stop_handle()).expect("once");
        let report = engine.converge();
        assert!(report.is_stopped());
        let left = names(root.path());
        assert_eq!(left.len(), usize::from(with_hash), "{left:?}");
    }
}

#[test]
fn copies_of_this_machine_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let (source, copy) = (root.path().join("so urce"), root.path().join("copy"));
    fs::write(&source, content()).unwrap();
    let url = format!("file://{}/so%20urce", root.path().display());
    let job = Download::new(&url, &copy);
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
    fs::write(&source, "other").unwrap();
    assert_eq!(dry(job.clone()).reason, format!("{} has another content", copy.display()));
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert!(failures(job.clone().max_size(3).sha256(sha256(b"x")))[1].contains("larger than 3 B"));
    fs::remove_file(&source).unwrap();
    let told = dry(job);
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(told.reason.ends_with("so urce says: there is no such file"), "{}", told.reason);
    let told = dry(Download::new(format!("file://{}", root.path().display()), &copy));
    assert!(told.reason.ends_with("says: it is a directory"), "{}", told.reason);
}

#[test]
fn what_is_in_the_way_is_named() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::ok("x"));
    let job = |path: &str| Download::new(server.url("/"), root.path().join(path)).sha256(sha256(b"x"));
    fs::create_dir(root.path().join("directory")).unwrap();
    let told = dry(job("directory"));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(
        told.reason.ends_with("directory: it is a directory; remove it, or choose another path"),
        "{}",
        told.reason
    );
    assert!(
        failures(job("no/where"))[1].contains("no does not exist; a `directory` before this one can make it")
    );
    symlink("circle", root.path().join("circle")).unwrap();
    assert!(dry(job("circle")).reason.contains("lead in a circle"));
    fs::write(root.path().join("file"), "").unwrap();
    assert!(dry(job("file/below")).reason.contains("is no directory"));
    assert_eq!(server.seen(), [], "nothing of it needs the net");
}

#[test]
fn wrong_values_are_refused_where_they_are_read() {
    let read = |field: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({"url": "https://example.org/x", "path": "/x"});
        json[field] = value;
        serde_json::from_value::<Download>(json).map_err(|error| error.to_string())
    };
    let error = |field: &str, value: serde_json::Value| read(field, value).unwrap_err();
    let hash = sha256(b"x");
    assert!(read("sha256", hash.to_uppercase().into()).is_ok());
    assert!(read("sha256", format!("sha256:{hash}").into()).is_ok());
    assert_eq!(error("sha256", "abc".into()), "`abc` is no SHA-256: it has 64 hexadecimal digits");
    assert!(error("sha256", format!("{}é", &hash[..62]).into()).contains("is no SHA-256"));
    assert!(error("url", "example.org".into()).contains("is no URL"));
    assert!(error("url", "".into()).contains("is no URL"));
    assert!(
        error("url", "https://me:hunter2@example.org/".into())
            .contains("must not contain a user or a password")
    );
    assert!(error("path", "".into()).contains("must not be empty"));
    assert!(error("path", "/x/".into()).contains("must end with its name"));
    assert!(error("path", "/x\0".into()).contains("NUL"));
    assert!(error("headers", serde_json::json!({"a b": "x"})).contains("`a b` is no name of a header"));
    assert!(error("headers", serde_json::json!({"a": "x\ny"})).contains("cannot be sent"));
    assert!(error("headers", serde_json::json!({"a": 1})).contains("invalid type"));
    assert!(error("timeout", 5.into()).contains("expected a duration such as `5s`"));
    assert!(error("max_size", "x".into()).contains("`x` is not a size such as `10 MiB`"));
    assert!(error("mode", 644.into()).contains("may be octal or not"));
    assert!(error("checksum", "x".into()).contains("unknown field `checksum`"));
    let root = tempfile::tempdir().unwrap();
    let right = Download::new("http://127.0.0.1:1/", root.path().join("x"));
    for wrong in [
        Download { url: "x".into(), ..right.clone() },
        Download { path: "a\0".into(), ..right.clone() },
        right.clone().sha256("x"),
        right.clone().header("a\n", "b"),
        right.clone().header("a", "b\r\nc: d"),
    ] {
        assert!(converge(wrong).failure());
    }
    let small = serde_json::to_string(&Download::new("https://a.example/", "/b")).unwrap();
    assert_eq!(small, r#"{"url":"https://a.example/","path":"/b"}"#);
    let schema = serde_json::to_value(schemars::schema_for!(Download)).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["url", "path"]));
    assert_eq!(schema["properties"]["headers"]["additionalProperties"]["type"], "string");
}

#[test]
fn a_directory_that_may_not_be_written_is_named() {
    if !as_nobody("download::a_directory_that_may_not_be_written_is_named") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::ok("x"));
    let closed = root.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let before = tree(root.path(), true);
    for job in [
        Download::new(server.url("/"), closed.join("x")),
        Download::new(server.url("/"), closed.join("x")).sha256(sha256(b"x")),
    ] {
        assert!(failures(job)[1].to_lowercase().contains("permission denied"));
    }
    assert_eq!(tree(root.path(), true), before);
}
