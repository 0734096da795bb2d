//! Waiting until something has come to pass.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use dojob::{Clock, Engine, Event, Job, Outcome, Phase, VirtualClock};
use dojob_jobs::{HttpAnswer, LineOfFile, Until, WaitFor, WhichProcess};
use serde_json::json;

use crate::support::{as_nobody, converge, engine, is_root, look};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// Looks without pause, and gives up after an hour.
fn patient(until: Until) -> WaitFor {
    WaitFor::new(until).timeout(HOUR).interval(Duration::from_nanos(1))
}

/// Why it has not come to pass; empty when it has.
fn reason(until: Until) -> String {
    let came = look(WaitFor::new(until));
    assert!([Outcome::InPlace, Outcome::WouldRun].contains(&came.outcome), "{came:?}");
    came.reason
}

#[test]
fn a_port_is_open_or_closed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let open = || Until::PortOpen(address.parse().unwrap());
    let closed = || Until::PortClosed(address.parse().unwrap());
    assert_eq!(reason(open()), "");
    assert_eq!(reason(closed()), format!("something accepts connections at {address}"));
    drop(listener);
    assert_eq!(reason(closed()), "");
    let said = reason(open());
    assert!(
        said.starts_with(&format!("nothing accepts connections at {address}: Connection refused")),
        "{said}"
    );
}

#[test]
fn a_file_is_there_or_gone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("link");
    let at = path.display();
    assert_eq!(reason(Until::FileGone(path.clone())), "");
    symlink("target", &path).unwrap();
    assert_eq!(reason(Until::FileExists(path.clone())), format!("{at} does not exist"), "it leads nowhere");
    assert_eq!(reason(Until::FileGone(path.clone())), format!("{at} exists"), "a link is something");
    fs::write(root.path().join("target"), "").unwrap();
    assert_eq!(reason(Until::FileExists(path.clone())), "");
    fs::remove_file(&path).unwrap();
    symlink("link", &path).unwrap();
    let came = look(WaitFor::new(Until::FileExists(path)));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{came:?}");
}

#[test]
fn a_file_without_end_is_not_read_beyond_the_timeout() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("huge");
    // Nothing but a hole, which takes years to read.
    let size = [1 << 62, 1 << 43].into_iter().find(|size| {
        let created = fs::File::create(&file).unwrap();
        created.set_len(*size).is_ok()
    });
    if size.is_none() {
        return;
    }
    let line = Until::Line(LineOfFile { file: file.clone(), pattern: "ready".parse().unwrap() });
    let came = converge(WaitFor::new(line.clone()).timeout(Duration::from_millis(1)));
    assert_eq!(came.outcome, Outcome::Failed, "{came:?}");
    assert!(came.reason.contains(&format!("MiB of {} has `ready`", file.display())), "{came:?}");
    // What stands where it is always looked is found however little time there is.
    fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(b"ready\n").unwrap();
    let came = converge(WaitFor::new(line).timeout(Duration::from_millis(1)));
    assert_eq!(came.outcome, Outcome::InPlace, "{came:?}");
}

#[test]
fn a_line_is_in_a_file() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("log");
    let line =
        |pattern: &str| Until::Line(LineOfFile { file: file.clone(), pattern: pattern.parse().unwrap() });
    let at = file.display();
    assert_eq!(reason(line("^ready$")), format!("{at} does not exist"));
    fs::write(&file, b"not ready\n\xff\xfe\n").unwrap();
    assert_eq!(reason(line("^ready$")), format!("no line in {at} has `^ready$`"));
    fs::write(&file, "not ready\nready").unwrap();
    assert_eq!(reason(line("^ready$")), "");
    assert_eq!(reason(line(r"not\s+ready$")), "");
    assert_ne!(reason(line(r"ready\nready")), "", "a line ends where it ends");
    let came = look(WaitFor::new(Until::Line(LineOfFile {
        file: root.path().into(),
        pattern: "x".parse().unwrap(),
    })));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.ends_with("is a directory, and has no lines"), "{came:?}");
}

#[test]
fn a_huge_line_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("huge");
    let file = fs::File::create(&path).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    let mut end = fs::OpenOptions::new().append(true).open(&path).unwrap();
    end.write_all(b"\nready\n").unwrap();
    assert_eq!(reason(Until::Line(LineOfFile { file: path, pattern: "^ready$".parse().unwrap() })), "");
    // Whether it is in the huge line nobody has seen.
    let came = look(WaitFor::new(Until::Line(LineOfFile {
        file: root.path().join("huge"),
        pattern: "^steady$".parse().unwrap(),
    })));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.ends_with("line 1 is longer than 16 MiB"), "{came:?}");
}

