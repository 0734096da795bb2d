//! `HttpRequest`.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use dojob::{Engine, IntoJob, Job, Outcome, StopHandle};
use dojob_jobs::{Expect, HttpRequest, SendRequest};
use serde_json::json;

use super::server::{Reply, Seen, Server, shared};
use super::support::{converge, dry, failures, handed, outcome, prove_elsewhere};

/// What a server has.
type Thing = Arc<Mutex<Option<Vec<u8>>>>;

/// A server with one thing, which it gives, takes and forgets.
fn server_of(thing: Thing) -> Server {
    Server::start(move |seen| {
        let mut thing = thing.lock().unwrap();
        match seen.method.as_str() {
            "GET" => thing.clone().map_or_else(|| Reply::status(404).body("nothing here"), Reply::ok),
            "DELETE" => {
                *thing = None;
                Reply::status(204)
            }
            _ => {
                *thing = Some(seen.body.clone());
                Reply::status(201)
            }
        }
    })
}

fn thing(at_first: Option<&str>) -> Server {
    server_of(Arc::new(Mutex::new(at_first.map(|text| text.as_bytes().to_vec()))))
}

#[test]
fn a_request_is_proved() {
    let thing = Thing::default();
    let (_server, url) = shared("request", || server_of(thing.clone()));
    let forgotten = thing.clone();
    prove_elsewhere(
        move |_| *forgotten.lock().unwrap() = None,
        move |_| {
            let send = SendRequest::put().json(json!({"name": "ops"}));
            HttpRequest::new(&url, Expect::json("/name", "ops"), send).into_job()
        },
        move || format!("{:?}", thing.lock().unwrap()),
    );
}

