//! Whom an encrypted connection is trusted to.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dojob::Outcome;
use dojob_jobs::Download;

use super::support::{failures, has, outcome, run};

/// Where the child of this test finds the server, and what it is to come to.
const PORT: &str = "DOJOB_TEST_TLS_PORT";

/// An authority, and a certificate of it for 127.0.0.1.
fn certificates(root: &Path) {
    let openssl = |args: &[&str]| {
        let new = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        let made = run(Command::new("openssl").args(new).args(args).current_dir(root));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl(&["-subj", "/CN=Authority", "-keyout", "ca.key", "-out", "ca.pem"]);
    openssl(&[
        "-subj",
        "/CN=Server",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that gives away the files of a directory, and its port.
fn server(root: &Path) -> (Server, String) {
    let mut child = Command::new("openssl");
    child.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-WWW"]);
    let mut child = child
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let server = Server(child);
    let mut lines = output.lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("ACCEPT")).expect("it says where it listens");
    let (_, port) = line.rsplit_once(':').expect("host and port");
    (server, port.to_owned())
}

#[test]
fn an_authority_of_ones_own_counts_where_it_is_named() {
    if let Ok(port) = std::env::var(PORT) {
        let root = tempfile::tempdir().unwrap();
        let job = |host: &str| Download::new(format!("https://{host}:{port}/file"), root.path().join("file"));
        if std::env::var_os("SSL_CERT_FILE").is_some_and(|file| Path::new(&file).ends_with("ca.pem")) {
            // The certificate is for an address, and for nobody else.
            assert!(
                failures(job("localhost"))[1].contains(&format!("localhost:{port} could not be trusted"))
            );
            assert_eq!(outcome(job("127.0.0.1")), Outcome::Changed);
        } else {
            let failed = failures(job("127.0.0.1"));
            assert!(
                failed[1].contains(&format!("127.0.0.1:{port} could not be trusted (if its certificate is")),
                "{failed:?}"
            );
        }
        return;
    }
    if !has("openssl") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    certificates(root.path());
    // Sent as it is, so with what a server says before.
    std::fs::write(root.path().join("file"), "Hello\n").unwrap();
    let (_server, port) = server(root.path());
    for trust in [None, Some("ca.pem"), Some("nothing.pem")] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["tls::an_authority_of_ones_own_counts_where_it_is_named", "--exact"]).env(PORT, &port);
        child.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        if let Some(trust) = trust {
            child.env("SSL_CERT_FILE", root.path().join(trust));
        }
        let ran = run(&mut child);
        assert!(ran.status.success(), "{trust:?} {}", String::from_utf8_lossy(&ran.stdout));
    }
}
