//! [`Upload`]: a file of this machine, on a server.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dojob::{Context, CouldNotFindOut, Job, NotAsWanted, OrCouldNotFindOut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

use crate::disk::inspect::{self, Found, Links, OpenFile};
use crate::disk::path;
use crate::http::{Answer, Body, Call, Client, Headers, Patience, Url, headers, url, with_client};
use crate::span::Span;

/// Compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// A file of this machine is on a server.
///
/// The run sends it by PUT, as a stream. The check asks by HEAD (by GET where the server does not know HEAD): for the size, and for a
/// SHA-256, which servers tell in `Repr-Digest`, `Digest`, `X-Checksum-Sha256` or as an `ETag` of 64 digits. Where the size is right, and
/// no hash is told, the file is fetched and compared, unless `size_only` says that its size will do.
///
/// No answer, or one that leaves open how things are (401, 403, 407, 408, 429 and all from 500 on), means that the check could not find
/// out: then nothing is sent.
///
/// Redirects of the check are followed, but not from `https` to `http`, and `headers` are sent to the server of the URL alone; a redirect
/// of the upload is an error. A proxy is found in the environment (`https_proxy`, `http_proxy`, `no_proxy`).
///
/// Its result: `url`, the address of the file, without a query, which may be secret.
///
/// ```
/// # use dojob_jobs::Upload;
/// Upload::new("/var/backups/site.tar.gz", "https://store.example/site.tar.gz")
///     .header("Authorization", "Bearer hunter2");
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-target" = { "by": "url" }))]
#[schemars(extend("x-dojob-result" = { "url": false }))]
pub struct Upload {
    /// The file, such as `/var/backups/site.tar.gz`.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// Where it is to be, such as `https://store.example/site.tar.gz`.
    #[serde(deserialize_with = "url::http")]
    pub url: String,
    /// Where the check asks for it; unless given, at `url`. For servers that give away under another address what they take under
    /// this one, and for signed URLs, which are good for one method.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "url::optional_http")]
    pub check_url: Option<String>,
    /// Headers of all requests by name, such as `{"Authorization": "Bearer …"}`. Their values are secret.
    #[serde(default, skip_serializing_if = "Headers::is_empty", deserialize_with = "headers::headers")]
    pub headers: Headers,
    /// Whether the right size will do where the server tells no hash: for what is too large to be fetched each time. A change that keeps
    /// the size is then not seen. Unless given, no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub size_only: bool,
    /// How long the server may be silent, such as `2 min`; 30 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

impl Upload {
    /// The file at `path`, at `url`.
    pub fn new(path: impl Into<PathBuf>, url: impl Into<String>) -> Self {
        Upload {
            path: path.into(),
            url: url.into(),
            check_url: None,
            headers: Headers::new(),
            size_only: false,
            timeout: None,
        }
    }

    /// Asks there for it.
    #[must_use]
    pub fn check_url(mut self, url: impl Into<String>) -> Self {
        self.check_url = Some(url.into());
        self
    }

    /// Sends this header, whose value is secret.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into().into());
        self
    }

    /// Is content with the right size where no hash is told.
    #[must_use]
    pub fn size_only(mut self) -> Self {
        self.size_only = true;
        self
    }

    /// Lets the server be silent for so long.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    fn prepare(&self, cx: &Context) -> Result<OpenFile> {
        path::validate_named(&self.path)?;
        headers::validate(&self.headers)?;
        headers::mask(cx, &self.headers);
        let stop = |why: String| Err(CouldNotFindOut::new(says(&self.path)).permanent().because(why).into());
        match inspect::open(&self.path, Links::Follow)? {
            Found::File(file) => Ok(file),
            Found::Nothing => stop("there is no such file".to_owned()),
            other => stop(format!("it is {}, and no file", other.what().unwrap_or_default())),
        }
    }

    /// How what is on the server differs; nothing where it does not.
    fn difference(&self, client: &Client, url: &Url, file: &mut OpenFile) -> Result<Option<NotAsWanted>> {
        // Servers may tell a hash to those who ask.
        let own = [("want-repr-digest", "sha-256=10".to_owned()), ("want-digest", "sha-256".to_owned())];
        let ask = |method| client.send(&Call { own: &own, ..Call::new(method, url, &self.headers) });
        let mut answer = ask(Method::HEAD)?;
        let mut has_body = false;
        if matches!(answer.status, 405 | 501) {
            answer = ask(Method::GET)?;
            has_body = true;
        }
        match answer.status {
            200 => {}
            404 | 410 => {
                return Ok(Some(
                    NotAsWanted::new(format!("{url} does not exist")).difference(nothing(client, file)?),
                ));
            }
            _ => return Err(answer.refused()),
        }
        let size = file.meta.size;
        if let Some(found) = answer.length().filter(|found| *found != size) {
            let error = NotAsWanted::new(format!("{url} has {found} bytes, not {size}"));
            return Ok(Some(
                error
                    .difference(format!("{found} bytes -> {}", file.digest_unless(&|| client.is_stopped())?)),
            ));
        }
        if let Some(found) = told_hash(&answer) {
            let own = file.digest_unless(&|| client.is_stopped())?;
            return Ok((found != own.sha256).then(|| {
                NotAsWanted::new(format!("{url} has another content"))
                    .difference(format!("sha256 {} -> {own}", inspect::hex(&found)))
            }));
        }
        if self.size_only && answer.length().is_some() {
            return Ok(None);
        }
        if !has_body {
            answer = ask(Method::GET)?;
            if answer.status != 200 {
                return Err(answer.refused());
            }
        }
        Ok((!is_in(&mut answer, file)?).then(|| NotAsWanted::new(format!("{url} has another content"))))
    }
}

