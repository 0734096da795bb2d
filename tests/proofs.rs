//! `dojob::testing`: a good job is proved, and a bad one is found out, whatever is bad about it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use dojob::testing::Proof;
use dojob::{Context, Job, Result, RunOnlyJob};

/// Writes two files, the second beside its place first.
#[derive(Clone, PartialEq)]
struct Pair {
    root: PathBuf,
    /// What is wrong with it.
    vice: Option<Vice>,
}

#[derive(Clone, Copy, PartialEq)]
enum Vice {
    ChecksByWriting,
    RunsAgain,
    Appends,
    LeavesThingsBeside,
    IsNotAtomic,
}

fn pair(vice: Option<Vice>) -> impl Fn(&Path) -> Pair {
    move |root| Pair { root: root.to_owned(), vice }
}

impl Job for Pair {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        if self.vice == Some(Vice::ChecksByWriting) {
            fs::write(self.root.join("seen"), "")?;
        }
        let is_enough =
            self.vice == Some(Vice::IsNotAtomic) || fs::read_to_string(self.root.join("b"))? == "two\n";
        ensure!(is_enough && self.root.join("a").exists(), "they are not there");
        ensure!(self.vice != Some(Vice::RunsAgain) || cx.local().get("ran")? == Some(true), "again");
        Ok(())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let (a, b) = (self.root.join("a"), self.root.join("b"));
        let beside = self.root.join(format!(".b.{}", std::process::id()));
        cx.local().set("ran", true)?;
        if self.vice != Some(Vice::LeavesThingsBeside) {
            cx.local().set("beside", &beside)?;
        }
        match self.vice {
            Some(Vice::Appends) => {
                let before = fs::read_to_string(&a).unwrap_or_default();
                fs::write(&a, before + "one\n")?;
            }
            _ => fs::write(&a, "one\n")?,
        }
        fs::write(&beside, "two\n")?;
        cx.command("sleep").arg("0.01").run()?;
        Ok(fs::rename(beside, b)?)
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        if let Some(beside) = cx.local().get::<PathBuf>("beside")?
            && beside.exists()
        {
            fs::remove_file(beside)?;
        }
        Ok(())
    }
}

#[test]
fn a_good_job_is_proved() {
    let killed = Proof::new(pair(None)).prove();
    assert!(killed >= 5, "{killed}");
}

#[test]
#[should_panic(expected = "a dry run: the world differs")]
fn a_check_that_writes_is_found_out() {
    Proof::new(pair(Some(Vice::ChecksByWriting))).prove();
}

#[test]
#[should_panic(expected = "the second convergence has run the job again")]
fn a_job_that_runs_again_is_found_out() {
    Proof::new(pair(Some(Vice::RunsAgain))).prove();
}

#[test]
#[should_panic(expected = "with every phase called twice: the world differs")]
fn a_run_that_adds_is_found_out() {
    Proof::new(pair(Some(Vice::Appends))).prove();
}

#[test]
#[should_panic(expected = "the world differs\n+ ")]
fn what_a_killed_run_leaves_is_found_out() {
    Proof::new(pair(Some(Vice::LeavesThingsBeside))).prove();
}

#[test]
#[should_panic(expected = "after a kill at")]
fn a_check_that_takes_half_for_whole_is_found_out() {
    Proof::new(pair(Some(Vice::IsNotAtomic))).prove();
}

#[test]
#[should_panic(expected = "there was nothing to do")]
fn a_world_without_work_proves_nothing() {
    let prepare =
        |root: &Path| ["a", "b"].into_iter().for_each(|name| fs::write(root.join(name), "two\n").unwrap());
    Proof::new(pair(None)).prepare(prepare).prove();
}

#[derive(Clone, PartialEq)]
struct Stamp {
    root: PathBuf,
}

impl RunOnlyJob for Stamp {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(fs::write(self.root.join("stamp"), "x")?)
    }
}

#[test]
fn a_run_only_job_may_run_to_the_same_end() {
    Proof::new(|root: &Path| Stamp { root: root.to_owned() }).instants(3).prove();
}
