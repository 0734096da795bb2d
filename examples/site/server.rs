//! The server of the site: the job that keeps it running, and the server itself, which is this program in the background.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dojob::{Clock, Context, Deps, Job, Result, Retry, SystemClock, Wake, deps};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{LOG_FILE, PATIENCE, PID_FILE, Port, in_html, pages, root};

/// The server of this site runs in the background and serves its pages.
#[derive(Clone, PartialEq)]
pub(crate) struct Server;

impl Job for Server {
    fn deps(&self) -> Deps {
        let mut deps = deps![Port];
        deps.extend(pages());
        deps
    }
    fn retry(&self) -> Retry {
        Retry::tries(12).delay(Duration::from_millis(250))
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        if let Some(reason) = cx.local().get::<String>("taken")? {
            // The check said so a moment ago, and nothing has changed since.
            bail!("{reason}");
        }
        let (root, port) = (root(cx)?, cx.result::<u16>("Port")?);
        let Some(answer) = ask(port) else {
            let log = root.join(LOG_FILE);
            let hint = if log.exists() { format!("; its log is {}", log.display()) } else { String::new() };
            bail!("no server listens at {}{hint}", address(port));
        };
        let mut head = answer.lines().take_while(|line| !line.is_empty());
        match head.find_map(|line| line.strip_prefix("X-Site: ")) {
            Some(site) if site == identity(&root)? => {}
            None if answer.is_empty() && living_server(&root).is_some() => {
                bail!("the server does not answer")
            }
            other => {
                let who =
                    other.map_or("another program".into(), |site| format!("another site's server, {site}"));
                let reason = format!("port {port} is taken by {who}; choose another with --port");
                cx.local().set("taken", &reason)?;
                bail!("{reason}");
            }
        }
        let first_page = fs::read_to_string(root.join("public/index.html"))?;
        let is_first_page =
            answer.starts_with("HTTP/1.0 200 ") && answer.ends_with(&format!("\r\n\r\n{first_page}"));
        ensure!(is_first_page, "{} does not answer with the first page", address(port));
        ensure!(living_server(&root).is_some(), "the server is not the one of {PID_FILE}");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(cx.local().get::<String>("taken")?.is_none(), "nothing can be done about another's server");
        let started: Option<i32> = cx.global().get("server")?;
        if started.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok()) {
            cx.log("the server was started, and needs a little longer");
            return Ok(());
        }
        let (root, port) = (root(cx)?, cx.result::<u16>("Port")?);
        if let Some(old) = living_server(&root) {
            cx.log(format_args!("ending process {}", old.as_raw_pid()));
            end_server(&root, old)?;
        }
        let myself = std::env::current_exe().context("failed to find this program's own file")?;
        let server = cx.command(myself).arg("--serve").arg("--root").arg(&root);
        let pid = server.arg("--port").arg(port.to_string()).detach(root.join(LOG_FILE))?;
        Ok(cx.global().set("server", pid)?)
    }
}

pub(crate) fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// The response to a request for the first page, possibly empty. `None` if nothing listens.
pub(crate) fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET / HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    // Some servers keep the connection open after the response, and some never finish it.
    let (clock, mut answer, mut buffer) = (SystemClock::new(), Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
        if answer.len() > 64 * 1024 || clock.now() > 2 * PATIENCE {
            break;
        }
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Identifies the server of a site: the site's path, encoded for a header.
pub(crate) fn identity(root: &Path) -> Result<String> {
    let root = root.canonicalize().with_context(|| format!("failed to find {}", root.display()))?;
    Ok(root.display().to_string().escape_default().to_string())
}

/// The process in the server's pid file, if it is alive: then it holds a lock on that file. So an unrelated process that
/// reuses the pid of a dead server is never mistaken for it.
pub(crate) fn living_server(root: &Path) -> Option<Pid> {
    let file = File::open(root.join(PID_FILE)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Pid::from_raw(io::read_to_string(file).ok()?.trim().parse().ok()?),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

pub(crate) fn end_server(root: &Path, pid: Pid) -> Result<()> {
    for signal in [Signal::TERM, Signal::KILL] {
        let _ = kill_process(pid, signal);
        // A stopped process receives the signal only once it continues.
        let _ = kill_process(pid, Signal::CONT);
        if wait_until(2 * PATIENCE, || living_server(root) != Some(pid)) {
            return Ok(());
        }
    }
    bail!("failed to end process {}, the server of {}", pid.as_raw_pid(), root.display())
}

/// Polls; returns whether the condition became true in time.
pub(crate) fn wait_until(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let clock = SystemClock::new();
    while !is_so() {
        if clock.now() >= limit {
            return false;
        }
        pause(Duration::from_millis(10));
    }
    true
}

fn pause(time: Duration) {
    // A new clock starts at zero.
    SystemClock::new().wait(Some(time), &Wake::default());
}

/// The background process.
pub(crate) fn serve(root: &Path, port: u16) -> Result<()> {
    let site = identity(root)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to listen at {}", address(port)))?;
    let path = root.join(PID_FILE);
    let mut file = File::options().create(true).write(true).truncate(false).open(&path)?;
    ensure!(wait_until(2 * PATIENCE, || file.try_lock().is_ok()), "another server of this site is at work");
    file.set_len(0)?;
    let pid = format!("{}\n", std::process::id());
    file.write_all(pid.as_bytes())?;
    println!("process {} answers at {}", std::process::id(), address(port));

    // A server whose pid file is gone, or belongs to another server, is no longer wanted.
    std::thread::spawn(move || {
        while fs::read_to_string(&path).is_ok_and(|found| found == pid) {
            pause(PATIENCE);
        }
        println!("ends: {} does not name it any more", path.display());
        std::process::exit(0);
    });
    for stream in listener.incoming().flatten() {
        let (root, site) = (root.to_owned(), site.clone());
        std::thread::spawn(move || answer(&stream, &root, &site));
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, root: &Path, site: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.take(64 * 1024)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // Read to the end: closing a connection with unread data can lose the response.
    lines.map_while(io::Result::ok).find(String::is_empty);

    let asked = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next());
    // Only files written by this program are served.
    let page = pages().map(|page| page.path()).find(|page| {
        let path = page.strip_prefix("public/").unwrap_or(page);
        asked == Some(path) || asked == path.strip_suffix("index.html")
    });
    let (status, body) = match page.map(|page| fs::read_to_string(root.join(page))) {
        Some(Ok(body)) => ("200 OK", body),
        _ => ("404 Not Found", in_html("Not found", "")),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.0 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         X-Site: {site}\r\n\r\n{body}"
    )
}

/// Stops the server of the site in `root`, and prints what was done.
pub(crate) fn stop(root: &Path) -> Result<()> {
    let Some(pid) = living_server(root) else {
        println!("No server of {} is at work.", root.display());
        return Ok(());
    };
    end_server(root, pid)?;
    // The pid may soon be reused, so it must not stay in the file.
    let _ = fs::remove_file(root.join(PID_FILE));
    println!("The server of {}, process {}, has ended.", root.display(), pid.as_raw_pid());
    Ok(())
}
