//! What is written down and what is owed: pending, locks, and state directories of all kinds.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{bail, ensure};
use dojob::testing::{Fault, Faults};
use dojob::{Engine, JobGraph, Journal, JournalError, Phase, Retry, Secret, StorageError, VirtualClock};
use tempfile::TempDir;

use self::damage::{crc32, error};

#[path = "journal/damage.rs"]
mod damage;
#[path = "journal/flags.rs"]
mod flags;
mod support;

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// A graph of one job that makes a file and has a cleanup, which fails when `is_stubborn`.
fn one(root: &Path, log: &Log, name: &str, is_stubborn: bool) -> JobGraph {
    let (made, making, log) = (root.join("made"), root.join("made"), log.clone());
    let mut graph = JobGraph::builder();
    graph
        .job(
            name,
            move |_| {
                ensure!(made.exists(), "it is not there");
                Ok(())
            },
            move |cx| {
                cx.local().set("beside", "a name")?;
                cx.local().set("token", Secret::new("hunter2".to_owned()))?;
                cx.local().set("gone", 1)?;
                cx.local().remove("gone");
                Ok(fs::write(&making, "")?)
            },
        )
        .retry(Retry::tries(1))
        .cleanup(move |cx| {
            let local = cx.local();
            let beside: Option<String> = local.get("beside")?;
            let (token, gone) = (local.get::<String>("token")?, local.get::<u8>("gone")?);
            let movie: Option<String> = cx.arg_opt("movie")?;
            note(&log, format!("{beside:?} {} {gone:?} {movie:?}", token.is_some()));
            ensure!(!is_stubborn, "it sticks");
            Ok(())
        });
    graph.build().unwrap()
}

fn engine(graph: JobGraph, directory: &Path) -> Engine {
    Engine::with_graph(graph).clock(VirtualClock::new()).journal(Journal::open(directory).unwrap())
}

#[test]
fn a_cleanup_that_fails_is_owed_and_paid_by_the_next_start_with_its_storage_and_arguments() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let state = root.path().join("deep/state");
    let args = |engine: Engine, args: &serde_json::Value| engine.args(args).unwrap();
    let mut first =
        args(engine(one(root.path(), &log, "maker", true), &state), &serde_json::json!({"movie": "Brazil"}));
    let report = first.converge();
    assert_eq!((report.converged(), report.exit_code()), (true, 1));
    assert_eq!(take(&log), [r#"Some("a name") true None Some("Brazil")"#]);
    drop(first);

    let journal = fs::read_to_string(state.join("journal")).unwrap();
    assert!(journal.contains("a name") && journal.contains("Brazil"));
    assert!(!journal.contains("hunter2"), "{journal}");

    let mut second =
        args(engine(one(root.path(), &log, "maker", false), &state), &serde_json::json!({"movie": "Alien"}));
    assert_eq!(second.pending().len(), 1);
    let report = second.converge();
    assert_eq!(
        take(&log),
        [r#"Some("a name") false None Some("Brazil")"#],
        "the arguments are those of its run"
    );
    assert!(report.success() && report.cleanups()[0].of.is_some() && second.pending().is_empty());
    assert!(!state.join("journal").exists(), "nothing has to be remembered");
}

#[test]
fn secrets_among_the_arguments_are_those_of_this_run() {
    let (root, told) = (tempfile::tempdir().unwrap(), Log::default());
    let graph = |fails: bool| {
        let told = told.clone();
        let mut graph = JobGraph::builder();
        graph.run_only("login", |_| Ok(())).cleanup(move |cx| {
            note(&told, format!("{} {}", cx.arg::<String>("user")?, cx.arg::<Secret>("password")?.expose()));
            ensure!(!fails, "no");
            Ok(())
        });
        graph.build().unwrap()
    };
    #[derive(serde::Serialize)]
    struct Args {
        user: &'static str,
        password: Secret,
    }
    for (round, (user, password)) in [("ann", "hunter2"), ("bob", "swordfish")].into_iter().enumerate() {
        let args = Args { user, password: Secret::new(password.to_owned()) };
        engine(graph(round == 0), root.path()).args(&args).unwrap().converge();
        assert!(!fs::read_to_string(root.path().join("journal")).unwrap_or_default().contains(password));
    }
    assert_eq!(take(&told), ["ann hunter2", "ann swordfish", "bob swordfish"]);
}

#[test]
fn a_convergence_without_a_run_writes_nothing() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let state = root.path().join("state");
    fs::write(root.path().join("made"), "").unwrap();
    engine(one(root.path(), &log, "maker", false), &state).converge();
    let changed = || fs::metadata(&state).unwrap().mtime_nsec();
    let before = changed();
    let mut again = engine(one(root.path(), &log, "maker", false), &state);
    assert!(again.converge().success());
    assert_eq!((changed(), fs::read_dir(&state).unwrap().count()), (before, 0));
}

#[test]
fn a_debt_of_a_job_that_is_gone_is_told_of_and_kept() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    engine(one(root.path(), &log, "old name", true), root.path()).converge();
    for _ in 0..2 {
        let mut renamed = engine(one(root.path(), &log, "new name", false), root.path());
        let report = renamed.converge();
        assert_eq!(report.exit_code(), 0, "it is told of, and stands in nobody's way");
        assert_eq!(
            report.pending().iter().map(|cleanup| (&*cleanup.job, cleanup.has_job)).collect::<Vec<_>>(),
            [("old name", false)]
        );
    }
    take(&log);
    engine(one(root.path(), &log, "old name", false), root.path()).converge();
    assert_eq!(take(&log).len(), 1, "paid once the job is back");
}

