//! Saved plans: what a dry run has found is kept, reviewed, and applied exactly, or refused before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::bail;
use dojob::{
    CouldNotFindOut, Digest, DriftKind, Engine, Event, GraphChange, JobGraph, NotAsWanted, Outcome, Plan,
    PlanMismatch, Report, Secret, SkipDepth, UnplannableError,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What is in place, and which runs there were.
#[derive(Clone, Default)]
struct World(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    in_place: BTreeMap<String, String>,
    blind: BTreeSet<String>,
    ran: Vec<String>,
    /// What a run of one job undoes of another.
    undoes: Vec<(String, String)>,
}

impl World {
    fn of(in_place: &[&str]) -> Self {
        let world = World::default();
        in_place.iter().for_each(|job| world.put(job, "wanted"));
        world
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn put(&self, job: &str, content: &str) {
        self.state().in_place.insert(job.to_owned(), content.to_owned());
    }

    fn remove(&self, job: &str) {
        self.state().in_place.remove(job);
    }

    fn ran(&self) -> Vec<String> {
        self.state().ran.clone()
    }

    fn check(&self, job: &str) -> dojob::Result<()> {
        let state = self.state();
        if state.blind.contains(job) {
            bail!(CouldNotFindOut::new("how it is"));
        }
        let found = state.in_place.get(job).cloned().unwrap_or_default();
        if found == "wanted" {
            return Ok(());
        }
        let reason = if found.is_empty() { "it is missing" } else { "it differs" };
        Err(NotAsWanted::new(reason).diff(job, &found, "wanted").into())
    }

    fn run(&self, job: &str) {
        let mut state = self.state();
        state.ran.push(job.to_owned());
        state.in_place.insert(job.to_owned(), "wanted".to_owned());
        let undone: Vec<String> =
            state.undoes.iter().filter(|(by, _)| by == job).map(|(_, other)| other.clone()).collect();
        undone.iter().for_each(|other| drop(state.in_place.remove(other)));
    }

    /// Jobs by name, each with those that it depends on.
    fn engine(&self, jobs: &[(&str, &[&str])]) -> Engine {
        let mut graph = JobGraph::builder();
        for (name, after) in jobs {
            let (checked, run, job, other) =
                (self.clone(), self.clone(), (*name).to_owned(), (*name).to_owned());
            graph
                .job(
                    *name,
                    move |_| checked.check(&job),
                    move |_| {
                        run.run(&other);
                        Ok(())
                    },
                )
                .after(after.iter().copied());
        }
        Engine::with_graph(graph.build().unwrap()).tries(3)
    }
}

type Jobs<'j> = [(&'j str, &'j [&'j str])];

const SERVER: &Jobs<'static> =
    &[("directory", &[]), ("page", &["directory"]), ("settings", &[]), ("service", &["settings", "page"])];

fn plan_of(engine: Engine) -> Plan {
    let mut engine = engine.no_act(true).look_ahead(true);
    let report = engine.converge();
    engine.plan(&report).unwrap()
}

fn names(jobs: &[dojob::PlannedJob]) -> Vec<&str> {
    jobs.iter().map(|planned| planned.job.as_str()).collect()
}

/// Digests in a text are left out of comparisons.
fn without_digests(text: &str) -> String {
    let mut parts = text.split('"');
    let mut shown = String::from(parts.next().unwrap());
    for part in parts {
        let is_digest = part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        shown.push('"');
        shown.push_str(if is_digest { "DIGEST" } else { part });
    }
    shown
}

#[test]
fn a_plan_is_text_for_people_in_a_stable_order() {
    let world = World::of(&["settings", "service"]);
    world.put("page", "old");
    let plan = plan_of(world.engine(SERVER));
    let expected = r#"{
  "v": 1,
  "scope": null,
  "graph": "DIGEST",
  "arguments": "DIGEST",
  "would_run": [
    {
      "job": "directory",
      "reason": "it is missing",
      "diff": [
        "--- directory",
        "+++ directory (wanted)",
        "@@ -0,0 +1 @@",
        "+wanted",
        "\\ No newline at end of file"
      ],
      "digest": "DIGEST"
    },
    {
      "job": "page",
      "reason": "it differs",
      "after": [
        "directory"
      ],
      "diff": [
        "--- page",
        "+++ page (wanted)",
        "@@ -1 +1 @@",
        "-old",
        "\\ No newline at end of file",
        "+wanted",
        "\\ No newline at end of file"
      ],
      "digest": "DIGEST"
    }
  ],
  "unknown": [],
  "in_place": {
    "service": "DIGEST",
    "settings": "DIGEST"
  },
  "digest": "DIGEST"
}
"#;
    assert_eq!(without_digests(&plan.to_json()), expected);
    assert_eq!(plan.to_json(), plan_of(world.engine(SERVER)).to_json());
    assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
}