fn says(path: &Path) -> String {
    format!("what {} says", path.display())
}

fn nothing(client: &Client, file: &mut OpenFile) -> Result<String> {
    Ok(format!("nothing -> {}", file.digest_unless(&|| client.is_stopped())?))
}

/// The SHA-256 that a server tells of its file; nothing where what it says could be something else.
fn told_hash(answer: &Answer<'_>) -> Option<[u8; 32]> {
    let from_base64 = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
    let listed = |name: &str| {
        let list = answer.header(name)?.to_owned();
        let mut items = list.split(',').filter_map(|item| item.trim().split_once('='));
        let (_, value) = items.find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))?;
        from_base64(value.trim_matches(':'))
    };
    let in_digits = |name: &str| from_digits(answer.header(name)?.trim_matches('"'));
    listed("repr-digest")
        .or_else(|| listed("digest"))
        .or_else(|| in_digits("x-checksum-sha256"))
        .or_else(|| in_digits("etag"))
}

fn from_digits(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Whether the answer's body is what the file says.
fn is_in(answer: &mut Answer<'_>, file: &mut OpenFile) -> Result<bool> {
    let compare = |answer: &mut Answer<'_>, file: &mut OpenFile| {
        let mut reader = answer.reader();
        let (mut piece, mut own) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            let length = reader.read(&mut piece)?;
            if length == 0 {
                return Ok(file.file.read(&mut own)? == 0);
            }
            let same = file.file.read_exact(&mut own[..length]).is_ok() && own[..length] == piece[..length];
            if !same {
                return Ok(false);
            }
        }
    };
    compare(answer, file).map_err(|error| answer.explain(error))
}

impl Job for Upload {
    fn name(&self) -> String {
        let shown = Url::http(&self.url).map_or_else(|_| "…".to_owned(), |url| url.to_string());
        format!("Upload {} to {shown}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let mut file = self.prepare(cx)?;
        let target = Url::http(&self.url)?;
        let url = Url::http(self.check_url.as_ref().unwrap_or(&self.url))?;
        let asked = with_client(cx, Patience::while_it_talks(self.timeout), |client| {
            self.difference(client, &url, &mut file)
        });
        if let Some(difference) = asked.or_could_not_find_out(format!("what {url} is"))? {
            return Err(difference.into());
        }
        Ok(cx.set_result(json!({ "url": target.to_string() }))?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mut file = self.prepare(cx)?;
        let url = Url::http(&self.url)?;
        // The size may be another than a moment ago; what is sent has to be as long as it is said to be.
        let size = file.file.seek(std::io::SeekFrom::End(0))?;
        file.file.rewind()?;
        let send = || {
            with_client(cx, Patience::while_it_talks(self.timeout), |client| {
                let body = Body::File(&file.file, size);
                let answer = client.send(&Call { body, ..Call::new(Method::PUT, &url, &self.headers) })?;
                if (200..300).contains(&answer.status) { Ok(()) } else { Err(answer.refused()) }
            })
        };
        send().with_context(|| format!("failed to upload {} to {url}", self.path.display()))
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
    fn a_hash_has_64_digits() {
        let hash = inspect::Fingerprint::of_bytes(b"x");
        assert_eq!(from_digits(&hash.hex()), Some(hash.sha256));
        assert_eq!(from_digits(&hash.hex().to_uppercase()), Some(hash.sha256));
        assert_eq!(from_digits("d41d8cd98f00b204e9800998ecf8427e"), None, "an MD5");
        assert_eq!(from_digits(&"g".repeat(64)), None);
        assert_eq!(from_digits(&"é".repeat(32)), None);
    }
}
