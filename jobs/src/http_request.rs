//! [`HttpRequest`]: something behind an HTTP interface is as wanted, and is made so by a request.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, anyhow, ensure};
use dojob::{Context, CouldNotFindOut, Job, ResultText, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::disk::differ::Differences;
use crate::http::{Answer, Body, Call, Headers, Patience, Url, headers, url, with_client};
use crate::span::Span;
use crate::validated::validated;

/// How much of an answer is looked at.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// How much of an answer is handed on.
const LONGEST_HANDED: usize = 1024 * 1024;

/// How much of a value, or of what a server says, is shown.
const SHOWN: usize = 200;

/// Something behind an HTTP interface is as wanted.
///
/// The check asks for `url` with GET, and compares the answer with what is expected. The run sends another request, which is to
/// make it so. Then the check is made again, and decides.
///
/// No answer, or one that leaves open how things are (401, 403, 407, 408, 429 and all from 500 on, unless expected), means that the
/// check could not find out: then nothing is sent.
///
/// A run that breaks off may be made again, so the request is better one that does no harm a second time.
///
/// Redirects of the check are followed, but not from `https` to `http`, and `headers` are sent to the server of the URL alone; those of
/// the run are errors. A proxy is found in the environment (`https_proxy`, `http_proxy`, `no_proxy`).
///
/// Its result: `status`, `body` and `json` of the answer with which the check has passed: the body as text, unless it has more than
/// 1 MiB, and as values where it is JSON.
///
/// ```
/// # use dojob_jobs::{Expect, HttpRequest, SendRequest};
/// # use serde_json::json;
/// HttpRequest::new(
///     "https://grafana.example/api/teams/7",
///     Expect::json("/name", "ops"),
///     SendRequest::put().json(json!({ "name": "ops" })),
/// )
/// .header("Authorization", "Bearer hunter2");
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "HttpRequest")]
#[schemars(extend("x-dojob-result" = { "status": false, "body": false, "json": true }))]
pub struct HttpRequest {
    /// What the check asks for, such as `https://grafana.example/api/teams/7`.
    #[serde(deserialize_with = "url::http")]
    pub url: String,
    /// What the answer has to be.
    #[serde(default)]
    pub expect: Expect,
    /// What is sent where it is not.
    pub send: SendRequest,
    /// Headers of both requests by name, such as `{"Authorization": "Bearer …"}`. Their values are secret.
    #[serde(default, skip_serializing_if = "Headers::is_empty", deserialize_with = "headers::headers")]
    pub headers: Headers,
    /// Whether the check follows redirects; unless given, yes. Without, a redirect is an answer like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// How long each request may take in all, such as `2 min`; 30 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

validated!(HttpRequest);

/// What an answer has to be: all that is given here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Its status, such as `200`, or one of several, such as `[200, 204]`. Unless given, any from 200 to 299. With `404` something has to
    /// be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Statuses>,
    /// A text that is somewhere in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Values in it by their JSON pointers, such as `{"/state": "active", "/members/0/name": "rosa"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Value>,
}

/// One status of HTTP or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a status such as `200`, or several such as `[200, 204]`")]
pub enum Statuses {
    /// This one.
    One(u16),
    /// One of these.
    Any(Vec<u16>),
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// Its method: `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: HttpMethod,
    /// Where it is sent to; unless given, to what the check asks for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "url::optional_http")]
    pub url: Option<String>,
    /// What is sent, as a JSON value, its numbers as they are written here. It is no place for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<crate::value::Value>,
    /// What is sent, as a text; it is secret. Say what it is by the header `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Secret<String>>,
    /// Headers of this request alone, in place of those of both that have the same name. Their values are secret.
    #[serde(default, skip_serializing_if = "Headers::is_empty", deserialize_with = "headers::headers")]
    pub headers: Headers,
    /// With which status it has worked, such as `202`, or one of several, such as `[200, 409]`. Unless given, any from 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Statuses>,
}

/// The methods that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Creates something, or does something.
    Post,
    /// Puts something in the place of what is there.
    Put,
    /// Changes parts of what is there.
    Patch,
    /// Removes what is there.
    Delete,
}

impl HttpMethod {
    fn raw(self) -> ureq::http::Method {
        match self {
            HttpMethod::Post => ureq::http::Method::POST,
            HttpMethod::Put => ureq::http::Method::PUT,
            HttpMethod::Patch => ureq::http::Method::PATCH,
            HttpMethod::Delete => ureq::http::Method::DELETE,
        }
    }
}

impl From<u16> for Statuses {
    fn from(status: u16) -> Self {
        Statuses::One(status)
    }
}

