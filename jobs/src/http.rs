//! HTTP for jobs: requests that time out, end when the run is asked to stop, never send a secret to somebody else, and say what was
//! wrong and what to do about it.
//!
//! The only room that knows the library.

pub(crate) mod headers;
pub(crate) mod trust;
pub(crate) mod url;

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use dojob::Context;
use ureq::http::header::{CONTENT_LENGTH, LOCATION};
use ureq::http::{HeaderMap, Method, Request};
use ureq::{Agent, SendBody};

pub(crate) use self::headers::Headers;
use self::trust::trusted;
pub(crate) use self::url::Url;
use crate::span::Span;

/// How long a server may be silent unless a job says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 10;

/// How long until a request to stop is noticed.
const NOTICE: Duration = Duration::from_millis(50);

/// What went wrong between us and a server.
#[derive(Debug, thiserror::Error)]
#[error("{what}{hint}")]
pub(crate) struct HttpError {
    what: String,
    hint: String,
    #[source]
    source: Option<ureq::Error>,
}

impl HttpError {
    fn new(what: impl Into<String>, hint: &str) -> Self {
        let hint = if hint.is_empty() { String::new() } else { format!(" ({hint})") };
        HttpError { what: what.into(), hint, source: None }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For name, connection, and each piece that is sent or received.
    pub(crate) silence: Duration,
    /// For one request with all of its answer; no bound where the size is not known.
    pub(crate) total: Option<Duration>,
}

impl Patience {
    /// For what may be large: a server that goes on talking may take as long as it likes.
    pub(crate) fn while_it_talks(timeout: Option<Span>) -> Self {
        Patience { silence: timeout.map_or(TIMEOUT, Span::duration), total: None }
    }

    /// For what is small.
    pub(crate) fn in_all(timeout: Option<Span>) -> Self {
        let timeout = timeout.map_or(TIMEOUT, Span::duration);
        Patience { silence: timeout, total: Some(timeout) }
    }
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a Headers,
    /// Headers of our own, for every server.
    pub(crate) own: &'a [(&'a str, String)],
    pub(crate) body: Body<'a>,
    /// Whether redirects are followed; asked of GET and HEAD alone.
    pub(crate) follow: bool,
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// The file from its offset on, so many bytes.
    File(&'a File, u64),
}

impl<'a> Call<'a> {
    /// A request without a body.
    pub(crate) fn new(method: Method, url: &'a Url, headers: &'a Headers) -> Self {
        Call { method, url, headers, own: &[], body: Body::Empty, follow: true }
    }
}

/// What the server says.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: ureq::Body,
    client: &'a Client,
    /// Who says it, behind all redirects.
    pub(crate) url: Url,
}

impl Answer<'_> {
    /// The value of a header, where there is one that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// How long the body is said to be.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The body, as it comes.
    pub(crate) fn reader(&mut self) -> impl Read {
        UntilStopped { inner: self.body.as_reader(), client: self.client }
    }

    /// What an error of the reader means.
    pub(crate) fn explain(&self, error: io::Error) -> anyhow::Error {
        self.client.explain(ureq::Error::from(error), &self.url).into()
    }

    /// What an answer means that is not the one hoped for.
    pub(crate) fn refused(&self) -> anyhow::Error {
        let hint = match self.status {
            401 | 403 => " (does it need a header such as `Authorization`?)",
            404 | 410 => " (there is nothing of that name; is the URL right?)",
            407 => " (the proxy wants to know who you are)",
            429 | 500..=599 => " (trouble of the server; later it may work)",
            300..=399 if self.headers.contains_key(LOCATION) => " (a redirect, which is not followed here)",
            300..=399 => " (a redirect to nowhere)",
            _ => "",
        };
        anyhow!("{} answers with status {}{hint}", self.url, self.status)
    }

    /// Whether the answer leaves open how things are: the server has trouble, or does not tell everybody.
    pub(crate) fn tells_nothing(&self) -> bool {
        matches!(self.status, 401 | 403 | 407 | 408 | 429 | 500..=599)
    }

    /// The body, as far as `limit` bytes go.
    ///
    /// # Errors
    /// When it breaks off.
    pub(crate) fn start(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let read = self.reader().take(limit).read_to_end(&mut start);
        read.map(|_| start).map_err(|error| self.explain(error))
    }
}

/// A reader that fails when the run is asked to stop, however fast the server is.
struct UntilStopped<'c, R> {
    inner: R,
    client: &'c Client,
}

impl<R: Read> Read for UntilStopped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.client.is_stopped() {
            return Err(io::Error::other("the run was asked to stop"));
        }
        self.inner.read(buffer)
    }
}

/// Sends requests.
pub(crate) struct Client {
    agent: Agent,
    patience: Patience,
    /// Set when the run is asked to stop: what its thread does beside requests cannot ask.
    stopped: Arc<AtomicBool>,
}