#[test]
fn under_no_act_debts_are_shown_and_not_paid() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    engine(one(root.path(), &log, "maker", true), root.path()).converge();
    take(&log);
    let before = fs::read(root.path().join("journal")).unwrap();
    let look = Journal::open_read_only(root.path()).unwrap();
    let report =
        Engine::with_graph(one(root.path(), &log, "maker", false)).journal(look).no_act(true).converge();
    assert!(take(&log).is_empty());
    assert_eq!((report.pending().len(), report.exit_code()), (1, 0));
    assert_eq!(fs::read(root.path().join("journal")).unwrap(), before);
}

#[test]
fn only_what_was_asked_for_is_paid() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let journal = || Journal::open(root.path()).unwrap();
    let graph = || one(root.path(), &log, "maker", false);
    Engine::with_graph(graph()).journal(journal()).cleanup(false).converge();
    assert!(take(&log).is_empty());

    let mut payer = Engine::with_graph(graph()).journal(journal());
    assert!(payer.pending()[0].declined);
    assert!(payer.converge().cleanups().is_empty(), "what was declined is not owed");
    let report = payer.call_pending(false);
    assert!(report.cleanups().is_empty() && report.counts().not_started == 1);
    let report = payer.call_pending(true);
    assert_eq!((report.cleanups().len(), take(&log).len(), payer.pending().len()), (1, 1, 0));
}

#[test]
fn a_part_of_the_graph_pays_for_all_of_it() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let graph = |fails: bool| {
        let log = log.clone();
        let mut graph = JobGraph::builder();
        graph.dummy("small");
        graph.run_only("large", |_| Ok(())).cleanup(move |_| {
            note(&log, "cleaned");
            ensure!(!fails, "no");
            Ok(())
        });
        graph.build().unwrap()
    };
    engine(graph(true), root.path()).converge();
    let report = engine(graph(false), root.path()).only(["small"]).unwrap().converge();
    assert_eq!((take(&log).len(), report.success(), report.pending().len()), (2, true, 0));
}

