//! A provisioning binary is killed, and started again: every cleanup is called for every run that had begun, nobody is left,
//! and the end is that of an undisturbed run.
//!
//! The binary is this one: started with arguments in `WORKSHOP`, it is a workshop that makes files, and lets processes
//! work for it.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use dojob::cli::Flags;
use dojob::{Clock, Context, Deps, DummyJob, Engine, Job, Journal, Result, Retry, SystemClock, Wake, deps};

/// The arguments of the workshop, a line each.
const WORKSHOP: &str = "DOJOB_TEST_WORKSHOP";
/// All processes of a workshop have this, with its root as value.
const MINE: &str = "DOJOB_TEST_ROOT";
const PARTS: u32 = 5;

#[derive(Parser, serde::Serialize)]
struct Cli {
    #[arg(long)]
    root: PathBuf,
    /// At which step of the journal to be killed.
    #[arg(long)]
    kill_at: Option<u32>,
    /// Whether something is wanted that cannot be had before somebody brings it.
    #[arg(long)]
    impossible: bool,
    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

#[test]
fn workshop() {
    let Ok(args) = std::env::var(WORKSHOP) else { return };
    let cli = Cli::parse_from(std::iter::once("workshop").chain(args.lines()));
    let code = cli.flags.main(&cli, || {
        let steps = AtomicU32::new(0);
        let kill_at = cli.kill_at;
        let journal =
            Journal::open_blocking(cli.root.join("state"), Some(Duration::from_secs(20)))?.watch(move || {
                if Some(steps.fetch_add(1, Ordering::SeqCst)) == kill_at {
                    let _ = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::KILL,
                    );
                }
            });
        let product = Product { root: cli.root.clone(), impossible: cli.impossible };
        Ok(Engine::new(product)?.retry_delay(Duration::ZERO).journal(journal))
    });
    // No destructor of the test harness has anything to do here.
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 })
}

/// Writes a line of the workshop's book, in one piece.
fn note(root: &Path, line: &str) -> Result<()> {
    let mut book = OpenOptions::new().create(true).append(true).open(root.join("book"))?;
    Ok(book.write_all(format!("{line}\n").as_bytes())?)
}

/// A number that no other run has, chosen before the run begins.
fn id(cx: &Context) -> Result<String> {
    if let Some(id) = cx.local().get("id")? {
        return Ok(id);
    }
    let id = format!("{} {} {}", cx.name(), std::process::id(), cx.try_number());
    cx.local().set("id", &id)?;
    Ok(id)
}

/// A file, made beside its place by a process that has another one work for it.
#[derive(Clone, PartialEq)]
struct Part {
    root: PathBuf,
    number: u32,
}

impl Part {
    fn path(&self) -> PathBuf {
        self.root.join("made").join(format!("part {}", self.number))
    }
}

impl Job for Part {
    fn name(&self) -> String {
        format!("Part {}", self.number)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        id(cx)?;
        ensure!(fs::read_to_string(self.path())? == format!("{}\n", self.number), "it is not finished");
        Ok(())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        note(&self.root, &format!("begun {}", id(cx)?))?;
        let beside = self.root.join(format!("made/.{}-{}", self.number, std::process::id()));
        cx.local().set("beside", &beside)?;
        // Helpers outlive whoever is killed, unless somebody ends them; one of them has left the process group.
        let line = "setsid sleep 60 & far=$!; sleep 60 & sleep 0.003; kill $! $far; wait; echo \"$NUMBER\" > \"$BESIDE\"; \
                    sleep 0.002";
        cx.shell(line).env("NUMBER", self.number.to_string()).env("BESIDE", &beside).run()?;
        Ok(fs::rename(beside, self.path())?)
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        if let Some(beside) = cx.local().get::<PathBuf>("beside")?
            && beside.exists()
        {
            fs::remove_file(beside)?;
        }
        note(&self.root, &format!("cleaned {}", cx.local().require::<String>("id")?))
    }

    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(cx.failures().contains_key("Paint"), "it is not told why");
        if self.path().exists() {
            fs::remove_file(self.path())?;
        }
        note(&self.root, &format!("reverted {}", cx.local().require::<String>("id")?))
    }
}

/// What cannot be had.
#[derive(Clone, PartialEq)]
struct Paint {
    root: PathBuf,
}

impl Job for Paint {
    fn deps(&self) -> Deps {
        (0..PARTS).map(|number| Part { root: self.root.clone(), number }).fold(Deps::new(), Deps::with)
    }
    fn retry(&self) -> Retry {
        Retry::tries(2)
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        id(cx)?;
        ensure!(self.root.join("brought").exists(), "there is no such colour");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        note(&self.root, &format!("begun {}", id(cx)?))
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        note(&self.root, &format!("cleaned {}", cx.local().require::<String>("id")?))
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        note(&self.root, &format!("reverted {}", cx.local().require::<String>("id")?))
    }
}

