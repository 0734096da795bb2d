//! [`Download`]: a file from the net.
//!
//! Does not try again: that is the engine's.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, CouldNotFindOut, Job, OrCouldNotFindOut};
use rustix::fs::{AtFlags, Mode as RawMode, OFlags};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use sha2::{Digest, Sha256};
use ureq::http::Method;

use crate::disk::differ::Differences;
use crate::disk::inspect::{self, Fingerprint, Found, Links, OpenFile};
use crate::disk::owner::{Attributes, Resolved};
use crate::disk::removal::remove_at;
use crate::disk::{Group, Mode, Owner, path, write};
use crate::early;
use crate::http::{self, Answer, Call, Client, Headers, Patience, Url, headers, url, with_client};
use crate::size::Size;
use crate::span::Span;

/// How the file is opened that is to be replaced.
#[cfg(any(target_os = "linux", target_os = "android"))]
const OLD: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// A file from the net, or a copy of one on this machine.
///
/// With `sha256` the check needs no net: it compares the hash of the file that is there. A download that breaks off is taken up where it
/// ended, also by a later start, where the server can do that; what is there so far lies beside as `.dojob-….part`. What
/// arrives with another hash never gets to its place.
///
/// Without `sha256` nobody can tell whether the file is right: the check is content with any file at the path (for a
/// `file:` URL it compares the two). So give one, unless the URL stands for "whatever is the latest when there is none yet".
///
/// The file is replaced in one step, when it is complete. A symbolic link at the path is followed. Redirects are followed, but not
/// from `https` to `http`, and `headers` are sent to the server of the URL alone. A proxy is found in the environment
/// (`https_proxy`, `http_proxy`, `no_proxy`).
///
/// Its result: `path`, the absolute path of the file; its `size` in bytes; and its `sha256`, where one is given or the URL is a
/// `file:` URL.
///
/// ```
/// # use dojob_jobs::Download;
/// Download::new("https://example.org/app-1.2.tar.gz", "/var/cache/app-1.2.tar.gz")
///     .sha256("8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8")
///     .header("Authorization", "Bearer hunter2");
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = { "path": false, "size": false, "sha256": false }))]
pub struct Download {
    /// Where it is, such as `https://example.org/app-1.2.tar.gz`; with `http://`, `https://` or `file:///`.
    #[serde(deserialize_with = "url::any")]
    pub url: String,
    /// Where it is to be, such as `/var/cache/app-1.2.tar.gz`. The directory that it is in has to be there.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// The SHA-256 of the file, in 64 hexadecimal digits, as `sha256sum` prints it. Unless given, any file at the path will do.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "hash")]
    pub sha256: Option<String>,
    /// Headers of the request by name, such as `{"Authorization": "Bearer …"}`. Their values are secret.
    #[serde(default, skip_serializing_if = "Headers::is_empty", deserialize_with = "headers::headers")]
    pub headers: Headers,
    /// How large the file may be, such as `500 MB`. Unless given, as large as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// How long the server may be silent, such as `2 min`; 30 s unless given. A server that goes on sending may take any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The mode, such as `"0644"`. Unless given, it stays as it is, and that of a new file is 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The user whom it belongs to, by name or number. Unless given, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that it belongs to, by name or number. Unless given, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref().map(parse_hash).transpose().map_err(de::Error::custom)?;
    Ok(text)
}

fn parse_hash(text: &str) -> Result<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let mut hash = [0; 32];
    let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_hash, "`{}` is no SHA-256: it has 64 hexadecimal digits", text.escape_debug());
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16)?;
    }
    Ok(hash)
}

impl Download {
    /// What is at `url`, at `path`.
    pub fn new(url: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Download {
            url: url.into(),
            path: path.into(),
            sha256: None,
            headers: Headers::new(),
            max_size: None,
            timeout: None,
            mode: None,
            owner: None,
            group: None,
        }
    }

    /// Asks for this SHA-256, in hexadecimal digits.
    #[must_use]
    pub fn sha256(mut self, hash: impl Into<String>) -> Self {
        self.sha256 = Some(hash.into());
        self
    }

    /// Sends this header, whose value is secret.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into().into());
        self
    }

    /// Allows this size.
    #[must_use]
    pub fn max_size(mut self, size: impl Into<Size>) -> Self {
        self.max_size = Some(size.into());
        self
    }

    /// Lets the server be silent for so long.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Asks for this mode.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Asks for this owner.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Asks for this group.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    fn prepare(&self, cx: &Context) -> Result<Prepared> {
        path::validate_named(&self.path)?;
        headers::validate(&self.headers)?;
        headers::mask(cx, &self.headers);
        let attributes =
            Attributes { mode: self.mode, owner: self.owner.as_ref(), group: self.group.as_ref() }
                .resolve(cx)?;
        let sha256 = self.sha256.as_deref().map(parse_hash).transpose()?;
        Ok(Prepared { url: Url::parse(&self.url)?, sha256, attributes })
    }

    /// The hash that is wanted, as far as it is known without the net.
    fn wanted(&self, cx: &Context, prepared: &Prepared) -> Result<Option<[u8; 32]>> {
        match (prepared.sha256, prepared.url.file()) {
            (Some(sha256), _) => Ok(Some(sha256)),
            (None, Some(source)) => {
                Ok(Some(open_source(&source)?.digest(cx).or_could_not_find_out(says(&source))?.sha256))
            }
            (None, None) => Ok(None),
        }
    }
}