#[test]
fn a_change_is_not_lost_to_a_failure_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let world = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let converge = |faults: Faults, change: bool| {
        let mut graph = JobGraph::builder();
        let (checked, changed) = (world.clone(), world.clone());
        if change {
            world.0.store(0, Ordering::SeqCst);
        }
        graph.job(
            "file",
            move |_| {
                ensure!(checked.0.load(Ordering::SeqCst) == 1, "it differs");
                Ok(())
            },
            move |_| {
                changed.0.store(1, Ordering::SeqCst);
                Ok(())
            },
        );
        graph.dummy("between").after(["file"]);
        graph.job("guard", |_| Ok(()), |_| Ok(())).after(["between"]);
        let restarted = world.clone();
        graph
            .job(
                "service",
                |cx| {
                    let is_done = cx.local().get("restarted")?.unwrap_or(false);
                    ensure!(is_done || !cx.changed("file")?, "the file was changed");
                    Ok(())
                },
                move |cx| {
                    restarted.1.fetch_add(1, Ordering::SeqCst);
                    cx.local().set("restarted", true)?;
                    Ok(())
                },
            )
            .after(["guard"]);
        graph.dummy("last of all").after(["last"]);
        graph.job("last", |_| Ok(()), |_| Ok(())).after(["service"]);
        let graph = graph.build().unwrap().with_faults(faults).unwrap();
        engine(graph, directory.path()).tries(1).converge();
        world.1.swap(0, Ordering::SeqCst)
    };
    assert_eq!(converge(Faults::new(), false), 1, "the first start changes the file");
    assert_eq!(converge(Faults::new(), false), 0, "nothing has changed");
    let guard_fails = || Faults::new().always("guard", Phase::Check, Fault::Panic);
    assert_eq!(converge(guard_fails(), true), 0, "the file is changed, and the service is not reached");
    assert_eq!(converge(guard_fails(), false), 0, "still not");
    assert_eq!(converge(Faults::new(), false), 1, "now it is, though the file was in place");
    assert_eq!(converge(Faults::new(), false), 0, "once");
    let service_is_last = || Faults::new().always("last", Phase::Check, Fault::Panic);
    assert_eq!(converge(service_is_last(), true), 1, "the file is changed, and something else always fails");
    assert_eq!(converge(service_is_last(), false), 0, "which is no reason to restart again and again");
}

#[test]
fn a_state_directory_that_cannot_be_made_or_is_a_file_is_told() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let below = root.path().join("file/state");
    assert_eq!(
        error(&below),
        "failed to make the state directory DIR; name another state directory (--state-dir), or mend this one: Not a \
         directory (os error 20)"
    );
    let is_dir = root.path().join("journal");
    fs::create_dir(&is_dir).unwrap();
    assert!(
        error(root.path()).starts_with("failed to read the journal DIR/journal"),
        "{}",
        error(root.path())
    );
}

/// A small file system of its own; `None` where this is not allowed.
struct Mounted(TempDir);

impl Mounted {
    fn new(options: &str) -> Option<Mounted> {
        let at = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at.path())
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Mounted(at));
        }
        assert!(std::env::var_os("CI").is_none(), "mounting has to be possible there");
        skipped("a file system cannot be mounted here");
        None
    }
}

#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_nothing_is_run_that_could_not_be_written_down() {
    let Some(disk) = Mounted::new("size=16k") else { return };
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let state = disk.0.path().join("state");
    let mut full = engine(one(root.path(), &log, "maker", false), &state);
    fs::write(disk.0.path().join("filler"), vec![0; 12 * 1024]).unwrap();
    while fs::OpenOptions::new().append(true).create(true).open(disk.0.path().join("more")).is_ok_and(
        |mut file| {
            use std::io::Write;
            file.write_all(&[0; 512]).is_ok()
        },
    ) {}
    let report = full.converge();
    let failures: Vec<&str> =
        report.job("maker").failures().iter().map(|failure| failure.reason.as_str()).collect();
    let why = format!(
        "failed to write down in {} what is about to be run: No space left on device (os error 28)",
        state.join("journal").display()
    );
    assert_eq!(failures, ["it is not there", &why, "it is not there"]);
    assert!(!root.path().join("made").exists() && take(&log).is_empty());

    // Room again: nothing is lost, and it goes on.
    fs::remove_file(disk.0.path().join("more")).unwrap();
    fs::remove_file(disk.0.path().join("filler")).unwrap();
    assert!(full.converge().success());
    assert_eq!(take(&log).len(), 1);
}