#[test]
fn a_line_is_found_however_the_file_is_written() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("log");
    let line = |pattern: &str| {
        look(WaitFor::new(Until::Line(LineOfFile { file: file.clone(), pattern: pattern.parse().unwrap() })))
    };
    for text in [&b"\xef\xbb\xbfready\n"[..], b"x\r\nready\r\n", b"\xe9\nready\r\n"] {
        fs::write(&file, text).unwrap();
        assert_eq!(line("^ready$").outcome, Outcome::InPlace, "{text:?}");
    }
    fs::write(&file, b"caf\xe9 is ready\n").unwrap();
    assert_eq!(line("^caf. is ready$").outcome, Outcome::InPlace);
    fs::write(&file, b"\xff\xfer\0e\0a\0d\0y\0").unwrap();
    let came = line("ready");
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.ends_with("it is UTF-16, not UTF-8"), "{came:?}");
}

#[test]
fn a_process_has_ended() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("pid");
    let by_file = || Until::ProcessGone(WhichProcess::PidFile(file.clone()));
    assert_eq!(reason(by_file()), "", "without a file there is none");
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id();
    fs::write(&file, format!("{pid}\n")).unwrap();
    let by_pid = || Until::ProcessGone(WhichProcess::Pid(pid));
    for until in [by_file(), by_pid()] {
        assert_eq!(reason(until), format!("process {pid} is still there"));
    }
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let named = reason(Until::ProcessGone(WhichProcess::Name(name.trim().to_owned())));
    assert!(named.ends_with(&format!("({}) is still there", name.trim())), "{named}");
    child.kill().unwrap();
    // Nobody has asked yet how it ended, so its number is still taken.
    assert!(engine(patient(by_pid())).converge().success());
    child.wait().unwrap();
    assert_eq!([reason(by_file()), reason(by_pid())], ["", ""]);
    assert_eq!(reason(Until::ProcessGone(WhichProcess::Name("no such process".into()))), "");

    fs::write(&file, "many\n").unwrap();
    let came = look(WaitFor::new(by_file()));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.ends_with("`many` is no number of one"), "{came:?}");
}

#[test]
fn a_process_of_somebody_else_is_there() {
    if is_root("being somebody else") {
        as_nobody("wait_for::inner_other", "/usr/bin:/bin".as_ref(), &[]);
    }
}

#[test]
#[ignore = "called by `a_process_of_somebody_else_is_there` as nobody"]
fn inner_other() {
    assert_eq!(reason(Until::ProcessGone(WhichProcess::Pid(1))), "process 1 is still there");
}