struct Prepared {
    url: Url,
    sha256: Option<[u8; 32]>,
    attributes: Resolved,
}

fn says(path: &Path) -> String {
    format!("what {} says", path.display())
}

fn open_source(source: &Path) -> Result<OpenFile> {
    let stop = |why: &str| Err(CouldNotFindOut::new(says(source)).permanent().because(why).into());
    match inspect::open(source, Links::Follow)? {
        Found::File(file) => Ok(file),
        Found::Nothing => stop("there is no such file"),
        other => stop(&format!("it is {}", other.what().unwrap_or_default())),
    }
}

impl Job for Download {
    fn name(&self) -> String {
        format!("Download {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let prepared = self.prepare(cx)?;
        let shown = self.path.display();
        let mut differences = Differences::new();
        let wanted = early::or_missing(cx, self.wanted(cx, &prepared), |_| {
            let source = prepared.url.file().filter(|source| early::is_missing(source))?;
            let nothing = early::is_missing(&self.path);
            nothing.then(|| format!("{shown} does not exist, nor does {} to copy", source.display()))
        })?;
        let mut file = match inspect::open(&self.path, Links::Follow)? {
            Found::File(file) => file,
            Found::Nothing => {
                let difference = match &wanted {
                    Some(wanted) => format!("nothing -> sha256 {}", inspect::hex(wanted)),
                    None => format!("nothing -> {}", prepared.url),
                };
                differences.add_difference(format!("{shown} does not exist"), difference);
                return differences.into_result();
            }
            other => {
                let error = CouldNotFindOut::new(format!("how to write {shown}"));
                let what = other.what().unwrap_or_default();
                return Err(error.because(format!("it is {what}; remove it, or choose another path")).into());
            }
        };
        let mut handed = json!({ "path": path::absolute(cx, &self.path), "size": file.meta.size });
        if let Some(wanted) = &wanted {
            // One that is larger than it may be need not be read: it may be larger than what can ever be.
            if let Some(limit) = self.max_size.filter(|limit| file.meta.size > limit.as_bytes()) {
                let difference = format!("{} bytes -> sha256 {}", file.meta.size, inspect::hex(wanted));
                differences.add_difference(format!("{shown} is larger than {limit}"), difference);
                return differences.into_result();
            }
            let found = file.digest(cx).or_could_not_find_out(says(&self.path))?;
            if found.sha256 != *wanted {
                let difference = format!("{found} -> sha256 {}", inspect::hex(wanted));
                differences.add_difference(format!("{shown} has another content"), difference);
            }
            handed["sha256"] = found.hex().into();
        }
        prepared.attributes.compare_open(&file.file, &file.meta, &mut differences)?;
        differences.into_result()?;
        Ok(cx.set_result(handed)?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let prepared = self.prepare(cx)?;
        let target = write::follow(&self.path)?;
        let wanted = self.wanted(cx, &prepared)?;
        if let Found::File(mut file) = inspect::open(&target, Links::Stay)?
            && !prepared.attributes.needs_new_file(&file.meta)
        {
            // Only mode or owner is to be mended.
            let is_right = match &wanted {
                Some(_) if self.max_size.is_some_and(|limit| file.meta.size > limit.as_bytes()) => false,
                Some(wanted) => file.digest(cx)?.sha256 == *wanted,
                None => true,
            };
            if is_right {
                return write::set_attributes(cx, &target, &prepared.attributes);
            }
        }
        let fetch = || match (prepared.url.file(), prepared.sha256) {
            (Some(source), expected) => self.copy(cx, &source, expected, &target, &prepared.attributes),
            (None, Some(expected)) => self.fetch(cx, &prepared, expected, &target),
            (None, None) => self.fetch_unverified(cx, &prepared, &target),
        };
        fetch().with_context(|| format!("failed to download {}", prepared.url))
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        // What there is of a file whose hash is known stays: the next start goes on from there.
        write::cleanup(cx, &self.path)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

impl Download {
    /// Copies a file of this machine.
    fn copy(
        &self,
        cx: &Context,
        source: &Path,
        expected: Option<[u8; 32]>,
        target: &Path,
        attributes: &Resolved,
    ) -> Result<()> {
        let mut source = open_source(source)?.file;
        write::write(cx, target, attributes, |file| {
            let mut sink = Sink::new(file, self.max_size);
            let mut piece = vec![0; PIECE];
            loop {
                ensure!(!cx.is_cancelled(), "the run was asked to stop");
                match source.read(&mut piece)? {
                    0 => break,
                    length => sink.add(&piece[..length])?,
                }
            }
            expected.map_or(Ok(()), |expected| sink.expect(expected))
        })
    }

    /// Fetches a file of which nothing is known, from the start.
    fn fetch_unverified(&self, cx: &Context, prepared: &Prepared, target: &Path) -> Result<()> {
        let directory = write::open_directory(write::directory_of(target)?)?;
        let beside = write::beside(cx, target)?;
        let part = Part::make(directory, beside.clone())?;
        let fetched = with_client(cx, Patience::while_it_talks(self.timeout), |client| {
            let mut answer = self.ask(client, prepared, 0)?;
            self.receive(&mut answer, &mut Sink::new(&mut &part.file, self.max_size))
        });
        match fetched {
            Ok(()) => part.put(target, &prepared.attributes)?,
            Err(error) => {
                part.remove()?;
                write::settle(cx, &beside)?;
                return Err(error);
            }
        }
        write::settle(cx, &beside)
    }

    /// Fetches a file whose hash is known, from where an earlier start has left it.
    fn fetch(&self, cx: &Context, prepared: &Prepared, expected: [u8; 32], target: &Path) -> Result<()> {
        let part = Part::of(target)?;
        let fetched = with_client(cx, Patience::while_it_talks(self.timeout), |client| {
            let mut file = &part.file;
            let mut sink = Sink::new(&mut file, self.max_size);
            let begun = sink.take_up(client, &part.file)?;
            if begun > 0 {
                // Complete, perhaps, and killed before it got to its place.
                if sink.expect(expected).is_ok() {
                    return Ok(());
                }
                let mut answer = self.ask(client, prepared, begun)?;
                let goes_on = answer.status == 206;
                if goes_on {
                    self.receive(&mut answer, &mut sink)?;
                    if sink.expect(expected).is_ok() {
                        return Ok(());
                    }
                }
                // The server begins anew, or what was there belonged to something else.
                part.empty()?;
                sink = Sink::new(&mut file, self.max_size);
                if !goes_on && answer.status == 200 {
                    self.receive(&mut answer, &mut sink)?;
                    return sink.expect(expected);
                }
            }
            let mut answer = self.ask(client, prepared, 0)?;
            self.receive(&mut answer, &mut sink)?;
            sink.expect(expected)
        });
        match fetched {
            Ok(()) => part.put(target, &prepared.attributes),
            // A server that broke off: the next try goes on from here.
            Err(error) if error.is::<http::HttpError>() && part.is_begun() => Err(error),
            Err(error) if cx.is_cancelled() => Err(error),
            Err(error) => {
                part.remove()?;
                Err(error)
            }
        }
    }

    /// Asks for the file from this byte on. The answer is 200, or where a part was asked for 206 or 416.
    fn ask<'c>(&self, client: &'c Client, prepared: &Prepared, from: u64) -> Result<Answer<'c>> {
        let range = [("range", format!("bytes={from}-"))];
        let call = Call::new(Method::GET, &prepared.url, &self.headers);
        let answer = client.send(&Call { own: if from > 0 { &range } else { &[] }, ..call })?;
        let is_there = |range: &str| range.starts_with(&format!("bytes {from}-"));
        match answer.status {
            200 => Ok(answer),
            206 if from > 0 && answer.header("content-range").is_some_and(is_there) => Ok(answer),
            206 => bail!("{} sends another part than the one that was asked for", answer.url),
            416 if from > 0 => Ok(answer),
            _ => Err(answer.refused()),
        }
    }

    fn receive<W: Write>(&self, answer: &mut Answer<'_>, sink: &mut Sink<'_, W>) -> Result<()> {
        if let (Some(limit), Some(length)) = (self.max_size, answer.length()) {
            sink.may_grow(length, limit)?;
        }
        let mut piece = vec![0; PIECE];
        let mut failed = None;
        {
            let mut reader = answer.reader();
            loop {
                match reader.read(&mut piece) {
                    Ok(0) => break,
                    Ok(length) => sink.add(&piece[..length])?,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(()), |error| Err(answer.explain(error)))
    }
}

/// Where a file is written to, hashed and counted on the way.
struct Sink<'a, W> {
    to: &'a mut W,
    hasher: Sha256,
    size: u64,
    limit: Option<Size>,
}

impl<'a, W: Write> Sink<'a, W> {
    fn new(to: &'a mut W, limit: Option<Size>) -> Self {
        Sink { to, hasher: Sha256::new(), size: 0, limit }
    }

    /// Reads what is there already, and says how much that is.
    fn take_up(&mut self, client: &Client, mut there: &File) -> Result<u64> {
        there.rewind()?;
        let mut piece = vec![0; PIECE];
        loop {
            ensure!(!client.is_stopped(), "the run was asked to stop");
            match there.read(&mut piece)? {
                0 => return Ok(self.size),
                length => {
                    self.hasher.update(&piece[..length]);
                    self.size += length as u64;
                }
            }
        }
    }

    fn may_grow(&self, by: u64, limit: Size) -> Result<()> {
        let fits = self.size.checked_add(by).is_some_and(|size| size <= limit.as_bytes());
        ensure!(fits, "it is larger than {limit}; raise `max_size` if that is meant");
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(limit) = self.limit {
            self.may_grow(bytes.len() as u64, limit)?;
        }
        self.to.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Whether all of it together is what was expected.
    fn expect(&self, expected: [u8; 32]) -> Result<()> {
        let found = Fingerprint { size: self.size, sha256: self.hasher.clone().finalize().into() };
        let wanted = inspect::hex(&expected);
        ensure!(
            found.sha256 == expected,
            "what came has {found}, and not sha256 {wanted}; is the URL or the hash out of date?"
        );
        Ok(())
    }
}

fn open_part(directory: &OwnedFd, name: &OsStr, new: OFlags) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | new;
    rustix::fs::openat(directory, name, flags, RawMode::RUSR | RawMode::WUSR).map(File::from)
}

/// Whether a part was made here, and can be changed by nobody else.
fn is_own(file: &File) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let meta = inspect::Meta::from(stat);
    let is_private = meta.mode.bits() == 0o600 && meta.uid == rustix::process::geteuid().as_raw();
    Ok(meta.is_file() && is_private && stat.st_nlink == 1)
}

/// What there is so far of a file, beside it. Its name follows from the file's, so that a later start finds it.
struct Part {
    /// The one that both are in, open.
    directory: OwnedFd,
    path: PathBuf,
    file: File,
}

impl Part {
    /// A new one.
    fn make(directory: OwnedFd, path: PathBuf) -> Result<Self> {
        let name = path.file_name().unwrap_or_default();
        let file = open_part(&directory, name, OFlags::CREATE | OFlags::EXCL);
        let file =
            file.map_err(io::Error::from).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Part { directory, path, file })
    }

    /// The one that an earlier start has left for this file, or a new one.
    fn of(target: &Path) -> Result<Self> {
        let directory = write::directory_of(target)?;
        let opened = write::open_directory(directory)?;
        let name = target.file_name().unwrap_or_default().as_bytes();
        let hash = inspect::hex(&Sha256::digest(name)[..8]);
        let name = format!("{}{hash}.part", write::BESIDE);
        let path = directory.join(&name);
        match open_part(&opened, name.as_ref(), OFlags::empty()) {
            Ok(file) if is_own(&file)? => return Ok(Part { directory: opened, path, file }),
            // Whatever it is, we have not made it: its owner could change it also later.
            Ok(_) | Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => {
                rustix::fs::unlinkat(&opened, &name, AtFlags::empty())
                    .with_context(|| format!("failed to remove {}", path.display()))?;
            }
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let error = io::Error::from(errno);
                return Err(error).with_context(|| format!("failed to open {}", path.display()));
            }
        }
        Part::make(opened, path)
    }