#[test]
fn what_should_have_been_taken_back_is_owed_also_where_that_could_not_be_written_down() {
    let Some(disk) = Mounted::new("size=32k") else { return };
    let (log, state) = (Log::default(), disk.0.path().join("state"));
    let filler = disk.0.path().join("filler");
    let graph = |fills: bool| {
        let (log, filler) = (log.clone(), filler.clone());
        let mut graph = JobGraph::builder();
        graph.run_only("first", |_| Ok(())).revert(move |_| {
            note(&log, "first is taken back");
            Ok(())
        });
        let fill = move |_: &mut dojob::Context| {
            use std::io::Write;
            let mut file = fs::File::create(&filler)?;
            while fills && file.write_all(&[0; 4096]).is_ok() {}
            // What is left of the page that the journal is in.
            bail!("{}", "it fails ".repeat(1000))
        };
        graph.run_only("second", fill).after(["first"]).retry(Retry::tries(1));
        graph.build().unwrap()
    };
    let converge = |fills: bool| engine(graph(fills), &state).on_failure(dojob::OnFailure::Revert).converge();
    let report = converge(true);
    let reverted = |revert: &dojob::RevertReport| revert.ending == dojob::RevertEnding::Reverted;
    assert!(!report.reverts().is_empty() && !report.reverts().iter().any(reverted), "{report:?}");
    assert!(take(&log).is_empty());
    fs::remove_file(&filler).unwrap();
    converge(false);
    assert_eq!(take(&log), ["first is taken back", "first is taken back"], "that of then, and that of now");
}

#[test]
fn what_cannot_be_written_down_is_not_stored() {
    let Some(disk) = Mounted::new("size=16k") else { return };
    let told = Log::default();
    let filler = disk.0.path().join("filler");
    let mut graph = JobGraph::builder();
    let log = told.clone();
    let fill = filler.clone();
    graph
        .run_only("setter", move |cx| {
            cx.local().set("first", 1)?;
            fs::write(&fill, vec![0; 8 * 1024])?;
            let large = "x".repeat(10_000);
            match cx.local().set("second", &large) {
                Err(StorageError::NotWritten { key, .. }) => {
                    note(&log, format!("{key} {:?}", cx.local().get::<String>("second")?))
                }
                other => bail!("{other:?}"),
            }
            fs::remove_file(&fill)?;
            Ok(cx.local().set("third", 3)?)
        })
        .cleanup(|_| bail!("owed"));
    let state = disk.0.path().join("state");
    engine(graph.build().unwrap(), &state).tries(1).converge();
    assert_eq!(take(&told), ["second None"]);
    let journal = fs::read_to_string(state.join("journal")).unwrap();
    assert!(journal.contains("first") && !journal.contains("second") && journal.contains("third"));
    assert!(Journal::open(&state).is_ok(), "no half of a record is left in it");
}

#[test]
fn a_read_only_file_system_is_told_before_anything_runs() {
    let Some(disk) = Mounted::new("size=64k") else { return };
    let remounted =
        std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.0.path()).status().unwrap();
    assert!(remounted.success());
    assert_eq!(
        error(&disk.0.path().join("state")),
        "failed to make the state directory DIR; name another state directory (--state-dir), or mend this one: Read-only \
         file system (os error 30)"
    );
}

#[test]
fn a_command_that_does_not_start_leaves_no_note() {
    let root = tempfile::tempdir().unwrap();
    let mut graph = JobGraph::builder();
    let run = |cx: &mut dojob::Context| {
        ensure!(cx.command("no-such-program-anywhere").run().is_err(), "there is such a program");
        cx.command("true").run()?;
        Ok(cx.local().set("after", 1)?)
    };
    graph.run_only("caller", run).cleanup(|_| bail!("owed"));
    engine(graph.build().unwrap(), root.path()).tries(1).converge();
    let journal = fs::read_to_string(root.path().join("journal")).unwrap();
    let count = |record: &str| journal.matches(&format!("\"is\":\"{record}\"")).count();
    assert_eq!((count("starting"), count("spawned"), count("finished")), (2, 1, 2), "{journal}");
    assert!(journal.contains("after") && Journal::open(root.path()).is_ok());
}

#[test]
fn only_its_owner_may_read_it() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let state = root.path().join("state");
    engine(one(root.path(), &log, "maker", true), &state).converge();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(state.clone()), mode(state.join("journal"))), (0o700, 0o600));
}