/// Calls `work` with a client, on a thread of its own, so that it ends when the run is asked to stop: a read that waits for a server
/// cannot look. `work` itself should not take long without the client.
///
/// # Errors
/// Those of `work`; when the run was asked to stop, that.
pub(crate) fn with_client<T: Send>(
    cx: &Context,
    patience: Patience,
    work: impl FnOnce(&Client) -> Result<T> + Send,
) -> Result<T> {
    let agent = Agent::new_with_config(
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("dojob/", env!("CARGO_PKG_VERSION")))
            .timeout_global(patience.total)
            .timeout_resolve(Some(patience.silence))
            .timeout_connect(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            .tls_config(trusted(cx))
            .build(),
    );
    let stopped = Arc::new(AtomicBool::new(false));
    let client = Client { agent: agent.clone(), patience, stopped: stopped.clone() };
    thread::scope(|scope| {
        let (done, waiting) = channel();
        scope.spawn(move || {
            // Nobody listens any more where the run was asked to stop.
            let _ = done.send(work(&client));
        });
        loop {
            match waiting.recv_timeout(NOTICE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if cx.is_cancelled() => {
                    stopped.store(true, Ordering::Relaxed);
                    agent.shutdown();
                    return Err(anyhow!("the run was asked to stop"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // It panicked, and the scope goes on with that.
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the request came to no end")),
            }
        }
    })
}

impl Client {
    /// Whether work on its thread has to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Sends a request, and follows redirects where it may. An answer of any status is an answer.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<Answer<'_>> {
        let mut url = call.url.clone();
        let follow = call.follow && [Method::GET, Method::HEAD].contains(&call.method);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.agent.run(request(call, &url)?).map_err(|error| self.explain(error, &url))?;
            let (parts, body) = response.into_parts();
            let answer =
                Answer { status: parts.status.as_u16(), headers: parts.headers, body, client: self, url };
            let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let location = answer.headers.get(LOCATION).filter(|_| follow && is_redirect);
            let Some(location) = location else { return Ok(answer) };
            let location =
                location.to_str().map_err(|_| anyhow!("{} redirects to what is no URL", answer.url))?;
            url = answer.url.join(location)?;
        }
        let hint = "is it a circle?";
        Err(HttpError::new(format!("{} redirects more than {MOST_REDIRECTS} times", call.url), hint).into())
    }

    fn explain(&self, error: ureq::Error, url: &Url) -> HttpError {
        use io::ErrorKind;
        let silence = Span::from(self.patience.silence);
        let (what, hint) = match &error {
            error if is_unknown_name(error) => (
                format!("there is no host {}", url.host()),
                "is the name right, and does this machine find names?",
            ),
            ureq::Error::Timeout(ureq::Timeout::Global) => {
                (format!("{url} took longer than {silence}"), "set a longer `timeout`")
            }
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => (
                format!("{} did not answer within {silence}", url.host()),
                "is there a firewall, or a proxy to be used?",
            ),
            ureq::Error::Timeout(_) => (format!("{url} was silent for {silence}"), "set a longer `timeout`"),
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => (
                format!("nothing listens at {}", url.origin()),
                "does the server run, and is the port right?",
            ),
            ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                (format!("{url} broke off"), "")
            }
            error if is_of_tls(error) && error.to_string().contains("certificate") => (
                format!("{} could not be trusted", url.origin()),
                "if its certificate is signed by an authority of your own, add that to the system's, or name its file in SSL_CERT_FILE",
            ),
            error if is_of_tls(error) => (
                format!("{} does not encrypt as it should", url.origin()),
                "is it a server for https at all?",
            ),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                (format!("{url} gave no answer that can be understood"), "is it a server for HTTP at all?")
            }
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => (
                "the proxy did not connect us".to_owned(),
                "look at the environment: https_proxy, http_proxy, no_proxy",
            ),
            _ => (format!("{url} could not be asked"), ""),
        };
        HttpError { source: Some(error), ..HttpError::new(what, hint) }
    }
}

/// Whether the encryption failed. The library hands on such an error as one of reading.
fn is_of_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Whether a name is not known, or nobody could be asked for it: the standard library has no kind of error for that.
fn is_unknown_name(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(error) => error.to_string().starts_with("failed to lookup address information"),
        _ => false,
    }
}

/// The request for the library. Headers that were given are for the server that was named, and nobody else.
fn request(call: &Call<'_>, url: &Url) -> Result<Request<SendBody<'static>>> {
    let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
    if url.same_origin(call.url) {
        for (name, value) in call.headers {
            request = request.header(name, value.expose());
        }
    }
    for (name, value) in call.own {
        request = request.header(*name, value);
    }
    let body = match call.body {
        Body::Empty => SendBody::none(),
        Body::Bytes(bytes) => {
            request = request.header(CONTENT_LENGTH, bytes.len());
            SendBody::from_owned_reader(io::Cursor::new(bytes.to_vec()))
        }
        Body::File(file, length) => {
            request = request.header(CONTENT_LENGTH, length);
            SendBody::from_owned_reader(file.try_clone()?.take(length))
        }
    };
    // Headers are the only thing that was not looked at before, when they were made in Rust; their values are not told.
    request.body(body).map_err(|_| anyhow!("the request for {url} has a header that cannot be sent"))
}