    fn is_begun(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.len() > 0)
    }

    fn empty(&self) -> Result<()> {
        self.file.set_len(0)?;
        Ok((&self.file).rewind()?)
    }

    fn remove(&self) -> Result<()> {
        let name = self.path.file_name().unwrap_or_default();
        remove_at(&self.directory, name, None)
            .with_context(|| format!("failed to remove {}", self.path.display()))
    }

    /// Puts it in the place of the file.
    fn put(self, target: &Path, attributes: &Resolved) -> Result<()> {
        let directory = &self.directory;
        let [part, name] = [&self.path, target].map(|path| path.file_name().unwrap_or_default());
        let old = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(inspect::Meta::from(stat)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(io::Error::from(errno).into()),
        };
        let wanted = match &old {
            Some(old) if old.is_file() => attributes.or_as(old),
            _ => write::of_new_file(attributes),
        };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if old.is_some_and(|old| old.is_file() && !attributes.is_taken(&old))
            && let Ok(old) = rustix::fs::openat(directory, name, OLD, RawMode::empty())
        {
            crate::disk::xattr::carry_over(&old, &self.file, wanted.keeps_list)?;
        }
        wanted.set(&self.file, &rustix::fs::fstat(&self.file)?.into())?;
        self.file.sync_all()?;
        rustix::fs::renameat(directory, part, directory, name)?;
        Ok(rustix::fs::fsync(directory)?)
    }
}
