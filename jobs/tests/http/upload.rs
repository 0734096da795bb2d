//! `Upload`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use dojob::{Engine, IntoJob, Job, Outcome, StopHandle};
use dojob_jobs::Upload;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::server::{Reply, Seen, Server, shared};
use super::support::{converge, dry, failures, handed, outcome, prove_elsewhere};

/// How a server tells the hash of what it has.
type Tells = fn(&[u8]) -> Option<(&'static str, String)>;

/// What a server has, by path.
type Kept = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A server that keeps what it is sent.
fn store(tells: Tells) -> Server {
    store_of(Kept::default(), tells)
}

fn store_of(kept: Kept, tells: Tells) -> Server {
    Server::start(move |seen: &Seen| {
        let mut kept = kept.lock().unwrap();
        if seen.method == "PUT" {
            // What broke off on the way is not kept.
            let is_whole = seen.header("content-length") == Some(&seen.body.len().to_string());
            if is_whole {
                kept.insert(seen.path.clone(), seen.body.clone());
            }
            return Reply::status(201);
        }
        let Some(body) = kept.get(&seen.path) else { return Reply::status(404) };
        let reply = Reply::ok(body.clone());
        match tells(body) {
            Some((name, value)) => reply.header(name, value),
            None => reply,
        }
    })
}

#[test]
fn an_upload_is_proved() {
    let kept = Kept::default();
    let (_server, url) = shared("upload", || store_of(kept.clone(), |_| None));
    let forgotten = kept.clone();
    prove_elsewhere(
        move |root| {
            forgotten.lock().unwrap().clear();
            file(root, &[7; 1_000_000]);
        },
        move |root| Upload::new(root.join("file"), format!("{url}kept")).into_job(),
        move || kept.lock().unwrap().iter().map(|(name, bytes)| format!("{name} {}", hex(bytes))).collect(),
    );
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}

fn methods(server: &Server) -> String {
    server.seen().iter().map(|seen| seen.method.clone()).collect::<Vec<_>>().join(" ")
}

fn file(root: &Path, content: &[u8]) -> std::path::PathBuf {
    let path = root.join("file");
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_file_is_sent_once_and_its_hash_is_taken_where_it_is_told() {
    let tell: [(Tells, bool); 7] = [
        (|body| Some(("repr-digest", format!("sha-512=:eA==:, sha-256=:{}:", base64(body)))), true),
        (|body| Some(("digest", format!("SHA-256={}", base64(body)))), true),
        (|body| Some(("x-checksum-sha256", hex(body))), true),
        (|body| Some(("etag", format!("\"{}\"", hex(body)))), true),
        (|_| None, false),
        // An MD5 or whatever else says nothing.
        (|_| Some(("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned())), false),
        (|_| Some(("repr-digest", "sha-256=:nonsense:".to_owned())), false),
    ];
    for (case, (tells, told)) in tell.into_iter().enumerate() {
        let server = store(tells);
        let root = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let path = file(root.path(), &content);
        let (url, shown) = (server.url("/store/file?sig=hunter2"), server.url("/store/file"));
        let job = Upload::new(&path, &url);
        let missing = dry(job.clone());
        assert_eq!(missing.outcome, Outcome::WouldRun);
        assert_eq!(missing.reason, format!("{shown} does not exist"));
        assert_eq!(missing.diff, format!("nothing -> 400000 bytes, sha256 {}", hex(&content)));
        assert_eq!(methods(&server), "HEAD", "a dry run sends nothing");
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{case}");
        let seen = server.seen();
        assert_eq!(seen[1].method, "PUT");
        assert_eq!((seen[1].header("content-length"), seen[1].body == content), (Some("400000"), true));
        assert_eq!(handed(job.clone()), json!({ "url": shown }), "{case}");
        assert_eq!(methods(&server), if told { "HEAD" } else { "HEAD GET" }, "{case}");

        // Of the same size.
        let mut other = content.clone();
        other[399_999] ^= 1;
        fs::write(&path, &other).unwrap();
        assert_eq!(dry(job.clone()).reason, format!("{shown} has another content"), "{case}");
        let size_only = dry(job.clone().size_only());
        assert_eq!(size_only.outcome, if told { Outcome::WouldRun } else { Outcome::InPlace }, "{case}");
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{case}");
        fs::write(&path, "short").unwrap();
        assert_eq!(dry(job.clone()).reason, format!("{shown} has 400000 bytes, not 5"));
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{case}");
        fs::write(&path, "").unwrap();
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{case}");
        assert_eq!(outcome(job), Outcome::InPlace, "{case}");
    }
}

#[test]
fn a_server_without_head_is_asked_by_get() {
    for status in [405, 501] {
        let server = Server::start(move |seen| match seen.method.as_str() {
            "HEAD" => Reply::status(status),
            _ => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n"),
        });
        let root = tempfile::tempdir().unwrap();
        let path = file(root.path(), b"Hello");
        assert_eq!(dry(Upload::new(&path, server.url("/"))).outcome, Outcome::InPlace);
        assert_eq!(methods(&server), "HEAD GET");
        fs::write(&path, "Hell").unwrap();
        assert_eq!(dry(Upload::new(&path, server.url("/"))).outcome, Outcome::WouldRun);
        fs::write(&path, "Hello!").unwrap();
        assert_eq!(
            dry(Upload::new(&path, server.url("/")).size_only()).outcome,
            Outcome::WouldRun,
            "no size is told"
        );
    }
}

#[test]
fn it_may_be_found_under_another_address() {
    let kept: Mutex<Option<Vec<u8>>> = Mutex::default();
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("PUT", "/in?signed") => {
            *kept.lock().unwrap() = Some(seen.body.clone());
            Reply::ok("")
        }
        (_, "/out") => kept.lock().unwrap().clone().map_or_else(|| Reply::status(404), Reply::ok),
        _ => Reply::status(403),
    });
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path(), b"Hello");
    let job = Upload::new(&path, server.url("/in?signed"))
        .check_url(server.url("/out"))
        .header("X-Key", "swordfish");
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
    assert!(server.seen().iter().all(|seen| seen.header("x-key") == Some("swordfish")));
    assert_eq!(job.name(), format!("Upload {} to {}", path.display(), server.url("/in")));
    assert!(!format!("{job:?}").contains("swordfish"));
}

#[test]
fn what_servers_do_wrong_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path(), b"Hello");
    for status in [401, 403, 500, 503, 302] {
        let server = Server::start(move |_| Reply::status(status));
        let job = Upload::new(&path, server.url("/x"));
        let told = dry(job.clone());
        assert_eq!(told.outcome, Outcome::CouldNotFindOut);
        let url = server.url("/x");
        let wanted = format!("could not find out what {url} is: {url} answers with status {status} (");
        assert!(told.reason.starts_with(&wanted), "{}", told.reason);
        assert!(converge(job).failure());
        assert_eq!(methods(&server), "HEAD HEAD");
    }
    // What it does not take.
    let refuse = |reply: fn() -> Reply| {
        let server =
            Server::start(move |seen| if seen.method == "PUT" { reply() } else { Reply::status(404) });
        let failed = failures(Upload::new(&path, server.url("/x")).timeout(Duration::from_millis(100)));
        assert!(failed[1].starts_with(&format!(
            "run: failed to upload {} to {}: ",
            path.display(),
            server.url("/x")
        )));
        failed[1].clone()
    };
    assert!(refuse(|| Reply::status(413)).ends_with("answers with status 413"));
    assert!(
        refuse(|| Reply::redirect(307, "/y"))
            .ends_with("status 307 (a redirect, which is not followed here)")
    );
    assert!(refuse(|| Reply::status(507)).ends_with("status 507 (trouble of the server; later it may work)"));
    assert!(refuse(|| Reply::raw("").hang()).contains("was silent for 100ms"));
    // One that says yes, and keeps nothing.
    let server = Server::start(|seen| if seen.method == "PUT" { Reply::ok("") } else { Reply::status(404) });
    assert_eq!(
        failures(Upload::new(&path, server.url("/x")))[1],
        format!("recheck: {} does not exist", server.url("/x"))
    );
    // One that breaks off where it is compared.
    let server = Server::start(|seen| {
        let reply = Reply::ok("Hel").header("content-length", "5");
        if seen.method == "PUT" { Reply::ok("") } else { reply }
    });
    let told = dry(Upload::new(&path, server.url("/x")));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(told.reason.contains("broke off"), "{}", told.reason);
}