#[test]
fn what_was_planned_is_run_and_nothing_else() {
    let world = World::of(&["settings"]);
    world.state().blind.insert("service".to_owned());
    let plan = plan_of(world.engine(SERVER));
    assert_eq!(names(plan.would_run()), ["directory", "page"]);
    assert_eq!(names(plan.unknown()), ["service"]);
    assert_eq!(plan.in_place().collect::<Vec<_>>(), ["settings"]);

    world.state().blind.clear();
    let report = world.engine(SERVER).apply(&plan).unwrap();
    assert!(report.success());
    assert_eq!(world.ran(), ["directory", "page", "service"]);
}

#[test]
fn a_planned_job_that_is_in_place_by_now_is_passed_over_and_that_is_said() {
    let world = World::of(&["settings", "service"]);
    let plan = plan_of(world.engine(SERVER));
    world.put("directory", "wanted");
    let said = Arc::new(Mutex::new(Vec::<(String, Option<String>)>::new()));
    let kept = said.clone();
    let mut engine = world.engine(SERVER).observe(move |event: &Event| {
        if let Event::JobSettled { job, outcome: Outcome::InPlace, reason, .. } = event {
            kept.lock().unwrap().push((job.to_string(), reason.clone()));
        }
    });
    let report = engine.apply(&plan).unwrap();
    assert!(report.success());
    assert_eq!(world.ran(), ["page"]);
    let why = Some("it was to run, and is in place by now".to_owned());
    let row = |job: &str, reason: &Option<String>| (job.to_owned(), reason.clone());
    assert_eq!(
        *said.lock().unwrap(),
        [row("directory", &why), row("settings", &None), row("service", &None)]
    );
}

#[test]
fn what_was_skipped_stays_skipped_or_the_plan_is_refused() {
    let world = World::default();
    let engine = |is_wanted: bool| {
        let mut graph = JobGraph::builder();
        let (checked, run) = (world.clone(), world.clone());
        graph
            .job(
                "cache",
                move |_| checked.check("cache"),
                move |_| {
                    run.run("cache");
                    Ok(())
                },
            )
            .only_if(SkipDepth::Itself, move |_| Ok(is_wanted));
        Engine::with_graph(graph.build().unwrap())
    };
    let plan = plan_of(engine(false));
    assert_eq!(plan.skipped().collect::<Vec<_>>(), ["cache"]);
    assert_eq!(Plan::from_json(&plan.to_json()).as_ref(), Ok(&plan));
    assert!(engine(false).apply(&plan).unwrap().success());
    let refused = engine(true).apply(&plan).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "things are not as they were when the plan was made\n  cache was skipped and would run now: it is missing"
    );
    assert!(world.ran().is_empty());
}