impl<const N: usize> From<[u16; N]> for Statuses {
    fn from(statuses: [u16; N]) -> Self {
        Statuses::Any(statuses.into())
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statuses::One(status) => write!(f, "{status}"),
            Statuses::Any(statuses) => {
                let all: Vec<_> = statuses.iter().map(u16::to_string).collect();
                f.write_str(&all.join(" or "))
            }
        }
    }
}

impl Statuses {
    fn has(&self, status: u16) -> bool {
        match self {
            Statuses::One(one) => *one == status,
            Statuses::Any(any) => any.contains(&status),
        }
    }

    fn validate(&self) -> Result<()> {
        let all = match self {
            Statuses::One(one) => std::slice::from_ref(one),
            Statuses::Any(any) => any,
        };
        ensure!(!all.is_empty(), "there has to be a status, such as `200`");
        let wrong = all.iter().find(|status| !(200..=599).contains(*status));
        wrong.map_or(Ok(()), |status| {
            Err(anyhow!("{status} is no status of an answer: they go from 200 to 599"))
        })
    }
}

/// Whether a status is one of these; of those from 200 on where none are given.
fn is_one_of(status: u16, wanted: Option<&Statuses>) -> bool {
    wanted.map_or((200..300).contains(&status), |wanted| wanted.has(status))
}

impl Expect {
    /// Any status from 200 to 299.
    pub fn success() -> Self {
        Expect::default()
    }

    /// This status, or one of these.
    pub fn status(statuses: impl Into<Statuses>) -> Self {
        Expect { status: Some(statuses.into()), ..Expect::default() }
    }

    /// This text somewhere in the answer.
    pub fn contains(text: impl Into<String>) -> Self {
        Expect { contains: Some(text.into()), ..Expect::default() }
    }

    /// This value at this JSON pointer.
    pub fn json(pointer: impl Into<String>, value: impl Into<Value>) -> Self {
        Expect::default().and_json(pointer, value)
    }

    /// This value at this JSON pointer, too.
    #[must_use]
    pub fn and_json(mut self, pointer: impl Into<String>, value: impl Into<Value>) -> Self {
        self.json.insert(pointer.into(), value.into());
        self
    }

    fn validate(&self) -> Result<()> {
        self.status.as_ref().map_or(Ok(()), Statuses::validate).context("in `expect.status`")?;
        ensure!(self.contains.as_deref() != Some(""), "`expect.contains` must not be empty");
        let wrong = self.json.keys().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/'));
        let hint = "it begins with `/`, such as `/members/0/name`";
        wrong
            .map_or(Ok(()), |pointer| Err(anyhow!("`{pointer}` in `expect.json` is no JSON pointer: {hint}")))
    }

    /// Notes how an answer differs; returns what is handed on of it.
    fn compare(
        &self,
        masked: &(impl Fn(&str) -> String + ?Sized),
        answer: &mut Answer<'_>,
        differences: &mut Vec<[String; 2]>,
    ) -> Result<Handed> {
        let shorten = |text: &str| shorten(&masked(text));
        if self.contains.is_none() && self.json.is_empty() {
            // What nobody expects anything of is no reason to fail either.
            let is_short = answer.length().is_none_or(|length| length <= LONGEST_HANDED as u64);
            let body = if is_short { answer.start(LONGEST_HANDED as u64 + 1).ok() } else { None };
            return Ok(Handed::new(answer.status, body, None));
        }
        let body = answer.start(LONGEST_ANSWER + 1)?;
        ensure!(body.len() as u64 <= LONGEST_ANSWER, "the answer is longer than {LONGEST_ANSWER} bytes");
        let text = String::from_utf8_lossy(&body);
        if let Some(wanted) = self.contains.as_deref().filter(|wanted| !text.contains(*wanted)) {
            let wanted = shorten(&format!("{wanted:?}"));
            differences.push([format!("it does not contain {wanted}"), format!("+ {wanted}")]);
        }
        if self.json.is_empty() {
            return Ok(Handed::new(answer.status, Some(body), None));
        }
        let found: Value = match serde_json::from_slice(&body) {
            Ok(found) => found,
            Err(error) => {
                differences.push(["it is no JSON".to_owned(), format!("! {error}")]);
                return Ok(Handed::new(answer.status, None, None));
            }
        };
        for (pointer, wanted) in &self.json {
            let at = found.pointer(pointer);
            if at.is_some_and(|at| is_same(at, wanted)) {
                continue;
            }
            let at = at.map_or("not there".to_owned(), |at| shorten(&at.to_string()));
            let (name, wanted) =
                (if pointer.is_empty() { "all" } else { pointer }, shorten(&wanted.to_string()));
            differences
                .push([format!("{name} is {at}, not {wanted}"), format!("! {name}: {at} -> {wanted}")]);
        }
        Ok(Handed::new(answer.status, Some(body), Some(found)))
    }
}

