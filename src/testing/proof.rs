//! The proof that a job is idempotent: converged, converged again, looked at, called twice, and killed in its middle.
//!
//! Works on a directory of its own, and starts the test that calls it once more for each kill; knows nothing of the job.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::faults::{Fault, Faults};
use crate::engine::Engine;
use crate::event::{Outcome, Phase};
use crate::graph::JobGraph;
use crate::host::file_log::Journal;
use crate::job::{AnyJob, IntoJob, JobKind};
use crate::report::Report;

/// Tells a process that it was started to be killed: the scratch directory, and when.
const VICTIM: &str = "DOJOB_PROOF_VICTIM";
/// What a victim leaves behind to show that it has come so far.
const MARK: &str = "victim";

/// Proves that a job may be run as often as one likes, and interrupted whenever one likes.
///
/// ```
/// use dojob::testing::Proof;
/// # use dojob::{Context, Job, Result};
/// # use std::path::PathBuf;
/// # #[derive(Clone, PartialEq)] struct Directory { path: PathBuf }
/// # impl Job for Directory {
/// #     fn check(&mut self, _: &mut Context) -> Result<()> { anyhow::ensure!(self.path.is_dir(), "it is not there"); Ok(()) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(std::fs::create_dir_all(&self.path)?) }
/// # }
/// # fn main() {}
///
/// // with #[test] in front of it
/// fn a_directory_is_idempotent() {
///     Proof::new(|root| Directory { path: root.join("srv/www") })
///         .prepare(|root| std::fs::write(root.join("neighbour"), "stays").unwrap())
///         .prove();
/// }
/// ```
pub struct Proof {
    make: Box<dyn Fn(&Path) -> AnyJob>,
    prepare: Box<dyn Fn(&Path)>,
    look: Box<dyn Fn(&Path) -> String>,
    instants: u32,
}

impl Proof {
    /// For the job that `make` makes of a directory, which is empty and always the same; all that the job changes has to
    /// be in there, or to be seen by [`look`](Proof::look).
    pub fn new<M, J: IntoJob<M>>(make: impl Fn(&Path) -> J + 'static) -> Self {
        Proof {
            make: Box::new(move |root| make(root).into_job()),
            prepare: Box::new(|_| {}),
            look: Box::new(|_| String::new()),
            instants: 20,
        }
    }

