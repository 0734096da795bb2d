//! Corners of what is owed and reverted: foreign and damaged files, engines that converge more than once, parts of a graph,
//! things that are declined, switched off, lost or panic.

use anyhow::{bail, ensure};
use dojob::{
    Context, Engine, Event, JobGraph, Journal, OnFailure, Outcome, Phase, Result, Retry, RunOnlyJob, Secret,
};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;
fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}
fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}
fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
fn open(p: &Path) -> Journal {
    Journal::open(p).unwrap()
}

#[test]
fn a_foreign_file_is_left_alone() {
    for text in [&b"my notes, without a line feed"[..], &b"other\nprogram\0\nfile\n"[..]] {
        let d = dir();
        fs::write(d.path().join("journal"), text).unwrap();
        let opened = Journal::open(d.path()).is_ok();
        let now = fs::read(d.path().join("journal")).unwrap_or_default();
        assert_eq!((now.as_slice(), opened), (text, false));
    }
}

fn debtor(log: &Log, fails: bool) -> JobGraph {
    let log = log.clone();
    let mut g = JobGraph::builder();
    g.run_only("a", |cx| {
        cx.local().set("k", "v")?;
        Ok(())
    })
    .retry(Retry::tries(1))
    .cleanup(move |cx| {
        note(&log, format!("clean {:?}", cx.arg_opt::<String>("movie")?));
        ensure!(!fails, "no");
        Ok(())
    });
    g.build().unwrap()
}