/// What is handed on of an answer.
#[derive(Serialize)]
struct Handed {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<ResultText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
}

impl Handed {
    /// `json`: the values of the body, where they have been read already.
    fn new(status: u16, body: Option<Vec<u8>>, json: Option<Value>) -> Self {
        let Some(body) = body.filter(|body| body.len() <= LONGEST_HANDED) else {
            return Handed { status, body: None, json: None };
        };
        let json = json.or_else(|| serde_json::from_slice(&body).ok());
        Handed { status, body: Some(ResultText::from_bytes(body)), json }
    }
}

/// A number that is an integer as it is written; as a float many would be the same.
fn integer(number: &serde_json::Number) -> Option<i128> {
    number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from))
}

/// Whether two values are the same; `1` and `1.0` are.
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => match (integer(found), integer(wanted)) {
            (Some(found), Some(wanted)) => found == wanted,
            _ => found == wanted || found.as_f64() == wanted.as_f64(),
        },
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| is_same(found, wanted))
        }
        (Value::Object(found), Value::Object(wanted)) => {
            let same = |(name, wanted)| found.get(name).is_some_and(|found| is_same(found, wanted));
            found.len() == wanted.len() && wanted.iter().all(same)
        }
        _ => found == wanted,
    }
}

/// The beginning of a text, on one line.
fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

impl SendRequest {
    /// A request with this method, and nothing in it.
    pub fn new(method: HttpMethod) -> Self {
        SendRequest { method, url: None, json: None, body: None, headers: Headers::new(), accept: None }
    }

    /// A POST.
    pub fn post() -> Self {
        SendRequest::new(HttpMethod::Post)
    }

    /// A PUT.
    pub fn put() -> Self {
        SendRequest::new(HttpMethod::Put)
    }

    /// A PATCH.
    pub fn patch() -> Self {
        SendRequest::new(HttpMethod::Patch)
    }

    /// A DELETE.
    pub fn delete() -> Self {
        SendRequest::new(HttpMethod::Delete)
    }

    /// Sends it there.
    #[must_use]
    pub fn to(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sends this JSON value.
    #[must_use]
    pub fn json(mut self, value: impl Into<crate::value::Value>) -> Self {
        self.json = Some(value.into());
        self
    }

    /// Sends this text, which is secret.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        self.body = Some(text.into().into());
        self
    }

    /// Sends this header, whose value is secret, with this request alone.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into().into());
        self
    }

    /// Takes this status, or one of these, for success.
    #[must_use]
    pub fn accept(mut self, statuses: impl Into<Statuses>) -> Self {
        self.accept = Some(statuses.into());
        self
    }
}

impl HttpRequest {
    /// What is at `url` is as expected, and is made so by `send`.
    pub fn new(url: impl Into<String>, expect: Expect, send: SendRequest) -> Self {
        HttpRequest {
            url: url.into(),
            expect,
            send,
            headers: Headers::new(),
            follow_redirects: None,
            timeout: None,
        }
    }