    /// Makes the world in the directory in which the job finds something to do.
    #[must_use]
    pub fn prepare(mut self, prepare: impl Fn(&Path) + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// What else of the world has to be the same in the end: users, say, or a server's state.
    #[must_use]
    pub fn look(mut self, look: impl Fn(&Path) -> String + 'static) -> Self {
        self.look = Box::new(look);
        self
    }

    /// At how many instants of its run the job is killed, beside those between the phases; 20 unless this is called.
    #[must_use]
    pub fn instants(mut self, instants: u32) -> Self {
        self.instants = instants;
        self
    }

    /// Proves it, and says how many times the job was killed:
    ///
    /// * a dry run changes nothing, and says that something is to do;
    /// * the job runs, and then its check passes; a second convergence runs nothing and changes nothing, to the time of
    ///   the last change of each file;
    /// * with every phase called twice the end is the same;
    /// * killed (SIGKILL) before its run, after it, before and after its cleanup, and at instants spread over its run, and
    ///   then started again, it ends as if nothing had happened, and nothing is pending.
    ///
    /// A run-only job has no check: it runs every time, to the same end.
    ///
    /// # Panics
    /// When any of this is not so. And when it is called elsewhere than in the body of a `#[test]`, which it starts again
    /// by name in processes of their own.
    pub fn prove(self) -> u32 {
        if let Some(victim) = std::env::var_os(VICTIM) {
            self.be_killed(&victim);
        }
        let scratch = Scratch::new().expect("a temporary directory");
        self.changes_nothing_in_a_dry_run(&scratch);
        let wanted = self.without_disturbance(&scratch);
        self.survives_being_called_twice(&scratch, &wanted);
        self.survives_being_killed(&scratch, &wanted)
    }

    fn engine(&self, scratch: &Scratch, faults: Faults) -> Engine {
        let mut graph = JobGraph::builder();
        graph.add((self.make)(&scratch.root()));
        let graph = graph.build().and_then(|graph| graph.with_faults(faults)).expect("a graph");
        let journal = Journal::open(scratch.state()).expect("a journal");
        Engine::with_graph(graph).journal(journal).retry_delay(Duration::ZERO)
    }

    fn converge(&self, scratch: &Scratch, faults: Faults) -> Report {
        self.engine(scratch, faults).converge()
    }

    fn job(&self, scratch: &Scratch) -> AnyJob {
        (self.make)(&scratch.root())
    }

    fn fresh(&self, scratch: &Scratch) {
        scratch.clear().expect("the directory of an earlier step can be removed");
        (self.prepare)(&scratch.root());
    }

    /// The world: what the files hold, and what else there is to see.
    fn world(&self, scratch: &Scratch, with_times: bool) -> BTreeMap<PathBuf, String> {
        let mut world = BTreeMap::new();
        describe(&scratch.root(), with_times, &mut world).expect("the directory can be read");
        world.insert(PathBuf::from("<elsewhere>"), (self.look)(&scratch.root()));
        world
    }

    fn without_disturbance(&self, scratch: &Scratch) -> BTreeMap<PathBuf, String> {
        self.fresh(scratch);
        let report = self.converge(scratch, Faults::new());
        must_have_converged(&report, "the first convergence");
        let job = self.job(scratch);
        let wanted = self.world(scratch, false);

        let before = self.world(scratch, true);
        let report = self.converge(scratch, Faults::new());
        must_have_converged(&report, "the second convergence");
        if job.kind() == JobKind::RunOnly {
            assert_same(&wanted, &self.world(scratch, false), "a second run");
        } else {
            assert_eq!(report.counts().changed, 0, "the second convergence has run the job again");
            assert_same(&before, &self.world(scratch, true), "a convergence with nothing to do");
        }
        wanted
    }

    fn changes_nothing_in_a_dry_run(&self, scratch: &Scratch) {
        self.fresh(scratch);
        let before = self.world(scratch, true);
        let report = self.engine(scratch, Faults::new()).no_act(true).converge();
        let name = self.job(scratch).name().to_owned();
        let outcome = report.job(&name).outcome();
        assert_same(&before, &self.world(scratch, true), "a dry run");
        assert_ne!(outcome, Outcome::InPlace, "there was nothing to do: prepare a world with work");
        assert_eq!(outcome, Outcome::WouldRun, "of the dry run: {:?}", report.job(&name).reason());
    }

    fn survives_being_called_twice(&self, scratch: &Scratch, wanted: &BTreeMap<PathBuf, String>) {
        self.fresh(scratch);
        let name = self.job(scratch).name().to_owned();
        let phases = [Phase::Check, Phase::Run, Phase::Recheck, Phase::Cleanup];
        let twice =
            phases.into_iter().fold(Faults::new(), |faults, phase| faults.always(&name, phase, Fault::Twice));
        let report = self.converge(scratch, twice);
        must_have_converged(&report, "with every phase called twice");
        assert_same(wanted, &self.world(scratch, false), "with every phase called twice");
    }

    fn survives_being_killed(&self, scratch: &Scratch, wanted: &BTreeMap<PathBuf, String>) -> u32 {
        self.fresh(scratch);
        let report = self.converge(scratch, Faults::new());
        let took = report.job(self.job(scratch).name()).duration();
        let places = ["run before", "run after", "recheck after", "cleanup before", "cleanup after"];
        let instants = (0..self.instants)
            .map(|at| format!("run {}", (took * (2 * at + 1) / (2 * self.instants)).as_nanos()));
        let mut killed = 0;
        for place in places.map(str::to_owned).into_iter().chain(instants) {
            self.fresh(scratch);
            let status = start_victim(scratch, &place).expect("this test can be started again");
            assert!(
                scratch.path.join(MARK).exists(),
                "the test {:?} could not be started again: call `prove` in the body of a #[test]",
                test_name()
            );
            match (status.signal(), status.code()) {
                (Some(_), _) => killed += 1,
                // It was through before its time had come, or has no such phase.
                (_, Some(0)) => {}
                _ => panic!("killed at {place:?}, it ended with {status}"),
            }
            let report = self.converge(scratch, Faults::new());
            must_have_converged(&report, &format!("started again after a kill at {place:?}"));
            assert_same(wanted, &self.world(scratch, false), &format!("after a kill at {place:?}"));
            let pending = self.engine(scratch, Faults::new()).pending();
            assert!(pending.is_empty(), "after a kill at {place:?} these are pending: {pending:?}");
        }
        killed
    }

    /// What the process does that was started to be killed.
    fn be_killed(&self, victim: &OsString) -> ! {
        let victim = victim.to_str().expect("the parent has written it");
        let (path, place) = victim.split_once('\n').expect("the parent has written it");
        let scratch = Scratch { path: PathBuf::from(path), is_ours: false };
        fs::write(scratch.path.join(MARK), "").expect("the scratch directory can be written to");
        let (phase, when) = place.split_once(' ').expect("the parent has written it");
        let phase = match phase {
            "run" => Phase::Run,
            "recheck" => Phase::Recheck,
            _ => Phase::Cleanup,
        };
        let fault = match when {
            "before" => Fault::Kill,
            "after" => Fault::KillAfterwards,
            nanos => {
                Fault::KillWithin(Duration::from_nanos(nanos.parse().expect("the parent has written it")))
            }
        };
        let name = self.job(&scratch).name().to_owned();
        let report = self.converge(&scratch, Faults::new().at(&name, phase, 1, fault));
        std::process::exit(if report.success() { 0 } else { 1 })
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("instants", &self.instants).finish_non_exhaustive()
    }
}

/// The directory in which it all happens: `root` for the job, `state` for the journal.
struct Scratch {
    path: PathBuf,
    is_ours: bool,
}

impl Scratch {
    fn new() -> io::Result<Scratch> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dojob-proof-{}-{count}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Scratch { path: path.canonicalize()?, is_ours: true })
    }

    fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Begins anew, with an empty root.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            remove(&entry?.path())?;
        }
        fs::create_dir(self.root())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = remove(&self.path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The name of the test that is running: that of its thread, or, where tests run one at a time, the one asked for.
fn test_name() -> Option<String> {
    let thread = std::thread::current();
    let of_thread = thread.name().filter(|name| *name != "main").map(str::to_owned);
    of_thread.or_else(|| {
        let args: Vec<String> = std::env::args().collect();
        let exact = args.iter().any(|arg| arg == "--exact");
        args.into_iter().skip(1).find(|arg| exact && !arg.starts_with('-'))
    })
}

fn start_victim(scratch: &Scratch, place: &str) -> io::Result<ExitStatus> {
    let Some(name) = test_name() else {
        return Err(io::Error::other("the test that is running has no name"));
    };
    let mut victim = OsString::from(&scratch.path);
    victim.push("\n");
    victim.push(place);
    Command::new(std::env::current_exe()?)
        .args([name.as_str(), "--exact", "--include-ignored", "--test-threads=1"])
        .env(VICTIM, victim)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
}

fn must_have_converged(report: &Report, when: &str) {
    let failed: Vec<String> = report
        .jobs()
        .filter(|job| !job.is_converged())
        .map(|job| format!("{} {}: {}", job.outcome(), job.name(), job.reason().unwrap_or_default()))
        .collect();
    assert!(
        report.success(),
        "{when}: {failed:?}, failed cleanups: {:?}",
        report.failed_cleanups().collect::<Vec<_>>()
    );
}

fn assert_same(wanted: &BTreeMap<PathBuf, String>, found: &BTreeMap<PathBuf, String>, when: &str) {
    let mut differences = String::new();
    for (path, wanted) in wanted {
        match found.get(path) {
            None => _ = writeln!(differences, "- {}: {wanted}", path.display()),
            Some(found) if found != wanted => {
                _ = writeln!(differences, "~ {}: {wanted} has become {found}", path.display());
            }
            Some(_) => {}
        }
    }
    for (path, found) in found.iter().filter(|(path, _)| !wanted.contains_key(*path)) {
        let _ = writeln!(differences, "+ {}: {found}", path.display());
    }
    assert!(differences.is_empty(), "{when}: the world differs\n{differences}");
}

/// Every file below `path`: what it is, whose, and what is in it.
fn describe(path: &Path, with_times: bool, into: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut text = format!("mode {:o} owner {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
    if with_times {
        let _ = write!(text, " changed {}.{:09}", metadata.mtime(), metadata.mtime_nsec());
    }
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let _ = write!(text, " -> {}", fs::read_link(path)?.display());
    } else if kind.is_file() {
        let _ = write!(text, " {} bytes, sum {:08x}", metadata.len(), sum(path)?);
    }
    into.insert(path.to_owned(), text);
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            describe(&entry?.path(), with_times, into)?;
        }
    }
    Ok(())
}

fn sum(path: &Path) -> io::Result<u32> {
    struct Sum(crc32fast::Hasher);
    impl io::Write for Sum {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(crc32fast::Hasher::new());
    io::copy(&mut fs::File::open(path)?, &mut sum)?;
    Ok(sum.0.finalize())
}