#[derive(Clone, PartialEq)]
struct Product {
    root: PathBuf,
    impossible: bool,
}

impl DummyJob for Product {
    fn deps(&self) -> Deps {
        let root = self.root.clone();
        let parts = (0..PARTS).map(|number| Part { root: root.clone(), number }).fold(deps![], Deps::with);
        if self.impossible { parts.with(Paint { root }) } else { parts }
    }
}

/// A workshop in a directory of its own.
struct Workshop {
    scratch: tempfile::TempDir,
    args: Vec<String>,
}

impl Workshop {
    fn new(args: &[&str]) -> Workshop {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("made")).unwrap();
        Workshop { scratch, args: args.iter().map(ToString::to_string).collect() }
    }

    fn root(&self) -> &Path {
        self.scratch.path()
    }

    fn command(&self, more: &[String]) -> Command {
        let mut args = vec!["--root".to_owned(), self.root().display().to_string()];
        args.extend_from_slice(&self.args);
        args.extend_from_slice(more);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["workshop", "--exact", "--test-threads=1"]);
        command.env(WORKSHOP, args.join("\n")).env(MINE, self.root());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&self, more: &[String]) -> ExitStatus {
        self.command(more).status().unwrap()
    }

    /// Starts it, and kills it after a time of the machine's.
    fn start_and_kill(&self, after: Duration) -> ExitStatus {
        let clock = SystemClock::new();
        let mut child = self.command(&[]).spawn().unwrap();
        clock.wait(Some(after), &Wake::default());
        let _ = child.kill();
        child.wait().unwrap()
    }

    fn made(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.root().join("made")).unwrap();
        files
            .map(|file| {
                let path = file.unwrap().path();
                format!("{}: {}", path.file_name().unwrap().display(), fs::read_to_string(&path).unwrap())
            })
            .collect()
    }

    /// The runs of which the book says this.
    fn book(&self, what: &str) -> BTreeSet<String> {
        let book = fs::read_to_string(self.root().join("book")).unwrap_or_default();
        book.lines().filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect()
    }

    /// The runs of which the journal says that they were about to begin.
    fn intents(&self) -> BTreeSet<String> {
        let journal = fs::read_to_string(self.root().join("state/journal")).unwrap_or_default();
        let records = journal.lines().filter_map(|line| serde_json::from_str(line.get(9..)?).ok());
        records
            .filter(|record: &serde_json::Value| record["is"] == "intent")
            .filter_map(|record| Some(format!(" {}", record["local"]["id"].as_str()?)))
            .collect()
    }

    /// The kinds of the records in the journal.
    fn records(&self) -> Vec<String> {
        let journal = fs::read_to_string(self.root().join("state/journal")).unwrap_or_default();
        let json = journal.lines().filter_map(|line| serde_json::from_str(line.get(9..)?).ok());
        json.filter_map(|record: serde_json::Value| record["is"].as_str().map(str::to_owned)).collect()
    }

    /// The processes of this workshop that are at work.
    fn survivors(&self) -> Vec<String> {
        let wanted = format!("{MINE}={}", self.root().display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let alive = processes.filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        });
        alive.map(|process| fs::read_to_string(process.path().join("cmdline")).unwrap_or_default()).collect()
    }

    /// What must hold when a start after a kill has ended. `known`: the runs of which a journal told before it.
    fn must_be_clean(&self, known: &BTreeSet<String>, when: &str) {
        let (begun, cleaned) = (self.book("begun"), self.book("cleaned"));
        let missing: Vec<_> = begun.difference(&cleaned).collect();
        assert!(missing.is_empty(), "{when}: no cleanup was called for {missing:?}");
        let unfounded: Vec<_> = cleaned.difference(&begun).filter(|id| !known.contains(*id)).collect();
        assert!(unfounded.is_empty(), "{when}: a cleanup was called for {unfounded:?}, which had not begun");
        let survivors = self.survivors();
        assert!(survivors.is_empty(), "{when}: {survivors:?} are still at work");
    }
}

/// How often, and how many were really killed and had left a process behind.
#[derive(Default)]
struct Tally {
    instants: u32,
    killed: u32,
    survivors: usize,
    /// What the journal had said last.
    last: BTreeSet<String>,
}

