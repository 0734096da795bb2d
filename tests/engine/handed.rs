//! What jobs are handed, and what they hand on: arguments, secrets, results and handles.

use std::path::PathBuf;

use super::*;

/// Events as JSON text: all that an observer could see.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Everything {
    fn observer(&self) -> impl FnMut(&Event) + Send + 'static {
        let text = self.0.clone();
        move |event: &Event| text.lock().unwrap().push_str(&format!("{event:?} {}\n", json!(event)))
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn results_are_read_by_those_who_depend_on_them() {
    let mut graph = JobGraph::builder();
    graph.job("count", |cx| Ok(cx.set_result(json!({"cpus": 8}))?), |_| unreachable!());
    graph.dummy("between").after(["count"]);
    graph
        .run_only("build", |cx| {
            let count: serde_json::Value = cx.result("count")?;
            ensure!(count["cpus"] == 8, "wrong result");
            ensure!(
                cx.result::<u32>("between").unwrap_err().to_string() == "`between` has handed on no result",
                "wrong message"
            );
            Ok(cx.set_result("built")?)
        })
        .after(["between"]);
    graph.run_only("stranger", |cx| {
        cx.result::<u32>("count")?;
        Ok(())
    });
    graph.run_only("lost", |cx| {
        cx.result::<u32>("cuont")?;
        Ok(())
    });
    let report = engine(graph).tries(1).converge();
    assert_eq!(report.job("build").result(), Some(&json!("built")));
    assert_eq!(
        report.job("stranger").reason(),
        Some("`stranger` cannot ask about `count`, which it does not depend on; add it to its dependencies")
    );
    assert_eq!(report.job("lost").reason(), Some("there is no job `cuont`; did you mean `count`?"));
}

#[test]
fn secrets_reach_jobs_and_nobody_else() {
    #[derive(serde::Serialize)]
    struct Args {
        user: String,
        password: Secret,
    }
    let mut graph = JobGraph::builder();
    graph.job(
        "hunter",
        |cx| bail!("it is {}", cx.arg::<String>("password")?),
        |cx| {
            let password: Secret = cx.arg("password")?;
            cx.log(format_args!("using {password} or {}", password.expose()));
            cx.shell(&format!("echo out {p}; echo err {p} >&2", p = password.expose())).run()?;
            cx.mask(&Secret::new("found on the way".to_owned()));
            cx.log("found on the way");
            cx.set_result(json!([password.expose()]))?;
            Err(anyhow!("caused by {}", password.expose()).context(format!("with {}", password.expose())))
        },
    );
    graph
        .run_only("reader", |cx| {
            cx.set_result(cx.arg::<String>("password")?)?;
            panic!("{}", cx.arg::<String>("password")?)
        })
        .cleanup(|cx| bail!("{}", cx.arg::<String>("password")?));
    graph.run_only("giver", |cx| Ok(cx.set_result(cx.arg::<String>("password")?)?));
    graph
        .run_only("taker", |cx| {
            ensure!(cx.result::<String>("giver")?.len() == 13, "masked on the way");
            Ok(())
        })
        .after(["giver"]);
    let everything = Everything::default();
    let args = Args { user: "me".into(), password: Secret::from("correct-horse".to_owned()) };
    let mut engine = engine(graph).args(&args).unwrap().tries(1).observe(everything.observer());
    let report = engine.converge();
    assert_eq!(report.job("taker").outcome(), Outcome::Changed, "results are handed on unmasked");
    let seen = format!("{}{}{report:?}{}", everything.text(), json!(report), report.to_dot());
    assert!(!seen.contains("correct-horse"), "{seen}");
    assert!(seen.contains("out ***") && seen.contains("err ***") && !seen.contains("\"found on the way"));
}

#[test]
fn handles_are_shared_by_type() {
    struct Connection(AtomicU32);
    let mut graph = JobGraph::builder();
    for name in ["A", "B"] {
        graph.run_only(name, |cx| {
            let connection = cx.handles().get::<Connection>().ok_or_else(|| anyhow!("none"))?;
            connection.0.fetch_add(1, Ordering::Relaxed);
            let cache = cx.handles().get_or_try_put(|| Ok::<_, anyhow::Error>(Mutex::new(Vec::new())))?;
            cache.lock().unwrap().push(cx.name().to_owned());
            Ok(cx.set_result(cache.lock().unwrap().len())?)
        });
    }
    let report = engine(graph).handle(Connection(AtomicU32::new(0))).converge();
    assert_eq!(report.job("B").result(), Some(&json!(2)));
}

#[derive(Clone, PartialEq)]
struct Written {
    root: PathBuf,
}

impl RunOnlyJob for Written {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        Ok(std::fs::write(
            self.root.join(cx.positional::<String>(0)?),
            cx.args::<serde_json::Value>()?.to_string(),
        )?)
    }
}

#[test]
fn arguments_positional_and_all_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Engine::new(Written { root: scratch.path().to_owned() })
        .unwrap()
        .args(&json!({"a": 1}))
        .unwrap()
        .args(&json!({"b": 2}))
        .unwrap()
        .positional(["file"])
        .unwrap();
    assert!(engine.converge().success());
    assert_eq!(std::fs::read_to_string(scratch.path().join("file")).unwrap(), r#"{"a":1,"b":2}"#);
    assert!(engine.args(&[1, 2]).is_err());
}
