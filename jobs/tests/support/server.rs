//! A small server for tests, on a free port, which answers as it is told, wrongly too.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request that came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What is sent back, byte by byte, and whether the connection is closed then or kept open in silence.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// In place of all that.
    raw: Option<Vec<u8>>,
    hang: bool,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: Vec::new(), raw: None, hang: false }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Reply { body: body.into(), ..Reply::status(200) }
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a header; `content-length` in place of the right one.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn redirect(status: u16, to: impl Into<String>) -> Self {
        Reply::status(status).header("location", to)
    }

    /// Exactly these bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Reply { raw: Some(bytes.into()), ..Reply::status(0) }
    }

    /// Keeps the connection open when all is sent.
    pub(crate) fn hang(mut self) -> Self {
        self.hang = true;
        self
    }

    fn bytes(&self, head: bool) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut text = format!("HTTP/1.1 {} Told\r\nconnection: close\r\n", self.status);
        if !self.headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding") {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if !head {
            bytes.extend(&self.body);
        }
        bytes
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// Ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Dropped with the server: whoever keeps a connection open waits for that.
    alive: Option<Sender<()>>,
    accepting: Option<thread::JoinHandle<()>>,
    /// Removed in the end.
    remove: Option<PathBuf>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (alive, until_dropped) = channel();
        let until_dropped = Arc::new(Mutex::new(until_dropped));
        let handler: Arc<Handler> = Arc::new(handler);
        let all = seen.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (handler, all, until_dropped) = (handler.clone(), all.clone(), until_dropped.clone());
                if until_dropped.lock().expect("nobody panics").try_recv()
                    == Err(std::sync::mpsc::TryRecvError::Disconnected)
                {
                    return;
                }
                thread::spawn(move || serve(stream, &*handler, &all, &until_dropped));
            }
        });
        Server { address, seen, alive: Some(alive), accepting: Some(accepting), remove: None }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has come so far, and is forgotten.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("nobody panics"))
    }
}

/// A server that the processes share which a proof starts to be killed: they are started by the test that has it. Its address is the
/// same for all; the server is that of the first.
pub(crate) fn shared(name: &str, start: impl FnOnce() -> Server) -> (Option<Server>, String) {
    let file = |pid: u32| std::env::temp_dir().join(format!("dojob-test-server-{pid}-{name}"));
    if std::env::var_os("DOJOB_PROOF_VICTIM").is_some() {
        let parent = std::os::unix::process::parent_id();
        return (None, std::fs::read_to_string(file(parent)).expect("the parent has written it"));
    }
    let mut server = start();
    let url = server.url("/");
    let file = file(std::process::id());
    std::fs::write(&file, &url).expect("a temporary file");
    server.remove = Some(file);
    (Some(server), url)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(file) = &self.remove {
            let _ = std::fs::remove_file(file);
        }
        drop(self.alive.take());
        // So that it looks.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().expect("it was started").join();
    }
}

fn serve(stream: TcpStream, handler: &Handler, all: &Mutex<Vec<Seen>>, until_dropped: &Mutex<Receiver<()>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) => return,
        Ok(_) => {}
        // No text: somebody wants to encrypt.
        Err(_) => return drop((&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, path, headers, body: Vec::new() };
    let length: u64 = seen.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    let _ = reader.take(length).read_to_end(&mut seen.body);
    all.lock().expect("nobody panics").push(seen.clone());
    let reply = handler(&seen);
    let mut stream = stream;
    let _ = stream.write_all(&reply.bytes(seen.method == "HEAD"));
    let _ = stream.flush();
    if reply.hang {
        let _ = until_dropped.lock().expect("nobody panics").recv();
    }
}