    /// Sends this header, whose value is secret, with both requests.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into().into());
        self
    }

    /// Follows redirects of the check, or not.
    #[must_use]
    pub fn follow_redirects(mut self, follow: bool) -> Self {
        self.follow_redirects = Some(follow);
        self
    }

    /// Lets each request take so long.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    fn validate(&self) -> Result<()> {
        Url::http(&self.url)?;
        self.send.url.as_deref().map(Url::http).transpose()?;
        headers::validate(&self.headers)?;
        headers::validate(&self.send.headers)?;
        self.expect.validate()?;
        self.send.accept.as_ref().map_or(Ok(()), Statuses::validate).context("in `send.accept`")?;
        ensure!(
            self.send.json.is_none() || self.send.body.is_none(),
            "give `json` or `body` to `send`, not both"
        );
        self.send.json.as_ref().map_or(Ok(()), |json| json.validate_numbers("JSON"))
    }

    fn prepare(&self, cx: &Context) -> Result<()> {
        self.validated()?;
        headers::mask(cx, &self.headers);
        headers::mask(cx, &self.send.headers);
        if let Some(body) = &self.send.body {
            cx.mask(body);
        }
        Ok(())
    }

    /// The headers of the request that is sent.
    fn headers_to_send(&self) -> Headers {
        let mut headers = self.send.headers.clone();
        let is_given =
            |headers: &Headers, name: &str| headers.keys().any(|given| given.eq_ignore_ascii_case(name));
        for (name, value) in &self.headers {
            if !is_given(&headers, name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if self.send.json.is_some() && !is_given(&headers, "content-type") {
            headers.insert("Content-Type".to_owned(), "application/json".to_owned().into());
        }
        headers
    }
}

impl Job for HttpRequest {
    fn name(&self) -> String {
        let url = self.send.url.as_ref().unwrap_or(&self.url);
        let shown = Url::http(url).map_or_else(|_| "…".to_owned(), |url| url.to_string());
        format!("HttpRequest {} {shown}", self.send.method.raw())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.prepare(cx)?;
        let url = Url::http(&self.url)?;
        let follow = self.follow_redirects.unwrap_or(true);
        let masked = cx.masking();
        let ask = || {
            with_client(cx, Patience::in_all(self.timeout), |client| {
                let call = Call::new(ureq::http::Method::GET, &url, &self.headers);
                let mut answer = client.send(&Call { follow, ..call })?;
                let mut differences = Vec::new();
                if is_one_of(answer.status, self.expect.status.as_ref()) {
                    let handed = self.expect.compare(&masked, &mut answer, &mut differences)?;
                    return Ok((differences, Some(handed)));
                }
                if answer.tells_nothing() {
                    return Err(answer.refused());
                }
                let wanted = self.expect.status.as_ref().map_or("2xx".to_owned(), Statuses::to_string);
                let status = answer.status;
                differences.push([
                    format!("it answers with status {status}, not {wanted}"),
                    format!("! status: {status} -> {wanted}"),
                ]);
                Ok((differences, None))
            })
        };
        let (found, handed) = ask().map_err(|error| {
            let source: Box<dyn std::error::Error + Send + Sync> = error.into();
            CouldNotFindOut::new(format!("what {url} says")).because(source)
        })?;
        if found.is_empty() {
            return Ok(cx.set_result(handed)?);
        }
        let [reasons, lines] =
            [0, 1].map(|part| found.iter().map(|pair| pair[part].clone()).collect::<Vec<_>>());
        let mut differences = Differences::new();
        differences.add_difference(
            format!("{url} is not as wanted: {}", reasons.join("; ")),
            lines.join("\n") + "\n",
        );
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.prepare(cx)?;
        let url = Url::http(self.send.url.as_ref().unwrap_or(&self.url))?;
        let headers = self.headers_to_send();
        let json = self.send.json.as_ref().map(ToString::to_string);
        let body = match (&json, &self.send.body) {
            (Some(json), _) => Body::Bytes(json.as_bytes()),
            (None, Some(body)) => Body::Bytes(body.expose().as_bytes()),
            (None, None) => Body::Empty,
        };
        let method = self.send.method.raw();
        let send = || {
            with_client(cx, Patience::in_all(self.timeout), |client| {
                let mut answer = client.send(&Call { body, ..Call::new(method.clone(), &url, &headers) })?;
                if is_one_of(answer.status, self.send.accept.as_ref()) {
                    return Ok(());
                }
                let said = answer.start(4 * SHOWN as u64).unwrap_or_default();
                let said = shorten(String::from_utf8_lossy(&said).trim());
                let error = answer.refused();
                Err(if said.is_empty() { error } else { anyhow!("{error}, and says: {said}") })
            })
        };
        send().with_context(|| format!("failed to send {method} to {url}"))
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        let same = |found: &str, wanted: &str| {
            is_same(&serde_json::from_str(found).unwrap(), &serde_json::from_str(wanted).unwrap())
        };
        assert!(same("1", "1.0") && same("[{\"a\": 1.0}]", "[{\"a\": 1}]") && same("null", "null"));
        assert!(
            !same("9007199254740993", "9007199254740992") && same("-9007199254740993", "-9007199254740993")
        );
        assert!(!same("1", "\"1\"") && !same("[1]", "[1, 2]") && !same("{\"a\": 1, \"b\": 2}", "{\"a\": 1}"));
    }

    #[test]
    fn what_is_shown_has_an_end_and_one_line() {
        assert_eq!(shorten("a\nb\x1b"), "a b ");
        assert_eq!(shorten(&"ä".repeat(SHOWN)), "ä".repeat(SHOWN));
        assert_eq!(shorten(&"ä".repeat(SHOWN + 1)), "ä".repeat(SHOWN) + "…");
    }
}
