//! What groups, conditions, values by name and limits do beyond the table of behaviours.

use super::*;

#[test]
fn a_group_waits_between_its_attempts() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], |cx| cx.attempt() == 4);
    let attempts = Attempts::times(4).delay(Duration::from_secs(5)).backoff(3.0);
    graph.add(Group::new("group").jobs_named(["a"]).attempts(attempts));
    let report = converge(graph);
    assert!(report.success());
    assert_eq!(report.duration(), Duration::from_secs(5 + 15 + 45));
}

#[test]
fn others_go_on_while_a_group_waits() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], |cx| cx.attempt() == 2);
    job(&mut graph, &world, "outside", &[], always);
    let attempts = Attempts::times(2).delay(Duration::from_secs(5));
    graph.add(Group::new("group").jobs_named(["a"]).attempts(attempts));
    assert!(converge(graph).success());
    assert_eq!(world.told(), ["run a", "revert a", "run outside", "run a"]);
}

#[test]
fn a_job_has_its_tries_anew_in_each_attempt() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let noted = world.clone();
    graph
        .run_only("a", move |cx| {
            noted.note(format!("attempt {}, try {}", cx.attempt(), cx.try_number()));
            bail!("no")
        })
        .retry(Retry::tries(2));
    graph.add(Group::new("group").jobs_named(["a"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert_eq!(
        world.told(),
        ["attempt 1, try 1", "attempt 1, try 2", "attempt 2, try 1", "attempt 2, try 2"]
    );
    assert_eq!(report.job("a").tries(), 2);
}

#[test]
fn results_of_a_failed_attempt_are_gone() {
    let mut graph = JobGraph::builder();
    graph.run_only("a", |cx| if cx.attempt() == 1 { Ok(cx.set_result(1)?) } else { Ok(()) });
    graph
        .run_only("b", |cx| {
            let result = cx.result::<u32>("a");
            match cx.attempt() {
                1 => bail!("no"),
                _ => {
                    ensure!(result.is_err(), "it is there: {result:?}");
                    Ok(())
                }
            }
        })
        .after(["a"])
        .retry(Retry::tries(1));
    graph.add(Group::new("group").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert!(report.success(), "{:?}", report.job("b").reason());
    assert_eq!(report.job("a").result(), None);
}

#[derive(Clone, PartialEq)]
struct Fetch;

impl RunOnlyJob for Fetch {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mirror: Secret<String> = Secret::new(cx.attempt_value::<String>()?);
        ensure!(mirror.expose() == "token-of-the-second", "{} is refused", mirror.expose());
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Install;

impl RunOnlyJob for Install {
    fn deps(&self) -> dojob::Deps {
        let secrets = ["token-of-the-first", "token-of-the-second"].map(|text| Secret::new(text.to_owned()));
        deps![Group::new("mirror").jobs(deps![Fetch]).attempts(Attempts::for_each(secrets))]
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_group_is_a_dependency_like_a_job_and_its_values_may_be_secret() {
    let events = Arc::new(Mutex::new(String::new()));
    let told = events.clone();
    let mut engine = Engine::new(Install).unwrap().tries(1).observe(move |event: &Event| {
        told.lock().unwrap().push_str(&serde_json::to_string(event).unwrap());
    });
    let report = engine.converge();
    assert!(report.success());
    let events = events.lock().unwrap();
    assert!(!events.contains("token-of") && events.contains(r#""value":"***""#), "{events}");
    assert!(!serde_json::to_string(&report).unwrap().contains("token-of"));
}

#[test]
fn a_job_in_two_groups_is_a_mistake() {
    let mut graph = JobGraph::builder();
    graph.dummy("a");
    graph.add(Group::new("one").jobs_named(["a"]));
    graph.add(Group::new("two").jobs_named(["a"]).attempts(Attempts::times(0)));
    let mistakes = graph.build().unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "the job graph has a mistake: the group `two` has 0 attempts; give it at least 1"
    );
    let mut graph = JobGraph::builder();
    graph.dummy("a");
    graph.add(Group::new("one").jobs_named(["a"]));
    graph.add(Group::new("two").jobs_named(["a"]));
    let mistakes = graph.build().unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "the job graph has a mistake: `a` is in two groups, `one` and `two`; list it in one of them"
    );
}

#[test]
fn a_circle_through_a_group_is_a_mistake() {
    let mut graph = JobGraph::builder();
    graph.dummy("a");
    graph.dummy("outside").after(["a"]);
    graph.dummy("b").after(["outside"]);
    graph.add(Group::new("group").jobs_named(["a", "b"]));
    let mistakes = graph.build().unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "the job graph has a mistake: these jobs wait for each other for ever: outside -> group -> b -> outside"
    );
    let mut graph = JobGraph::builder();
    graph.add(Group::new("one").jobs_named(["two"]));
    graph.add(Group::new("two").jobs_named(["one"]));
    assert!(graph.build().unwrap_err().to_string().contains("one -> two -> one"));
}

#[test]
fn a_group_is_skipped_as_a_whole() {
    for (depth, skipped) in [
        (SkipDepth::Itself, vec!["a", "b", "group"]),
        (SkipDepth::Dependents, vec!["a", "b", "group", "next"]),
        (SkipDepth::Group, vec!["a", "b", "group", "last", "next"]),
        (SkipDepth::After, vec!["a", "b", "group", "last", "next"]),
    ] {
        let (world, mut graph) = (World::default(), JobGraph::builder());
        job(&mut graph, &world, "first", &[], always);
        job(&mut graph, &world, "a", &["first"], always);
        job(&mut graph, &world, "b", &["a"], always);
        let group = Group::new("group").jobs_named(["a", "b"]).attempts(Attempts::times(2));
        graph.add(group.only_if(depth, |cx| Ok(cx.global().get("wanted")?.unwrap_or(false))));
        job(&mut graph, &world, "next", &["group"], always);
        job(&mut graph, &world, "last", &["next"], always);
        let report = converge(graph);
        assert!(report.success());
        let mut found: Vec<&str> =
            report.jobs().filter(|job| job.outcome() == Outcome::Skipped).map(|job| job.name()).collect();
        found.sort_unstable();
        assert_eq!(found, skipped, "{depth:?}");
        assert_eq!(report.groups()[0].attempts, 0);
    }
}

#[test]
fn what_a_failed_attempt_has_skipped_is_asked_again() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    let noted = world.clone();
    graph
        .run_only("b", move |_| {
            noted.note("run b");
            Ok(())
        })
        .after(["a"])
        .only_if(SkipDepth::After, |cx| Ok(cx.attempt() == 2));
    job(&mut graph, &world, "c", &["a"], |cx| cx.attempt() == 2);
    graph.add(Group::new("group").jobs_named(["a", "b", "c"]).attempts(Attempts::times(2)));
    job(&mut graph, &world, "outside", &["group"], always);
    let report = converge(graph);
    assert!(report.success());
    assert_eq!(
        world.told(),
        ["run a", "run c", "revert c", "revert a", "run a", "run b", "run c", "run outside"]
    );
    assert_eq!((report.counts().skipped, report.counts().total()), (0, 5));
}

#[test]
fn a_condition_that_cannot_tell_fails_its_job_for_good() {
    let mut graph = JobGraph::builder();
    graph.run_only("a", |_| panic!("it runs")).only_if(SkipDepth::Itself, |_| bail!("who knows"));
    graph.run_only("b", |_| panic!("it runs")).only_if(SkipDepth::Itself, |_| panic!("oh"));
    let report = converge(graph);
    assert_eq!(
        report.job("a").reason(),
        Some("its condition cannot tell whether it is to be done: who knows")
    );
    assert_eq!((report.job("a").tries(), report.counts().failed), (1, 2));
}

#[test]
fn conditions_are_asked_in_a_dry_run_and_nothing_is_attempted_again() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    graph.run_only("b", |_| Ok(())).only_if(SkipDepth::Itself, |_| Ok(false));
    graph.add(Group::new("group").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    graph.run_only("c", |_| Ok(()));
    graph.add(Group::new("unwanted").jobs_named(["c"]).only_if(SkipDepth::Itself, |_| Ok(false)));
    let report = engine(graph).no_act(true).on_failure(OnFailure::Revert).converge();
    assert_eq!(
        outcomes(&report),
        [
            ("a", Outcome::WouldRun),
            ("b", Outcome::Skipped),
            ("group", Outcome::Unknown),
            ("c", Outcome::Skipped),
            ("unwanted", Outcome::Skipped)
        ]
    );
    assert_eq!((world.told(), report.exit_code()), (vec![], 3));
}

#[test]
fn values_are_handed_on_by_name() {
    let mut graph = JobGraph::builder();
    // Found by name, though it is told of later.
    graph
        .run_only("deploy", |cx| {
            ensure!(cx.input::<String>("address")? == "10.0.0.7");
            let refused = cx.input::<String>("other").unwrap_err().to_string();
            ensure!(refused == "`deploy` does not say that it requires `other`", "{refused}");
            Ok(())
        })
        .requires(["address"]);
    graph
        .run_only("resolve", |cx| {
            let refused = cx.provide("other", 1).unwrap_err().to_string();
            ensure!(refused == "`resolve` does not say that it provides `other`", "{refused}");
            Ok(cx.provide("address", "10.0.0.7")?)
        })
        .provides(["address"]);
    let report = converge(graph);
    assert!(report.success(), "{report:?}");
    assert_eq!(outcomes(&report)[0].0, "resolve");
}

#[test]
fn what_is_in_place_and_does_not_provide_is_run() {
    let mut graph = JobGraph::builder();
    graph.job("quiet", |_| Ok(()), |cx| Ok(cx.provide("x", 1)?)).provides(["x"]).retry(Retry::tries(1));
    graph.job("silent", |_| Ok(()), |_| Ok(())).provides(["y"]).retry(Retry::tries(1));
    let report = converge(graph);
    // The recheck of a try sees what its run has provided.
    assert_eq!(report.job("quiet").outcome(), Outcome::Changed);
    assert_eq!(
        report.job("quiet").reason(),
        Some("it is in place, but `x`, which it provides, is not known")
    );
    assert_eq!(report.job("silent").reason(), Some("it has not provided `y`"));
}

#[test]
fn a_part_of_a_group_is_attempted_as_well() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], |cx| cx.attempt() == 2);
    job(&mut graph, &world, "b", &["a"], always);
    graph.add(Group::new("group").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    assert!(engine(graph).only(["a"]).unwrap().converge().success());
    assert_eq!(world.told(), ["run a", "revert a", "run a"]);
}

#[test]
fn conditions_of_ready_made_values() {
    let job = Fetch.only_if(SkipDepth::Itself, |cx| Ok(cx.arg_opt("fetch")?.unwrap_or(false)));
    assert_eq!(Engine::new(job).unwrap().converge().counts().skipped, 1);
}

/// Counts how many are at work at once.
#[derive(Clone, Default)]
struct Gauge(Arc<Mutex<(usize, usize)>>);

impl Gauge {
    fn enter(&self) {
        let mut gauge = self.0.lock().unwrap();
        gauge.0 += 1;
        gauge.1 = gauge.1.max(gauge.0);
    }
    fn leave(&self) {
        self.0.lock().unwrap().0 -= 1;
    }
    fn most(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

#[test]
fn at_most_so_many_jobs_at_once_use_what_is_limited() {
    let (gauge, mut graph) = (Gauge::default(), JobGraph::builder());
    for job in 0..8 {
        let gauge = gauge.clone();
        graph
            .run_only(format!("job {job}"), move |cx| {
                gauge.enter();
                cx.shell("true").run()?;
                gauge.leave();
                Ok(())
            })
            .uses(["database"]);
    }
    let graph = graph.build().unwrap();
    let report = Engine::with_graph(graph.clone()).workers(6).limit("database", 2).converge();
    assert!(report.success());
    assert!((1..=2).contains(&gauge.most()), "{} at once", gauge.most());
    // The graph can say so, too.
    assert!(Engine::with_graph(graph.limit("database", 1)).workers(6).converge().success());
}

#[test]
fn a_limited_job_keeps_its_place_and_lets_others_by() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut graph = JobGraph::builder();
    for (name, limited) in [("a", true), ("b", true), ("c", false), ("d", true)] {
        let order = order.clone();
        let job = graph.run_only(name, move |_| {
            order.lock().unwrap().push(name);
            Ok(())
        });
        if limited {
            job.uses(["disk"]);
        }
    }
    let graph = graph.build().unwrap();
    for seed in 0..20 {
        order.lock().unwrap().clear();
        let mut engine = Engine::with_graph(graph.clone()).workers(3).limit("disk", 1).simulate(seed);
        assert!(engine.converge().success());
        let order: Vec<&str> = order.lock().unwrap().iter().copied().filter(|name| *name != "c").collect();
        assert_eq!(order, ["a", "b", "d"], "seed {seed}");
    }
}

#[test]
fn a_limit_that_is_not_set_is_refused_before_anything_runs() {
    let mut graph = JobGraph::builder();
    graph.run_only("deploy", |_| panic!("it runs")).uses(["databse"]);
    let report = engine(graph).limit("database", 1).converge();
    assert_eq!(
        report.refusal().unwrap().to_string(),
        "`deploy` uses the limit `databse`, which is not set; did you mean `database`?"
    );
    assert_eq!(report.counts().not_started, 1);
}

#[test]
fn a_group_that_starts_again_gives_its_limits_back() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    for name in ["a", "b", "c"] {
        let noted = world.clone();
        graph
            .run_only(name, move |cx| {
                noted.note(name);
                ensure!(cx.attempt() == 2, "no");
                Ok(())
            })
            .retry(Retry::tries(1))
            .uses(["disk"]);
    }
    graph.add(Group::new("group").jobs_named(["a", "b", "c"]).attempts(Attempts::times(2)));
    let report = engine(graph).workers(3).limit("disk", 1).converge();
    assert!(report.success());
    assert_eq!(world.told(), ["a", "a", "b", "c"]);
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let mut graph = JobGraph::builder();
    graph.run_only("quick", |_| Ok(()));
    graph.run_only("slow", |cx| Ok(cx.wait(Duration::from_secs(50))?)).cleanup(|_| Ok(()));
    graph.run_only("later", |_| Ok(())).after(["slow"]);
    let report = engine(graph).time_limit(Duration::from_secs(20)).on_failure(OnFailure::Revert).converge();
    assert_eq!(
        outcomes(&report),
        [("quick", Outcome::Changed), ("slow", Outcome::Stopped), ("later", Outcome::NotStarted)]
    );
    assert!(report.is_timed_out() && !report.is_stopped());
    assert_eq!(
        (report.exit_code(), report.duration(), report.cleanups().len()),
        (1, Duration::from_secs(20), 1)
    );
}

#[test]
fn the_time_of_a_run_ends_its_commands() {
    let mut graph = JobGraph::builder();
    graph.run_only("slow", |cx| Ok(cx.shell("sleep 600").run().map(drop)?));
    let report = Engine::with_graph(graph.build().unwrap()).time_limit(Duration::from_millis(50)).converge();
    assert_eq!(report.job("slow").outcome(), Outcome::Stopped);
    assert!(report.is_timed_out());
}

#[test]
fn pictures_have_frames_around_groups() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], |cx| cx.attempt() == 2);
    job(&mut graph, &world, "b", &["a"], always);
    graph.add(Group::new("inner").jobs_named(["a"]).attempts(Attempts::times(2)));
    graph.add(Group::new("outer").jobs_named(["inner", "b"]));
    job(&mut graph, &world, "c", &["b"], always);
    let report = converge(graph);
    let text = report.to_mermaid();
    let frames = "    subgraph g0 [\"outer\"]\n    subgraph g1 [\"inner<br/>2 attempts\"]\n    n0(\"a<br/>";
    assert!(text.contains(frames), "{text}");
    let dot = report.to_dot();
    assert_eq!(dot.matches("subgraph cluster_").count(), 2, "{dot}");
    assert!(dot.contains("inner\\n2 attempts") && dot.contains("outer"), "{dot}");
}