fn methods(server: &Server) -> String {
    server.seen().iter().map(|seen| seen.method.clone()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_not_as_wanted_is_made_so_once() {
    for send in [SendRequest::post(), SendRequest::put(), SendRequest::patch()] {
        let server = thing(None);
        let job = HttpRequest::new(
            server.url("/teams/7"),
            Expect::json("/name", "ops").and_json("/members/0", 1),
            send.json(json!({"name": "ops", "members": [1.0]})),
        );
        let url = server.url("/teams/7");
        let told = dry(job.clone());
        assert_eq!(told.outcome, Outcome::WouldRun);
        assert_eq!(told.reason, format!("{url} is not as wanted: it answers with status 404, not 2xx"));
        assert_eq!(told.diff, "! status: 404 -> 2xx\n");
        assert_eq!(methods(&server), "GET", "a dry run sends nothing");
        assert_eq!(outcome(job.clone()), Outcome::Changed);
        let seen = server.seen();
        assert_eq!(seen[1].header("content-type"), Some("application/json"));
        assert_eq!(seen[1].body, br#"{"members":[1.0],"name":"ops"}"#);
        assert_eq!(outcome(job.clone()), Outcome::InPlace);
        assert_eq!(methods(&server), "GET");
        assert_eq!(dry(job).outcome, Outcome::InPlace);
    }
}

#[test]
fn something_can_be_made_to_be_gone() {
    let server = thing(Some("here"));
    let job = HttpRequest::new(server.url("/x"), Expect::status(404), SendRequest::delete());
    assert_eq!(dry(job.clone()).diff, "! status: 200 -> 404\n");
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
    assert_eq!(methods(&server), "GET GET DELETE GET GET");
    assert_eq!(job.name(), format!("HttpRequest DELETE {}", server.url("/x")));
}

#[test]
fn each_difference_is_told() {
    let server =
        thing(Some(r#"{"state": "idle", "size": 3, "members": [{"name": "rosa"}], "long": "yyyyy"}"#));
    let url = server.url("/x");
    let told = |expect: Expect| {
        let told = dry(HttpRequest::new(&url, expect, SendRequest::put()));
        (told.reason.replace(&format!("{url} is not as wanted: "), ""), told.diff)
    };
    let (reason, diff) = told(Expect::json("/state", "active").and_json("/none", 1).and_json("/size", 3.0));
    assert_eq!(reason, "/none is not there, not 1; /state is \"idle\", not \"active\"");
    assert_eq!(diff, "! /none: not there -> 1\n! /state: \"idle\" -> \"active\"\n");
    assert_eq!(told(Expect::json("/members/0/name", "tom")).0, "/members/0/name is \"rosa\", not \"tom\"");
    assert_eq!(told(Expect::contains("bu\nsy")).0, "it does not contain \"bu\\nsy\"");
    assert!(told(Expect::json("", json!({}))).0.starts_with("all is {\"long\":"));
    assert_eq!(told(Expect::contains("idle")).0, "");
    assert_eq!(told(Expect::status([204, 404])).0, "it answers with status 200, not 204 or 404");
    let no_json = thing(Some("<html>"));
    let told = dry(HttpRequest::new(no_json.url("/"), Expect::json("/a", 1), SendRequest::put()));
    assert!(told.reason.ends_with("is not as wanted: it is no JSON"), "{}", told.reason);
}

#[test]
fn an_answer_that_leaves_it_open_sends_nothing() {
    for status in [401, 403, 429, 500, 503] {
        let server = Server::start(move |_| Reply::status(status));
        let job = HttpRequest::new(server.url("/x?token=hunter2"), Expect::success(), SendRequest::post());
        let told = dry(job.clone());
        assert_eq!(told.outcome, Outcome::CouldNotFindOut);
        let url = server.url("/x");
        let wanted = format!("could not find out what {url} says: {url} answers with status {status} (");
        assert!(told.reason.starts_with(&wanted), "{}", told.reason);
        assert!(converge(job.clone()).failure());
        assert_eq!(methods(&server), "GET GET");
        // Unless that is what is wanted.
        let expected = HttpRequest { expect: Expect::status(status), ..job };
        assert_eq!(outcome(expected), Outcome::InPlace);
    }
    let broken: [fn(&Seen) -> Reply; 4] = [
        |_| Reply::raw("garbage"),
        |_| Reply::ok("half").header("content-length", "9"),
        |_| Reply::redirect(302, "/again"),
        |_| Reply::ok("half").header("content-length", "9").hang(),
    ];
    for reply in broken {
        let server = Server::start(reply);
        let job = HttpRequest::new(server.url("/"), Expect::contains("x"), SendRequest::post())
            .timeout(Duration::from_millis(100));
        let told = dry(job.clone());
        assert_eq!(told.outcome, Outcome::CouldNotFindOut, "{}", told.reason);
        assert!(converge(job).failure());
        assert!(!methods(&server).contains("POST"));
    }
}

#[test]
fn a_refused_request_is_told_with_what_the_server_says() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "GET" => Reply::status(404),
        _ => Reply::status(422).body("{\"error\":\n\"name is hunter2\"}"),
    });
    let job = |send: SendRequest| HttpRequest::new(server.url("/x"), Expect::success(), send);
    let failed = failures(job(SendRequest::post().body("hunter2")));
    let url = server.url("/x");
    assert_eq!(
        failed[1],
        format!(
            "run: failed to send POST to {url}: {url} answers with status 422, and says: {{\"error\": \"name is ***\"}}"
        )
    );
    // One that is accepted does not make it so.
    let failed = failures(job(SendRequest::post().accept([200, 422])));
    assert_eq!(failed.len(), 2, "{failed:?}");
    // A redirect is not followed by what changes something.
    let server = Server::start(|seen| match seen.method.as_str() {
        "GET" => Reply::status(404),
        _ => Reply::redirect(307, "/y"),
    });
    let failed =
        failures(HttpRequest::new(server.url("/x"), Expect::success(), SendRequest::put().body("x")));
    assert!(failed[1].ends_with("status 307 (a redirect, which is not followed here)"), "{failed:?}");
    assert_eq!(methods(&server), "GET PUT GET");
}

#[test]
fn headers_and_addresses_are_as_asked_for() {
    let server = thing(None);
    let job = HttpRequest::new(
        server.url("/look"),
        Expect::contains("x"),
        SendRequest::put()
            .to(server.url("/put?a=b"))
            .body("x")
            .header("content-type", "text/plain")
            .header("x-key", "own"),
    )
    .header("Authorization", "Bearer hunter2")
    .header("X-Key", "both");
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    let seen = server.seen();
    assert_eq!((seen[0].path.as_str(), seen[1].path.as_str()), ("/look", "/put?a=b"));
    assert_eq!((seen[0].header("x-key"), seen[1].header("x-key")), (Some("both"), Some("own")));
    assert_eq!(seen[1].header("authorization"), Some("Bearer hunter2"));
    assert_eq!(seen[1].header("content-type"), Some("text/plain"));
    assert_eq!(seen[0].header("content-type"), None);
    assert_eq!(seen[1].body, b"x");
    assert_eq!(job.name(), format!("HttpRequest PUT {}", server.url("/put")));
    let shown = format!("{job:?} {}", serde_json::to_string(&job).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn redirects_of_the_check_are_followed_or_not() {
    let server =
        Server::start(
            |seen| if seen.path == "/" { Reply::redirect(302, "/there") } else { Reply::ok("there") },
        );
    let job = HttpRequest::new(server.url("/"), Expect::contains("there"), SendRequest::put());
    assert_eq!(dry(job.clone()).outcome, Outcome::InPlace);
    assert!(dry(job.clone().follow_redirects(false)).reason.ends_with("it answers with status 302, not 2xx"));
    let redirect = HttpRequest { expect: Expect::status(302), ..job };
    assert_eq!(dry(redirect.follow_redirects(false)).outcome, Outcome::InPlace);
}

#[test]
fn a_long_answer_has_an_end() {
    let server = Server::start(|_| Reply::ok(vec![b'x'; 17 * 1024 * 1024]));
    let told = dry(HttpRequest::new(server.url("/"), Expect::contains("y"), SendRequest::put()));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(told.reason.contains("the answer is longer than 16777216 bytes"), "{}", told.reason);
    // Where nothing of it is asked for it does not matter.
    let job = HttpRequest::new(server.url("/"), Expect::success(), SendRequest::put());
    assert_eq!(handed(job), json!({ "status": 200 }));
}

#[test]
fn the_answer_is_handed_on() {
    let server = thing(None);
    let send = SendRequest::put().json(json!({ "name": "ops", "id": 7 }));
    let body = r#"{"id":7,"name":"ops"}"#;
    let whole = json!({ "status": 200, "body": body, "json": { "id": 7, "name": "ops" } });
    for expect in [Expect::json("/name", "ops"), Expect::contains("ops"), Expect::success()] {
        let job = HttpRequest::new(server.url("/"), expect, send.clone());
        assert_eq!(handed(job.clone()), whole, "after a run, or in place");
        assert_eq!(handed(job), whole, "in place");
    }
    let gone = HttpRequest::new(server.url("/"), Expect::status(404), SendRequest::delete());
    assert_eq!(handed(gone), json!({ "status": 404, "body": "nothing here" }));
}

#[test]
fn what_of_an_answer_cannot_be_handed_on_is_left_out() {
    let status_alone = json!({ "status": 200 });
    let half = Server::start(|_| Reply::ok("half").header("content-length", "9"));
    let job = HttpRequest::new(half.url("/"), Expect::success(), SendRequest::put());
    assert_eq!(handed(job), status_alone);
    let long = Server::start(|_| Reply::ok(vec![b'1'; 1024 * 1024 + 1]));
    for expect in [Expect::success(), Expect::contains("1")] {
        assert_eq!(handed(HttpRequest::new(long.url("/"), expect, SendRequest::put())), status_alone);
    }
    let bytes = Server::start(|_| Reply::ok(b"\xff\n"));
    let job = HttpRequest::new(bytes.url("/"), Expect::success(), SendRequest::put());
    let not_text = json!({ "dojob.not_text": "it is not UTF-8: offset 0, the byte 0xff" });
    assert_eq!(handed(job), json!({ "status": 200, "body": not_text }));
}

#[test]
fn a_request_to_stop_ends_it() {
    let stop: Arc<OnceLock<StopHandle>> = Arc::default();
    let handle = stop.clone();
    let server = Server::start(move |_| {
        handle.get().expect("set before").stop();
        Reply::raw("").hang()
    });
    let job = HttpRequest::new(server.url("/"), Expect::success(), SendRequest::put())
        .timeout(Duration::from_secs(3600));
    let mut engine = Engine::new(job).unwrap();
    stop.set(engine.stop_handle()).expect("once");
    assert!(engine.converge().is_stopped());
}

#[test]
fn wrong_values_are_refused_where_they_are_read() {
    let read = |json: serde_json::Value| {
        serde_json::from_value::<HttpRequest>(json).map_err(|error| error.to_string())
    };
    let with = |part: &str, field: &str, value: serde_json::Value| {
        let mut json = json!({"url": "https://a.example/", "expect": {}, "send": {"method": "PUT"}});
        if part.is_empty() {
            json[field] = value
        } else {
            json[part][field] = value
        }
        read(json).err().unwrap_or_default()
    };
    assert_eq!(with("expect", "status", json!(204)), "");
    assert_eq!(with("expect", "status", json!([200, 204])), "");
    assert_eq!(
        with("expect", "status", json!(20)),
        "in `expect.status`: 20 is no status of an answer: they go from 200 to 599"
    );
    assert_eq!(
        with("expect", "status", json!([])),
        "in `expect.status`: there has to be a status, such as `200`"
    );
    assert!(with("expect", "status", json!("ok")).contains("expected a status such as `200`"));
    assert!(with("expect", "contains", json!("")).contains("`expect.contains` must not be empty"));
    assert!(
        with("expect", "json", json!({"a": 1}))
            .contains("`a` in `expect.json` is no JSON pointer: it begins with `/`")
    );
    assert!(with("expect", "body", json!("")).contains("unknown field `body`"));
    assert!(
        with("send", "method", json!("GET"))
            .contains("unknown variant `GET`, expected one of `POST`, `PUT`, `PATCH`, `DELETE`")
    );
    assert!(with("send", "url", json!("example.org")).contains("is no URL"));
    assert!(with("send", "accept", json!(99)).contains("in `send.accept`: 99 is no status"));
    assert!(with("send", "headers", json!({"": ""})).contains("is no name of a header"));
    assert!(with("", "url", json!("file:///x")).contains("a URL begins with https:// or http://"));
    assert!(with("", "headers", json!({"a": "\n"})).contains("cannot be sent"));
    assert!(with("", "timeout", json!(5)).contains("expected a duration"));
    assert!(with("", "method", json!("PUT")).contains("unknown field `method`"));
    let both = read(json!({"url": "https://a.example/", "send": {"method": "PUT", "json": 1, "body": "x"}}));
    assert_eq!(both.unwrap_err(), "give `json` or `body` to `send`, not both");
    assert!(read(json!({"url": "https://a.example/"})).unwrap_err().contains("missing field `send`"));

    for wrong in [
        HttpRequest::new("x", Expect::success(), SendRequest::put()),
        HttpRequest::new("http://127.0.0.1:1/", Expect::json("a", 1), SendRequest::put()),
        HttpRequest::new("http://127.0.0.1:1/", Expect::status(1), SendRequest::put()),
        HttpRequest::new("http://127.0.0.1:1/", Expect::success(), SendRequest::put().to("x")),
    ] {
        assert!(converge(wrong).failure());
    }
    let job = HttpRequest::new("https://a.example/", Expect::status([200]), SendRequest::put().json(1))
        .timeout(Duration::from_secs(5));
    assert_eq!(serde_json::from_value::<HttpRequest>(serde_json::to_value(&job).unwrap()).unwrap(), job);
    let schema = serde_json::to_value(schemars::schema_for!(HttpRequest)).unwrap();
    assert_eq!(schema["required"], json!(["url", "send"]));
}
