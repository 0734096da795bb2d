//! Errors after which another try is pointless.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow, bail};
use dojob::{CouldNotFindOut, Engine, Event, GraphBuilder, JobGraph, Outcome, Permanent, Result, Retry};

use super::Heard;

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap()).tries(3)
}

fn never() -> anyhow::Error {
    Permanent::new("no world fits").because(anyhow!("port 99999")).into()
}

#[test]
fn the_try_that_says_so_is_the_last() {
    let mut graph = JobGraph::builder();
    graph.job(
        "check",
        |_| Err(CouldNotFindOut::new("how it is").because(never()).permanent().into()),
        |_| unreachable!(),
    );
    graph.job("run", |_| bail!("it is not there"), |_| Err(never()).context("failed to make it"));
    graph.job("another", |_| bail!("it is not there"), |_| Ok(()));
    graph.run_only("script", |_| Err(never())).retry(Retry::tries(5));
    graph.run_only("dependent", |_| Ok(())).after(["script"]);
    let heard = Heard::default();
    let retries: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = retries.clone();
    let retried = move |event: &Event| {
        if let Event::RetryScheduled { job, .. } = event {
            told.lock().unwrap().push(job.to_string());
        }
    };
    let report = engine(graph).observe(heard.observer()).observe(retried).converge();

    for (name, tries, reason) in [
        ("check", 1, "could not find out how it is: no world fits: port 99999"),
        ("run", 1, "it is not there"),
        ("another", 3, "it is not there"),
        ("script", 1, "no world fits: port 99999"),
    ] {
        let job = report.job(name);
        assert_eq!((job.outcome(), job.tries()), (Outcome::Failed, tries), "{name}");
        assert_eq!(job.reason(), Some(reason), "{name}");
        assert_eq!(job.failures().iter().any(|failure| failure.permanent), name != "another", "{name}");
    }
    assert_eq!(report.job("dependent").outcome(), Outcome::Blocked);
    assert_eq!(*retries.lock().unwrap(), ["another", "another"]);
    assert!(heard.all().contains(&"run#1.recheck: fail".to_owned()), "{:?}", heard.all());
}

#[test]
fn the_recheck_still_decides() {
    let mut graph = JobGraph::builder();
    let done = Arc::new(Mutex::new(false));
    let (is_done, make) = (done.clone(), done);
    let check = move |_: &mut _| if *is_done.lock().unwrap() { Ok(()) } else { Err(never()) };
    let run = move |_: &mut _| -> Result<()> {
        *make.lock().unwrap() = true;
        Err(never())
    };
    graph.job("it", check, run);
    assert_eq!(engine(graph).converge().job("it").outcome(), Outcome::Changed);
}

#[test]
fn a_dry_run_asks_once_in_any_case() {
    let mut graph = JobGraph::builder();
    graph.job("it", |_| Err(never()), |_| unreachable!());
    let report = engine(graph).no_act(true).converge();
    assert_eq!((report.job("it").outcome(), report.job("it").tries()), (Outcome::WouldRun, 1));
}