/// A web server that answers once with each of these; returns its address and how often it was asked.
fn server(answers: &'static [u16]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            count.fetch_add(1, Ordering::SeqCst);
            let head = format!(
                "HTTP/1.1 {answer} x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[test]
fn it_looks_until_the_server_answers_as_wanted() {
    let (url, asked) = server(&[503, 500, 302, 204, 204]);
    let came = converge(patient(Until::Http(HttpAnswer::new(&url))));
    assert_eq!((came.outcome, came.reason), (Outcome::Changed, format!("{url} answers 503")));
    assert_eq!(asked.load(Ordering::SeqCst), 5, "check, three looks, recheck");
}

#[test]
fn any_status_can_be_wanted_and_redirections_are_answers() {
    let (url, _) = server(&[302, 200, 302]);
    let http = HttpAnswer { status: Some(vec![301, 302]), ..HttpAnswer::new(&url) };
    assert_eq!(reason(Until::Http(http.clone())), "");
    assert_eq!(reason(Until::Http(http.clone())), format!("{url} answers 200"));
    assert_eq!(reason(Until::Http(HttpAnswer::new(&url))), format!("{url} answers 302"));
    let said = reason(Until::Http(http));
    // It is just going: nobody listens, or it breaks off.
    assert!(!said.is_empty() && !said.contains(" answers "), "{said}");
}

#[test]
fn it_gives_up_in_time_and_is_tried_once() {
    let job = WaitFor::new(Until::FileExists("/nowhere".into())).timeout(Duration::ZERO);
    let report = Engine::new(job).unwrap().converge();
    let came = report.jobs().last().unwrap();
    assert_eq!((came.outcome(), came.tries()), (Outcome::Failed, 1));
    let said: Vec<_> = came.failures().iter().map(|failure| failure.reason.clone()).collect();
    assert!(
        said.contains(&"it did not come to pass within 0s: /nowhere does not exist".to_owned()),
        "{said:?}"
    );
}

#[test]
fn it_waits_by_the_clock_of_the_engine() {
    let clock = Arc::new(VirtualClock::new());
    let job = WaitFor::new(Until::FileExists("/nowhere".into())).timeout(HOUR).interval(HOUR - SECOND);
    let report = engine(job).clock(clock.clone()).converge();
    let came = report.jobs().last().unwrap();
    assert_eq!(came.outcome(), Outcome::Failed);
    assert_eq!(clock.now(), HOUR, "the last pause is shorter");
}

#[test]
fn it_stops_with_the_run() {
    let job = WaitFor::new(Until::FileExists("/nowhere".into())).timeout(HOUR).interval(HOUR);
    let mut engine = engine(job);
    let stop = engine.stop_handle();
    engine = engine.observe(move |event: &Event| {
        if matches!(event, Event::PhaseStarted { phase: Phase::Run, .. }) {
            stop.stop();
        }
    });
    let report = engine.converge();
    assert!(report.is_stopped());
    assert_eq!(report.jobs().last().unwrap().outcome(), Outcome::Stopped);
}

/// A name that is misspelt, or cannot be looked up at the moment, is no port that is closed.
#[test]
fn a_port_of_a_host_without_an_address_is_not_closed() {
    let until = Until::PortClosed("nosuch.invalid:1".parse().unwrap());
    let text = reason(until);
    assert!(
        text.starts_with("nosuch.invalid:1 has no address, so whether it is closed cannot be told"),
        "{text}"
    );
}

#[test]
fn every_field_is_read_and_written() {
    let whole = json!({"until": {"port_open": "db:5432"}, "timeout": "30s", "interval": "100ms"});
    let job: WaitFor = serde_json::from_value(whole.clone()).unwrap();
    let wanted = WaitFor::new(Until::PortOpen("db:5432".parse().unwrap()))
        .timeout(Duration::from_secs(30))
        .interval(Duration::from_millis(100));
    assert_eq!(job, wanted);
    assert_eq!(serde_json::to_value(&job).unwrap()["until"], whole["until"]);
    let cases = [
        (json!({"port_closed": "[::1]:22"}), "port [::1]:22 closed"),
        (json!({"file_exists": "/a"}), "file /a"),
        (json!({"file_gone": "/a"}), "no file /a"),
        (json!({"line": {"file": "/a", "pattern": "^b"}}), "line ^b in /a"),
        (json!({"process_gone": {"pid": 7}}), "end of process 7"),
        (json!({"process_gone": {"pid_file": "/a"}}), "end of process in /a"),
        (json!({"process_gone": {"name": "a"}}), "end of process a"),
        (json!({"http": {"url": "https://a/b", "status": [200]}}), "answer of https://a/b"),
    ];
    for (until, name) in cases {
        let job: WaitFor = serde_json::from_value(json!({"until": until})).unwrap();
        assert_eq!(job.name(), format!("WaitFor {name}"));
        assert_eq!(serde_json::to_value(&job).unwrap()["until"], until);
        assert_eq!(job, WaitFor::new(job.until.clone()));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_at_once() {
    let cases = [
        (json!({"port_open": "localhost"}), "`localhost` is no host and port, such as `localhost:80`"),
        (json!({"file_exists": ""}), "a path must not be empty"),
        (json!({"file_gone": "\0"}), "a path must not contain a NUL byte"),
        (json!({"line": {"file": "/a/", "pattern": "b"}}), "a path of a file must end with its name"),
        (json!({"line": {"file": "/a", "pattern": "("}}), "`(` is no regular expression: regex parse error"),
        (json!({"line": {"file": "/a"}}), "missing field `pattern`"),
        (json!({"process_gone": {"pid": 0}}), "0 is no number of a process"),
        (json!({"process_gone": {"pid": 4_000_000_000_u32}}), "4000000000 is no number of a process"),
        (json!({"process_gone": {"name": "a/b"}}), "`a/b` is no name of a process"),
        (json!({"process_gone": {"pid_file": ""}}), "a path must not be empty"),
        (json!({"http": {"url": "localhost/x"}}), "`localhost/x` is no URL"),
        (json!({"http": {"url": "ftp://a/"}}), "`ftp://a/` cannot be asked"),
        (json!({"http": {"url": "http://me:pw@a/"}}), "a URL must not contain a user or a password"),
        (json!({"http": {"url": "http://a/", "status": []}}), "`status` must not be empty"),
        (json!({"http": {"url": "http://a/", "status": [99]}}), "99 is no status of HTTP"),
        (json!({"moon": "full"}), "unknown variant `moon`, expected one of `port_open`"),
        (
            json!({"file_gone": "/a", "file_exists": "/b"}),
            "invalid value: map, expected map with a single key",
        ),
    ];
    for (until, said) in cases {
        let error = serde_json::from_value::<WaitFor>(json!({"until": until})).unwrap_err().to_string();
        assert!(error.starts_with(said), "{until}: {error}");
    }
    for (field, value, said) in [
        ("interval", json!("0s"), "`interval` must be longer than no time at all"),
        ("timeout", json!(5), "invalid type: integer `5`, expected a duration such as `5s`"),
        ("times", json!(5), "unknown field `times`"),
    ] {
        let value = json!({"until": {"file_exists": "/a"}, field: value});
        let error = serde_json::from_value::<WaitFor>(value).unwrap_err().to_string();
        assert!(error.starts_with(said), "{field}: {error}");
    }
    assert_eq!(converge(WaitFor::new(Until::FileExists("".into()))).reason, "a path must not be empty");
}