#[test]
fn what_is_no_file_is_named() {
    let root = tempfile::tempdir().unwrap();
    let server = store(|_| None);
    let told = |name: &str| {
        let told = dry(Upload::new(root.path().join(name), server.url("/x")));
        assert_eq!(told.outcome, Outcome::CouldNotFindOut);
        told.reason
    };
    assert!(told("none").ends_with("none says: there is no such file"));
    fs::create_dir(root.path().join("directory")).unwrap();
    assert!(told("directory").ends_with("directory says: it is a directory, and no file"));
    std::os::unix::fs::symlink("circle", root.path().join("circle")).unwrap();
    assert!(told("circle").contains("lead in a circle"));
    assert_eq!(server.seen(), []);
}

#[test]
fn a_request_to_stop_ends_it() {
    let stop: Arc<OnceLock<StopHandle>> = Arc::default();
    let handle = stop.clone();
    let server = Server::start(move |seen| {
        if seen.method != "PUT" {
            return Reply::status(404);
        }
        handle.get().expect("set before").stop();
        Reply::raw("").hang()
    });
    let root = tempfile::tempdir().unwrap();
    let job = Upload::new(file(root.path(), b"x"), server.url("/")).timeout(Duration::from_secs(3600));
    let mut engine = Engine::new(job).unwrap();
    stop.set(engine.stop_handle()).expect("once");
    assert!(engine.converge().is_stopped());
}

#[test]
fn wrong_values_are_refused_where_they_are_read() {
    let read = |field: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({"path": "/x", "url": "https://a.example/x"});
        json[field] = value;
        serde_json::from_value::<Upload>(json).map_err(|error| error.to_string())
    };
    let error = |field: &str, value: serde_json::Value| read(field, value).unwrap_err();
    assert!(read("size_only", true.into()).is_ok());
    assert!(error("path", "".into()).contains("must not be empty"));
    assert!(error("path", "/".into()).contains("must end with its name"));
    assert!(error("url", "file:///x".into()).contains("a URL begins with https:// or http://"));
    assert!(error("check_url", "x".into()).contains("is no URL"));
    assert!(error("headers", serde_json::json!({"range": "x"})).contains("cannot be set"));
    assert!(error("timeout", 1.into()).contains("expected a duration"));
    assert!(error("size_only", "yes".into()).contains("expected a boolean"));
    assert!(error("method", "POST".into()).contains("unknown field `method`"));
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path(), b"x");
    for wrong in [
        Upload::new("", "http://127.0.0.1:1/"),
        Upload::new(&path, "x"),
        Upload::new(&path, "http://127.0.0.1:1/").check_url("x"),
    ] {
        assert!(converge(wrong).failure());
    }
    let small = serde_json::to_string(&Upload::new("/a", "https://a.example/")).unwrap();
    assert_eq!(small, r#"{"path":"/a","url":"https://a.example/"}"#);
    let schema = serde_json::to_value(schemars::schema_for!(Upload)).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["path", "url"]));
}