fn drifts(refused: PlanMismatch) -> Vec<(String, DriftKind)> {
    match refused {
        PlanMismatch::Drift { drifts } => drifts.into_iter().map(|drift| (drift.job, drift.how)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_more_that_would_run_is_refused_before_anything_is_changed() {
    let world = World::of(&["directory", "settings", "service"]);
    let plan = plan_of(world.engine(SERVER));
    world.put("settings", "edited");
    let before = world.state().clone();
    let refused = world.engine(SERVER).apply(&plan).unwrap_err();
    assert_eq!(*world.state(), before);
    assert_eq!(
        refused.to_string(),
        "things are not as they were when the plan was made\n  settings was in place and would run now: it differs"
    );
    assert_eq!(
        serde_json::to_value(&refused).unwrap(),
        json!({"kind": "drift", "drifts": [{"job": "settings", "now": "would_run", "reason": "it differs", "diff": [
            "--- settings", "+++ settings (wanted)", "@@ -1 +1 @@", "-edited", "\\ No newline at end of file", "+wanted",
            "\\ No newline at end of file"
        ]}]})
    );
}

#[test]
fn what_cannot_be_found_out_any_more_is_refused() {
    let world = World::of(&["directory", "settings", "service"]);
    let plan = plan_of(world.engine(SERVER));
    world.state().blind.insert("service".to_owned());
    let refused = world.engine(SERVER).apply(&plan).unwrap_err();
    let reason = Some("could not find out how it is".to_owned());
    assert_eq!(drifts(refused), [("service".to_owned(), DriftKind::CouldNotFindOut { reason })]);
    assert!(world.ran().is_empty());
}

#[test]
fn another_change_than_the_one_that_was_reviewed_is_refused() {
    let world = World::of(&["directory", "settings", "service"]);
    world.put("page", "old");
    let plan = plan_of(world.engine(SERVER));
    world.put("page", "edited by hand");
    let refused = world.engine(SERVER).apply(&plan).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "things are not as they were when the plan was made\n  page would make another change than was planned"
    );
    assert!(world.ran().is_empty());
}

#[test]
fn a_job_that_was_in_place_and_would_run_later_fails_there() {
    let world = World::of(&["directory", "settings", "service"]);
    let plan = plan_of(world.engine(SERVER));
    assert_eq!(names(plan.would_run()), ["page"]);
    world.state().undoes.push(("page".to_owned(), "service".to_owned()));
    let report = world.engine(SERVER).apply(&plan).unwrap();
    assert_eq!(world.ran(), ["page"], "the service is not to run");
    let service = report.job("service");
    assert_eq!((service.outcome(), service.tries()), (Outcome::Failed, 1));
    assert_eq!(
        service.reason(),
        Some("it was in place or skipped when the plan was made, and is not to run: it is missing")
    );
    assert_eq!(report.exit_code(), 1);
    // Without a plan it runs.
    assert!(world.engine(SERVER).converge().success());
    assert_eq!(world.ran(), ["page", "service"]);
}

#[test]
fn another_graph_is_refused_and_the_jobs_are_named() {
    let world = World::of(&["directory", "settings", "service"]);
    let plan = plan_of(world.engine(SERVER));
    let other: &Jobs<'_> = &[
        ("directory", &[]),
        ("page", &["directory", "settings"]),
        ("settings", &[]),
        ("certificate", &["settings", "page"]),
    ];
    let refused = world.engine(other).apply(&plan).unwrap_err();
    let (changed, new, gone) = ("page".to_owned(), "certificate".to_owned(), "service".to_owned());
    let changes = vec![
        GraphChange::Changed { job: changed },
        GraphChange::New { job: new },
        GraphChange::Gone { job: gone },
    ];
    assert_eq!(refused, PlanMismatch::Graph { changes });
    assert_eq!(
        refused.to_string(),
        "the plan was made for other jobs\n  page has another type, other arguments or other dependencies\n  certificate is \
         new\n  service is gone"
    );
    assert!(world.ran().is_empty());

    // In another order: the same jobs, and yet another graph.
    let two: [&Jobs<'_>; 2] = [&[("a", &[]), ("b", &[])], &[("b", &[]), ("a", &[])]];
    let plan = plan_of(world.engine(two[0]));
    assert_eq!(world.engine(two[1]).apply(&plan).unwrap_err(), PlanMismatch::Graph { changes: vec![] });
    // A part of it.
    let part = world.engine(SERVER).only(["page"]).unwrap();
    let whole = plan_of(world.engine(SERVER));
    assert!(matches!(part.fits(&whole), Err(PlanMismatch::Graph { .. })));
    assert_eq!(world.engine(SERVER).fits(&whole), Ok(()));
}

#[test]
fn a_plan_of_another_scope_or_of_other_arguments_is_refused() {
    let world = World::of(&["directory", "settings", "service"]);
    let engine = |scope: &str, color: &str, token: &str| {
        let args = json!({ "color": color });
        #[derive(serde::Serialize)]
        struct Token {
            token: Secret<String>,
        }
        let token = Token { token: Secret::new(token.to_owned()) };
        world.engine(SERVER).scope(scope).args(&args).unwrap().args(&token).unwrap()
    };
    let plan = plan_of(engine("/srv/a", "red", "swordfish"));
    assert!(!plan.to_json().contains("swordfish"));
    let refused = engine("/srv/b", "red", "swordfish").apply(&plan).unwrap_err();
    assert_eq!(refused.to_string(), "the plan was made for the scope /srv/a, and this is the scope /srv/b");
    assert_eq!(engine("/srv/a", "blue", "swordfish").apply(&plan).unwrap_err(), PlanMismatch::OtherArguments);
    let none = world.engine(SERVER).apply(&plan).unwrap_err();
    assert_eq!(none.to_string(), "the plan was made for the scope /srv/a, and this is no scope of its own");
    assert!(world.ran().is_empty());
    // Secrets may change: they are not in the plan.
    assert!(engine("/srv/a", "red", "hunter2!").apply(&plan).unwrap().success());
    assert_eq!(world.ran(), ["page"]);
}

#[test]
fn secrets_are_masked_in_a_plan() {
    let mut graph = JobGraph::builder();
    graph.job(
        "token",
        |_| Err(NotAsWanted::new("it is not swordfish").diff("token", "old swordfish", "new").into()),
        |_| Ok(()),
    );
    let engine = Engine::with_graph(graph.build().unwrap()).mask(&Secret::new("swordfish".to_owned()));
    let text = plan_of(engine).to_json();
    assert!(
        !text.contains("swordfish") && text.contains("it is not ***") && text.contains("-old ***"),
        "{text}"
    );
}

#[test]
fn a_torn_plan_is_refused_wherever_it_ends() {
    let world = World::of(&["settings"]);
    let text = plan_of(world.engine(SERVER)).to_json();
    let whole = text.trim_end();
    for end in 0..whole.len() {
        let Some(torn) = whole.get(..end) else { continue };
        let refused = Plan::from_json(torn).unwrap_err();
        assert!(matches!(refused, PlanMismatch::Unreadable { .. }), "{end}: {refused}");
    }
    let told = Plan::from_json("{\"v\": 1, \"scope\"").unwrap_err().to_string();
    assert!(told.starts_with("this is no plan, or not all of it: "), "{told}");
    assert!(matches!(Plan::from_json("{}"), Err(PlanMismatch::Unreadable { .. })));
}

#[test]
fn a_plan_of_another_version_is_refused() {
    let text = plan_of(World::default().engine(SERVER)).to_json();
    let refused = Plan::from_json(&text.replace("\"v\": 1", "\"v\": 2")).unwrap_err();
    assert_eq!(refused, PlanMismatch::Version { version: 2 });
    assert_eq!(refused.to_string(), "the plan has version 2, and this program knows version 1");
}

/// All texts and names in it, one after the other.
fn edits(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let mut all = Vec::new();
            for (key, member) in members {
                let with = |edited: Option<Value>| {
                    let mut other = members.clone();
                    other.remove(key);
                    other.extend(edited.map(|edited| (key.clone(), edited)));
                    Value::Object(other)
                };
                all.extend(edits(member).into_iter().map(|edited| with(Some(edited))));
                all.push(with(None));
            }
            all
        }
        Value::Array(items) => {
            let mut all = Vec::new();
            for (at, item) in items.iter().enumerate() {
                for edited in edits(item) {
                    let mut other = items.clone();
                    other[at] = edited;
                    all.push(Value::Array(other));
                }
                let mut other = items.clone();
                other.remove(at);
                all.push(Value::Array(other));
            }
            all
        }
        Value::String(text) => vec![Value::String(format!("{text}!")), Value::Null],
        Value::Null => vec![json!("x")],
        _ => Vec::new(),
    }
}