#[test]
fn what_others_may_write_is_neither_read_nor_written() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let state = root.path().join("state");
    engine(one(root.path(), &log, "maker", true), &state).converge();
    let file = state.join("journal");
    let before = fs::read(&file).unwrap();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let must_be_refused = |why: &str| {
        let errors = [Journal::open(&state).unwrap_err(), Journal::open_read_only(&state).unwrap_err()];
        for error in errors {
            assert!(matches!(error, JournalError::Untrusted { .. }), "{error:?}");
            assert!(error.to_string().contains(why), "{error}");
        }
    };
    set_mode(&state, 0o777);
    must_be_refused("its group and everybody may write to it; take that away (chmod go-w)");
    set_mode(&state, 0o700);
    set_mode(&file, 0o666);
    must_be_refused("chmod go-w");
    set_mode(&file, 0o600);
    fs::rename(&file, root.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", &file).unwrap();
    must_be_refused("it is a symbolic link; remove it");
    fs::rename(root.path().join("elsewhere"), &file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(Journal::open(&state).is_ok());
}

/// Runs a test in a process of its own and returns `true`; in that process it returns `false`.
fn is_run_alone(test: &str) -> bool {
    const ALONE: &str = "DOJOB_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn debts_are_paid_in_the_directory_in_which_they_were_made() {
    // The working directory is the whole process's, and other tests go back to the one that they have found.
    if is_run_alone("debts_are_paid_in_the_directory_in_which_they_were_made") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (state, there) = (root.path().join("state"), root.path().join("there"));
    fs::create_dir(&there).unwrap();
    let graph = |fails: bool| {
        let mut graph = JobGraph::builder();
        graph.run_only("maker", |_| Ok(())).cleanup(move |cx| {
            ensure!(!fails, "not yet");
            Ok(cx.shell("pwd > paid").run().map(drop)?)
        });
        graph.build().unwrap()
    };
    engine(graph(true), &state).converge();
    // As if that run had begun elsewhere: this process has to stay where it is, for other tests.
    let here = std::env::current_dir().unwrap();
    let file = state.join("journal");
    let mut sum = "00000000".to_owned();
    let mut text = String::new();
    for line in fs::read_to_string(&file).unwrap().lines() {
        let json = line[9..].replace(&here.display().to_string(), &there.display().to_string());
        sum = format!("{:08x}", crc32(format!("{sum} {json}").as_bytes()));
        text.push_str(&format!("{sum} {json}\n"));
    }
    assert!(text.contains(&there.display().to_string()), "{text}");
    fs::write(&file, text).unwrap();

    fs::rename(&there, root.path().join("away")).unwrap();
    let report = engine(graph(false), &state).call_pending(false);
    let failure = report.failed_cleanups().next().unwrap().failure.as_ref().unwrap().reason.clone();
    assert!(
        failure.ends_with("any more, in which that run began; make it again, and start again"),
        "{failure}"
    );
    fs::rename(root.path().join("away"), &there).unwrap();
    assert_eq!(engine(graph(false), &state).call_pending(false).failed_cleanups().count(), 0);
    assert_eq!(fs::read_to_string(there.join("paid")).unwrap().trim_end(), there.display().to_string());
    assert_eq!(std::env::current_dir().unwrap(), here);
}

#[test]
fn the_second_is_told_who_has_the_lock() {
    let root = tempfile::tempdir().unwrap();
    let held = Journal::open(root.path()).unwrap();
    let refused = Journal::open(root.path()).unwrap_err();
    let JournalError::Locked { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert!(holder.since.is_some());
    drop(held);
    assert!(Journal::open(root.path()).is_ok());
}

#[test]
fn durable_convergences_with_many_workers_come_to_their_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = JobGraph::builder();
    for number in 0..40 {
        graph.run_only(format!("job {number}"), |cx| Ok(cx.local().set("x", 1)?)).cleanup(|_| Ok(()));
    }
    let report = engine(graph.build().unwrap(), directory.path()).durable(true).workers(8).converge();
    assert_eq!(report.counts().changed, 40);
    assert!(!directory.path().join("journal").exists());
}

#[test]
fn a_long_journal_of_few_debts_is_made_short() {
    let directory = tempfile::tempdir().unwrap();
    let converge = |fails: bool| {
        let mut graph = JobGraph::builder();
        for number in 0..400 {
            let job = graph.run_only(format!("job {number} {}", "x".repeat(100)), |cx| {
                Ok(cx.local().set("x", "y".repeat(100))?)
            });
            job.cleanup(move |_| {
                ensure!(!fails || number != 7, "no");
                Ok(())
            });
        }
        let mut engine = engine(graph.build().unwrap(), directory.path());
        engine.converge();
        engine.pending().len()
    };
    assert_eq!(converge(true), 1);
    let length = fs::metadata(directory.path().join("journal")).unwrap().len();
    assert!(length < 2000, "{length} bytes for one cleanup");
    assert_eq!(converge(false), 0);
}