#[test]
fn a_zeroed_byte_in_a_complete_last_record_is_corruption() {
    let (d, _log) = (dir(), Log::default());
    let mut g = JobGraph::builder();
    let file = d.path().join("journal");
    let (copy, f2) = (d.path().join("copy"), file.clone());
    g.run_only("a", move |_| {
        fs::copy(&f2, &copy)?;
        Ok(())
    });
    Engine::with_graph(g.build().unwrap()).journal(open(d.path())).converge();
    let mut text = fs::read(d.path().join("copy")).unwrap();
    let last = text[..text.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    text[last + 15] = 0; // one byte inside of the complete intent record
    fs::write(&file, &text).unwrap();
    assert!(
        Journal::open(d.path()).is_err(),
        "the intent was cut away: {} -> {} bytes",
        text.len(),
        fs::metadata(&file).unwrap().len()
    );
}

#[test]
fn debts_of_two_convergences_of_one_engine_have_their_own_arguments() {
    let (d, log) = (dir(), Log::default());
    let mut e = Engine::with_graph(debtor(&log, true))
        .journal(open(d.path()))
        .args(&serde_json::json!({"movie":"Brazil"}))
        .unwrap();
    e.converge();
    let mut e = e.args(&serde_json::json!({"movie":"Alien"})).unwrap();
    e.converge();
    drop(e);
    take(&log);
    Engine::with_graph(debtor(&log, false)).journal(open(d.path())).call_pending(false);
    assert_eq!(take(&log), [r#"clean Some("Alien")"#, r#"clean Some("Brazil")"#]);
}

#[test]
fn what_has_nothing_to_call_is_not_listed_as_owed() {
    /// A type does not tell whether it has a cleanup.
    #[derive(Clone, PartialEq)]
    struct Silent;
    impl RunOnlyJob for Silent {
        fn run(&mut self, _: &mut Context) -> Result<()> {
            Ok(())
        }
    }
    let (d, crashed) = (dir(), dir());
    let (journal, copy) = (d.path().join("journal"), crashed.path().join("journal"));
    let graph = || {
        let (journal, copy) = (journal.clone(), copy.clone());
        let mut g = JobGraph::builder();
        g.add(Silent);
        g.run_only("cleans", |_| Ok(())).cleanup(|_| Ok(()));
        g.run_only("last", move |_| Ok(fs::copy(&journal, &copy).map(drop)?)).after(["Silent", "cleans"]);
        g.build().unwrap()
    };
    Engine::with_graph(graph()).journal(open(d.path())).converge();
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let pending = Engine::with_graph(graph()).journal(open(crashed.path())).pending();
    let listed: Vec<_> = pending.iter().map(|cleanup| (&*cleanup.job, cleanup.certain)).collect();
    assert_eq!(listed, [("Silent", false), ("cleans", true)]);
}

#[test]
fn converging_a_part_does_not_forget_what_others_have_not_seen() {
    let d = dir();
    let (file, restarts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let graph = |bad: bool| {
        let mut g = JobGraph::builder();
        let (f, f2, r) = (file.clone(), file.clone(), restarts.clone());
        g.job(
            "file",
            move |_| {
                ensure!(f.load(Ordering::SeqCst), "no");
                Ok(())
            },
            move |_| {
                f2.store(true, Ordering::SeqCst);
                Ok(())
            },
        );
        g.job(
            "guard",
            move |_| {
                ensure!(!bad, "bad");
                Ok(())
            },
            |_| Ok(()),
        )
        .after(["file"]);
        g.job(
            "service",
            |cx| {
                let done: bool = cx.local().get("done")?.unwrap_or(false);
                ensure!(done || !cx.changed("file")?, "changed");
                Ok(())
            },
            move |cx| {
                r.fetch_add(1, Ordering::SeqCst);
                cx.local().set("done", true)?;
                Ok(())
            },
        )
        .after(["guard"]);
        Engine::with_graph(g.build().unwrap()).tries(1).journal(open(d.path()))
    };
    graph(true).converge();
    assert!(graph(false).only(["file"]).unwrap().converge().success());
    graph(false).converge();
    assert_eq!(restarts.load(Ordering::SeqCst), 1, "the change of the file was forgotten by --only file");
}

fn stuck(log: &Log, with_a: bool, sticks: bool, b_fails: bool) -> JobGraph {
    let mut g = JobGraph::builder();
    let (l, l2, l3, l4) = (log.clone(), log.clone(), log.clone(), log.clone());
    if with_a {
        g.run_only("a", |_| Ok(()))
            .retry(Retry::tries(1))
            .revert(move |_| {
                note(&l, "revert a");
                ensure!(!sticks, "sticks");
                Ok(())
            })
            .cleanup(move |_| {
                note(&l2, "clean a");
                Ok(())
            });
    }
    let b = g
        .run_only("b", move |_| {
            note(&l3, "run b");
            ensure!(!b_fails, "b fails");
            Ok(())
        })
        .retry(Retry::tries(1))
        .revert(move |_| {
            note(&l4, "revert b");
            Ok(())
        });
    if with_a {
        b.after(["a"]);
    }
    g.build().unwrap()
}
fn rev(g: JobGraph, d: &Path) -> Engine {
    Engine::with_graph(g).on_failure(OnFailure::Revert).journal(open(d))
}

#[test]
fn a_revert_whose_job_is_gone_is_kept() {
    let (d, log) = (dir(), Log::default());
    assert!(rev(stuck(&log, true, true, true), d.path()).converge().is_revert_incomplete());
    take(&log);
    let _r = rev(stuck(&log, false, false, false), d.path()).converge();
    let mut e = rev(stuck(&log, true, false, false), d.path());
    let _r = e.converge();
    assert_eq!(take(&log), ["revert a", "clean a"]);
}

#[test]
fn cleanup_only_does_not_clean_before_the_open_revert() {
    let (d, log) = (dir(), Log::default());
    assert!(rev(stuck(&log, true, true, true), d.path()).converge().is_revert_incomplete());
    assert_eq!(take(&log), ["run b", "revert b", "revert a"]);
    rev(stuck(&log, true, false, true), d.path()).call_pending(false);
    assert_eq!(take(&log), [] as [&str; 0], "cleanups come after reverts");
}

#[test]
fn without_a_journal_an_earlier_convergence_that_ended_is_not_reverted() {
    let log = Log::default();
    let mut g = JobGraph::builder();
    let is_bad = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicBool::new(false));
    let (l, b, d1, d2) = (log.clone(), is_bad.clone(), done.clone(), done.clone());
    g.job(
        "a",
        move |_| {
            ensure!(d1.load(Ordering::SeqCst), "no");
            Ok(())
        },
        move |_| {
            d2.store(true, Ordering::SeqCst);
            Ok(())
        },
    )
    .cleanup(|_| bail!("the cleanup fails"))
    .revert(move |_| {
        note(&l, "revert a");
        Ok(())
    });
    g.job(
        "b",
        move |_| {
            ensure!(!b.load(Ordering::SeqCst), "bad");
            Ok(())
        },
        |_| Ok(()),
    )
    .after(["a"]);
    let mut e = Engine::with_graph(g.build().unwrap()).tries(1).on_failure(OnFailure::Revert);
    assert!(e.converge().converged());
    is_bad.store(true, Ordering::SeqCst);
    let r = e.converge();
    assert_eq!(r.job("a").outcome(), Outcome::InPlace);
    assert_eq!(take(&log), [] as [&str; 0], "a's check passed in this convergence, yet it was reverted");
}

#[derive(serde::Serialize)]
struct A {
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    movie: &'static str,
}

fn shower(log: &Log, fails: bool) -> JobGraph {
    let log = log.clone();
    let mut g = JobGraph::builder();
    g.run_only("a", |cx| {
        cx.local().set("database", "mydb")?;
        Ok(())
    })
    .retry(Retry::tries(1))
    .cleanup(move |cx| {
        note(
            &log,
            format!(
                "{:?} {:?} {:?}",
                cx.arg_opt::<String>("password")?,
                cx.arg::<String>("movie")?,
                cx.local().get::<String>("database")?
            ),
        );
        ensure!(!fails, "no");
        Ok(())
    });
    g.build().unwrap()
}

#[test]
fn a_short_secret_does_not_spoil_storage_and_other_arguments() {
    let (d, log) = (dir(), Log::default());
    let args = |p: &str, movie| A { password: Some(Secret::new(p.to_owned())), movie };
    Engine::with_graph(shower(&log, true))
        .journal(open(d.path()))
        .args(&args("db", "/srv/db"))
        .unwrap()
        .converge();
    assert_eq!(take(&log), [r#"Some("db") "/srv/db" Some("mydb")"#]);
    Engine::with_graph(shower(&log, false))
        .journal(open(d.path()))
        .args(&args("db", "/srv/other"))
        .unwrap()
        .call_pending(false);
    assert_eq!(take(&log), [r#"Some("db") "/srv/db" Some("mydb")"#]);
}

#[test]
fn no_secret_is_on_the_disk() {
    #[derive(serde::Serialize)]
    struct B {
        strict: Secret<bool>,
        token: Secret,
    }
    let d = dir();
    let mut g = JobGraph::builder();
    g.run_only("a", |cx| {
        cx.local().set("hunter2", 1)?;
        Ok(())
    })
    .cleanup(|_| bail!("no"));
    Engine::with_graph(g.build().unwrap())
        .journal(open(d.path()))
        .args(&B { strict: Secret::new(true), token: Secret::new("hunter2".into()) })
        .unwrap()
        .converge();
    let text = fs::read_to_string(d.path().join("journal")).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("\"strict\":true"), "{text}");
}

#[test]
fn a_job_without_a_cleanup_leaves_no_declined_debt() {
    let d = dir();
    for _ in 0..3 {
        let mut g = JobGraph::builder();
        g.run_only("a", |_| Ok(()));
        Engine::with_graph(g.build().unwrap()).journal(open(d.path())).cleanup(false).converge();
    }
    let mut g = JobGraph::builder();
    g.run_only("a", |_| Ok(()));
    let e = Engine::with_graph(g.build().unwrap()).journal(open(d.path()));
    assert_eq!(e.pending().len(), 0, "{:#?}", e.pending());
}

#[test]
fn a_declined_cleanup_is_not_called_when_undoing_goes_on() {
    let (d, log) = (dir(), Log::default());
    assert!(rev(stuck(&log, true, true, true), d.path()).cleanup(false).converge().is_revert_incomplete());
    take(&log);
    rev(stuck(&log, true, false, true), d.path()).cleanup(false).converge();
    assert_eq!(take(&log), ["revert a"], "--no-cleanup twice, and yet");
}

struct Bomb(bool);
static ARMED: AtomicBool = AtomicBool::new(false);
impl Clone for Bomb {
    fn clone(&self) -> Self {
        Bomb(true)
    }
}
impl PartialEq for Bomb {
    fn eq(&self, _: &Bomb) -> bool {
        true
    }
}
impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 && ARMED.load(Ordering::SeqCst) {
            panic!("drop");
        }
    }
}
impl RunOnlyJob for Bomb {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        ARMED.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_panic_in_drop_of_a_job_without_cleanup_is_contained() {
    let mut e = Engine::new(Bomb(false)).unwrap();
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| e.converge().exit_code()));
    ARMED.store(false, Ordering::SeqCst);
    assert!(r.is_ok(), "the panic went through converge()");
}

#[test]
fn a_journal_that_is_looked_at_pays_nothing_while_its_owner_lives() {
    let (d, log) = (dir(), Log::default());
    let (d2, l2) = (d.path().to_owned(), log.clone());
    let mut g = JobGraph::builder();
    g.run_only("a", move |_cx| {
        // the owner is in the middle of its run; another engine only "looks"
        let l3 = l2.clone();
        let mut h = JobGraph::builder();
        h.run_only("a", |_| Ok(())).retry(Retry::tries(1)).cleanup(move |_| {
            note(&l3, "cleaned a live run");
            Ok(())
        });
        let mut looker =
            Engine::with_graph(h.build().unwrap()).journal(Journal::open_read_only(&d2).unwrap());
        looker.converge();
        Ok(())
    });
    Engine::with_graph(g.build().unwrap()).journal(open(d.path())).converge();
    assert_eq!(take(&log), [] as [&str; 0]);
}

#[test]
fn the_commands_of_a_paid_cleanup_know_their_run() {
    let (d, log) = (dir(), Log::default());
    Engine::with_graph(debtor(&log, true)).journal(open(d.path())).converge();
    take(&log);
    let l = log.clone();
    let mut g = JobGraph::builder();
    g.run_only("a", |_| Ok(())).cleanup(move |cx| {
        note(&l, cx.shell("echo \"[$DOJOB_RUN]\"").run()?.text().trim().to_owned());
        Ok(())
    });
    Engine::with_graph(g.build().unwrap()).journal(open(d.path())).call_pending(false);
    assert_ne!(take(&log), ["[]"], "survivors of it are never recognised");
}

#[derive(PartialEq)]
struct NoClone;
static BREAKS: AtomicBool = AtomicBool::new(false);
impl Clone for NoClone {
    fn clone(&self) -> Self {
        if BREAKS.load(Ordering::SeqCst) {
            panic!("cannot be cloned")
        }
        NoClone
    }
}
impl RunOnlyJob for NoClone {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn cleanup(&mut self, _: &mut Context) -> Result<()> {
        bail!("no")
    }
}
#[test]
fn a_debt_whose_job_cannot_be_cloned_is_a_failure_and_not_a_lost_name() {
    let d = dir();
    Engine::new(NoClone).unwrap().tries(1).journal(open(d.path())).converge();
    BREAKS.store(true, Ordering::SeqCst);
    let seen = Log::default();
    let s = seen.clone();
    let mut e = Engine::new(NoClone).unwrap().journal(open(d.path())).observe(move |event: &Event| {
        if let Event::CleanupPending { reason, .. } = event {
            note(&s, reason.clone())
        }
    });
    let r = e.call_pending(false);
    BREAKS.store(false, Ordering::SeqCst);
    assert!(take(&seen)[0].starts_with("it cannot be cloned"));
    assert_eq!((r.success(), e.pending().len()), (false, 1));
}

#[test]
fn no_cleanup_calls_no_cleanup_of_an_earlier_start() {
    let (d, log) = (dir(), Log::default());
    Engine::with_graph(debtor(&log, true)).journal(open(d.path())).converge();
    take(&log);
    Engine::with_graph(debtor(&log, false)).journal(open(d.path())).cleanup(false).converge();
    assert_eq!(take(&log), [] as [&str; 0], "--no-cleanup: \"Do not call cleanups\"");
}

#[test]
fn lost_debt_of_a_revert_run_says_cleanup() {
    // killed under revert policy before any failure: only the cleanup is owed
    let (d, _log) = (dir(), Log::default());
    let copy = d.path().join("copy");
    let file = d.path().join("journal");
    let mut g = JobGraph::builder();
    let (c, f) = (copy.clone(), file.clone());
    g.run_only("old", move |_| {
        fs::copy(&f, &c)?;
        Ok(())
    });
    Engine::with_graph(g.build().unwrap()).on_failure(OnFailure::Revert).journal(open(d.path())).converge();
    fs::rename(&copy, &file).unwrap();
    let mut g = JobGraph::builder();
    g.dummy("new");
    let mut e = Engine::with_graph(g.build().unwrap()).journal(open(d.path()));
    let listed = e.pending();
    let r = e.converge();
    assert_eq!((listed[0].phase, r.pending()[0].phase), (Phase::Cleanup, Phase::Cleanup));
}