#[test]
fn a_plan_that_was_edited_by_hand_is_refused() {
    let world = World::of(&["settings"]);
    world.state().blind.insert("service".to_owned());
    let original = plan_of(world.engine(SERVER));
    let plan: Value = serde_json::from_str(&original.to_json()).unwrap();
    let edited = edits(&plan);
    assert!(edited.len() > 40, "{}", edited.len());
    for edited in edited {
        let refused = Plan::from_json(&edited.to_string());
        let is_refused = matches!(refused, Err(PlanMismatch::Edited | PlanMismatch::Unreadable { .. }));
        // To leave out that there is no scope says the same.
        let says_the_same = refused.as_ref() == Ok(&original) && edited.get("scope").is_none();
        assert!(is_refused || says_the_same, "{refused:?}\n{edited:#}");
    }
    // Its layout may be another.
    assert!(Plan::from_json(&plan.to_string()).is_ok());
}

#[test]
fn only_a_whole_dry_run_makes_a_plan() {
    let world = World::of(&["settings"]);
    let unplanned = |engine: Engine| {
        let mut engine = engine;
        let report: Report = engine.converge();
        engine.plan(&report).unwrap_err()
    };
    assert_eq!(unplanned(world.engine(SERVER)), UnplannableError::NoDryRun);
    let stopped = world.engine(SERVER).no_act(true);
    stopped.stop_handle().stop();
    assert_eq!(unplanned(stopped), UnplannableError::Incomplete);
    world.state().blind.insert("directory".to_owned());
    let blind = UnplannableError::CouldNotFindOut { job: "directory".to_owned() };
    assert_eq!(unplanned(world.engine(SERVER).no_act(true).look_ahead(true)), blind);
}