/// Numbers without a pattern, the same every time: a SplitMix64 sequence.
fn random(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn kill_and_start_again(
    args: &[&str],
    kill: impl Fn(&Workshop) -> ExitStatus,
    code: i32,
    wanted: &BTreeSet<String>,
    tally: &mut Tally,
    when: &str,
) {
    let workshop = Workshop::new(args);
    let status = kill(&workshop);
    tally.instants += 1;
    tally.killed += u32::from(status.signal() == Some(9));
    tally.survivors += workshop.survivors().len();
    let known = workshop.intents();
    tally.last.extend(workshop.records().pop());
    let status = workshop.start(&[]);
    assert_eq!(status.code(), Some(code), "{when}: started again, it ended with {status}");
    assert_eq!(&workshop.made(), wanted, "{when}");
    workshop.must_be_clean(&known, when);
}

fn undisturbed(args: &[&str], code: i32) -> (BTreeSet<String>, Duration) {
    let workshop = Workshop::new(args);
    let clock = SystemClock::new();
    assert_eq!(workshop.start(&[]).code(), Some(code));
    let took = clock.now();
    workshop.must_be_clean(&BTreeSet::new(), "undisturbed");
    (workshop.made(), took)
}

/// Kills it at every step of its journal, one after the other, until it comes to its end before the step does.
fn at_every_step(args: &[&str], code: i32) -> BTreeSet<String> {
    let (wanted, _) = undisturbed(args, code);
    let mut tally = Tally::default();
    for step in 0.. {
        let before = tally.killed;
        let kill = |workshop: &Workshop| workshop.start(&["--kill-at".to_owned(), step.to_string()]);
        kill_and_start_again(args, kill, code, &wanted, &mut tally, &format!("killed at step {step}"));
        if tally.killed == before {
            break;
        }
    }
    report(args, "steps of the journal", &tally);
    assert!(tally.killed > 20);
    tally.last
}

fn at_random(args: &[&str], code: i32) {
    let instants = if std::env::var_os("CI").is_some() { 500 } else { 60 };
    let (wanted, took) = undisturbed(args, code);
    let mut tally = Tally::default();
    for instant in 0..instants {
        let after = Duration::from_nanos(random(instant) % u64::try_from(took.as_nanos()).unwrap());
        let kill = |workshop: &Workshop| workshop.start_and_kill(after);
        kill_and_start_again(args, kill, code, &wanted, &mut tally, &format!("killed after {after:?}"));
    }
    report(args, "random instants", &tally);
    assert!(tally.killed > 0);
}

#[allow(clippy::print_stdout, reason = "figures for whoever reads the log")]
fn report(args: &[&str], what: &str, tally: &Tally) {
    let Tally { instants, killed, survivors, .. } = tally;
    println!(
        "{args:?}: {instants} {what}, {killed} times killed, {survivors} processes had survived the kill, none the next start"
    );
}

#[test]
fn killed_at_every_step_of_the_journal() {
    let last = at_every_step(&[], 0);
    for record in ["intent", "set", "starting", "spawned", "finished", "settled", "end"] {
        assert!(last.contains(record), "never killed after {record}: {last:?}");
    }
}

#[test]
fn killed_at_random_instants() {
    at_random(&[], 0);
}

#[test]
fn killed_at_random_instants_with_three_workers() {
    at_random(&["-j", "3"], 0);
}

/// Right after the failure was recorded and it was decided what follows, in the middle of a revert, after the reverts, and
/// before, between and after the cleanups.
#[test]
fn crash_after_failure_and_after_policy_and_in_revert() {
    let last = at_every_step(&["--impossible", "--on-failure", "revert"], 1);
    for record in ["intent", "undo", "undone", "undo_ended", "settled", "end"] {
        assert!(last.contains(record), "never killed after {record}: {last:?}");
    }
}

/// What could not be had can be by the next start. Once it was decided to take everything back that is gone on with all the
/// same, to its end, and no more; before that the next start finishes what the first began.
#[test]
fn once_decided_everything_is_taken_back_whatever_has_changed() {
    let args = ["--impossible", "--on-failure", "revert"];
    let mut decided = 0;
    for step in 0.. {
        let workshop = Workshop::new(&args);
        if workshop.start(&["--kill-at".to_owned(), step.to_string()]).signal() != Some(9) {
            break;
        }
        let is_decided = workshop.records().iter().any(|record| record == "undo");
        let is_over = workshop.records().iter().any(|record| record == "undo_ended");
        fs::write(workshop.root().join("brought"), "").unwrap();
        let known = workshop.intents();
        let status = workshop.start(&[]);
        if is_decided && !is_over {
            decided += 1;
            assert_eq!((status.code(), workshop.made().len()), (Some(1), 0), "killed at step {step}");
        } else {
            assert_eq!(
                (status.code(), workshop.made().len()),
                (Some(0), PARTS as usize),
                "killed at step {step}"
            );
        }
        workshop.must_be_clean(&known, &format!("killed at step {step}"));
    }
    assert!(decided > 10, "{decided}");
}

#[test]
fn nothing_is_left_when_everything_was_taken_back() {
    let workshop = Workshop::new(&["--impossible", "--on-failure", "revert"]);
    assert_eq!(workshop.start(&[]).code(), Some(1));
    assert!(workshop.made().is_empty());
    assert_eq!(workshop.book("begun"), workshop.book("reverted"));
    assert!(!workshop.root().join("state/journal").exists() || workshop.intents().len() == 7);
}