#[test]
fn digests_tell_graphs_apart_and_are_the_same_each_time() {
    let world = World::default();
    let digest = |jobs: &Jobs<'_>| world.engine(jobs).graph().digest();
    let graphs: [&Jobs<'_>; 6] = [
        &[("a", &[]), ("b", &[])],
        &[("b", &[]), ("a", &[])],
        &[("a", &[]), ("b", &["a"])],
        &[("a", &["b"]), ("b", &[])],
        &[("a", &[]), ("bb", &[])],
        &[("a", &[]), ("b", &[]), ("c", &["a", "b"])],
    ];
    let all: BTreeSet<Digest> = graphs.iter().map(|jobs| digest(jobs)).collect();
    // In the fourth `b` comes first all the same.
    assert_eq!(all.len(), graphs.len());
    assert_eq!(digest(graphs[2]), digest(graphs[2]));
    assert_eq!(digest(graphs[0]).to_string().len(), 32);
}

proptest! {
    /// Whatever is changed by hand between a plan and its application: either the plan is refused and nothing runs, or what
    /// runs is what was planned, and all is in place.
    #[test]
    fn nothing_runs_that_was_not_planned(
        edges in prop::collection::vec(any::<bool>(), 21),
        in_place in prop::collection::vec(any::<bool>(), 7),
        drift in prop::collection::vec(prop::option::weighted(0.15, any::<bool>()), 7),
        workers in 1..4_usize,
    ) {
        let names: Vec<String> = (0..7).map(|job| format!("job {job}")).collect();
        let mut edges = edges.into_iter();
        let after: Vec<Vec<&str>> = (0..7)
            .map(|job| names[..job].iter().filter(|_| edges.next().unwrap()).map(String::as_str).collect())
            .collect();
        let jobs: Vec<(&str, &[&str])> =
            names.iter().zip(&after).map(|(name, after)| (name.as_str(), after.as_slice())).collect();
        let world = World::default();
        for (name, is_in_place) in names.iter().zip(&in_place) {
            if *is_in_place {
                world.put(name, "wanted");
            }
        }
        let plan = plan_of(world.engine(&jobs));
        let mut expected: BTreeSet<&str> = BTreeSet::new();
        let mut is_refused = false;
        for ((name, was), now) in names.iter().zip(&in_place).zip(&drift) {
            match (was, now.unwrap_or(*was)) {
                (true, false) => { world.remove(name); is_refused = true; }
                (false, true) => world.put(name, "wanted"),
                (false, false) => drop(expected.insert(name)),
                (true, true) => {}
            }
        }
        let before = world.state().clone();
        let applied = world.engine(&jobs).workers(workers).apply(&plan);
        prop_assert_eq!(applied.is_err(), is_refused);
        match applied {
            Err(_) => prop_assert_eq!(&*world.state(), &before),
            Ok(report) => {
                prop_assert!(report.success());
                let ran = world.ran();
                prop_assert_eq!(ran.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
            }
        }
    }
}
