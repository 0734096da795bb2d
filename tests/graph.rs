//! Building graphs: order, mistakes told all at once, strange names, graphs without an end.

use std::process::{Command, Stdio};

use dojob::{
    Context, Deps, DummyJob, Engine, GraphErrors, Job, JobGraph, Result, Retry, RunOnlyJob, VirtualClock,
    deps,
};

/// A job whose dependencies are written down in a table.
#[derive(Clone, PartialEq)]
struct Leaf {
    name: &'static str,
    size: u32,
}

impl Job for Leaf {
    fn name(&self) -> String {
        self.name.to_owned()
    }
    fn retry(&self) -> Retry {
        match self.size {
            0 => Retry::tries(0).delay_secs(-1.0),
            _ => Retry::default(),
        }
    }
    fn deps(&self) -> Deps {
        match self.name {
            "a" => deps![Leaf { name: "b", size: 1 }],
            "b" => deps![Leaf { name: "c", size: 1 }, Other],
            "c" => deps![Leaf { name: "a", size: 1 }],
            "self" => deps![Leaf { name: "self", size: 1 }],
            "panics" => panic!("no idea"),
            "named" => {
                let mut deps = deps![];
                deps.push_named("leef");
                deps.push_named("Other");
                deps
            }
            _ => deps![],
        }
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Other;

impl RunOnlyJob for Other {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

/// A type that takes a name that is in use.
#[derive(Clone, PartialEq)]
struct Impostor;

impl DummyJob for Impostor {
    fn name(&self) -> String {
        "leaf".to_owned()
    }
    fn deps(&self) -> Deps {
        deps![]
    }
}

#[derive(Clone, PartialEq)]
struct Root {
    leaves: Vec<&'static str>,
}

impl DummyJob for Root {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend(self.leaves.iter().map(|name| Leaf { name, size: 1 }));
        deps
    }
}

fn message(graph: Result<JobGraph, GraphErrors>) -> String {
    graph.expect_err("it has mistakes").to_string()
}

fn order(graph: &JobGraph) -> Vec<&str> {
    graph.iter().map(|node| node.name()).collect()
}

#[test]
fn jobs_come_in_depth_first_post_order() {
    let mut graph = JobGraph::builder();
    graph.dummy("root").after(["left", "right", "left"]);
    graph.dummy("right").after(["shared", "alone"]);
    graph.dummy("left").after(["deep", "shared"]);
    for name in ["alone", "shared", "deep", "unneeded"] {
        graph.dummy(name);
    }
    graph.root("root");
    let graph = graph.build().unwrap();
    assert_eq!(order(&graph), ["deep", "shared", "left", "alone", "right", "root"]);
    let root = graph.get("root").unwrap();
    assert_eq!(root.dependencies().map(|node| node.name()).collect::<Vec<_>>(), ["left", "right"]);
    let shared = graph.get("shared").unwrap();
    assert_eq!(shared.dependents().map(|node| node.name()).collect::<Vec<_>>(), ["left", "right"]);

    let only = graph.only(["right", "deep"]).unwrap();
    assert_eq!(order(&only), ["deep", "shared", "alone", "right"]);
    assert_eq!(only.roots().map(|node| node.name()).collect::<Vec<_>>(), ["deep", "right"]);
}

#[test]
fn without_a_root_jobs_come_as_they_were_told() {
    let mut graph = JobGraph::builder();
    graph.dummy("one");
    graph.dummy("two").after(["three"]);
    graph.dummy("three");
    graph.add(Leaf { name: "four", size: 1 }).after(["one"]).retry(Retry::tries(9));
    let graph = graph.build().unwrap();
    assert_eq!(order(&graph), ["one", "three", "two", "four"]);
    assert_eq!(graph.get("four").unwrap().retry().max_tries(), Some(9));
    assert_eq!(graph.roots().map(|node| node.name()).collect::<Vec<_>>(), ["two", "four"]);
}

#[test]
fn a_job_that_is_named_twice_is_the_same_job() {
    let graph = JobGraph::new(Root { leaves: vec!["x", "y", "x"] }).unwrap();
    assert_eq!(order(&graph), ["x", "y", "Root"]);
}

#[test]
fn all_mistakes_of_types_are_told_at_once() {
    let mut graph = JobGraph::builder();
    graph.add(Root { leaves: vec!["leaf", "a", "self", "panics", "named"] });
    graph.add(Zero);
    assert_eq!(
        message(graph.build()),
        "\
the job graph has 8 mistakes:
  - finding out what `panics` depends on panicked at tests/graph.rs:33:25: no idea
  - the name `leaf` stands for two unequal jobs of type graph::Leaf (needed by `Root` and by `Zero`); give them names \
that tell them apart
  - `zero` has 0 tries; give it at least 1
  - `zero` has a retry delay of -1 seconds; give it 0 or more
  - the name `leaf` is used by two types, graph::Leaf (needed by `Root`) and graph::Impostor (needed by `Zero`); give \
them different names
  - `named` depends on `leef`, which does not exist; did you mean `leaf`?
  - `self` depends on itself
  - these jobs wait for each other for ever: a -> b -> c -> a"
    );
}

#[derive(Clone, PartialEq)]
struct Zero;

impl DummyJob for Zero {
    fn deps(&self) -> Deps {
        deps![Leaf { name: "leaf", size: 2 }, Leaf { name: "zero", size: 0 }, Impostor]
    }
}

#[test]
fn all_mistakes_of_a_built_graph_are_told_at_once() {
    let mut graph = JobGraph::builder();
    graph.dummy("twice");
    graph.dummy("twice");
    graph.dummy("lost").after(["nowhere", "twise"]);
    graph.dummy("x").after(["y", "x"]);
    graph.dummy("y").after(["x"]);
    graph.dummy("p").after(["q"]);
    graph.dummy("q").after(["p"]);
    graph.root("rooot");
    assert_eq!(
        message(graph.build()),
        "\
the job graph has 7 mistakes:
  - there are two jobs named `twice`; give them different names
  - `lost` depends on `nowhere`, which does not exist
  - `lost` depends on `twise`, which does not exist; did you mean `twice`?
  - there is no job `rooot`
  - `x` depends on itself
  - these jobs wait for each other for ever: x -> y -> x
  - these jobs wait for each other for ever: p -> q -> p"
    );
    assert_eq!(message(JobGraph::builder().build()), "the job graph has a mistake: there are no jobs");
}

#[derive(Clone, PartialEq)]
struct Endless(u64);

impl DummyJob for Endless {
    fn name(&self) -> String {
        format!("Endless {}", self.0)
    }
    fn deps(&self) -> Deps {
        deps![Endless(self.0 + 1)]
    }
}

#[test]
fn dependencies_without_an_end_are_stopped() {
    let mut graph = JobGraph::builder();
    graph.add(Endless(0));
    graph.limit(100);
    assert_eq!(
        message(graph.build()),
        "the job graph has a mistake: there are more than 100 jobs, which looks like dependencies without an end; the \
         way there: Endless 0 -> Endless 1 -> Endless 2 -> Endless 3 -> Endless 4 -> Endless 5 -> … 89 more … -> \
         Endless 95 -> Endless 96 -> Endless 97 -> Endless 98 -> Endless 99 -> Endless 100"
    );
}

#[test]
fn any_name_can_be_drawn_listed_and_told() {
    let long = "long ".repeat(2000);
    let names = [
        "\"quoted\" \\N \\",
        "two\nlines\r\n",
        "ünï→ 🦀 \u{202e}",
        "&lt; <b> {|}",
        "\u{1b}[31mred",
        "",
        &long,
    ];
    let mut graph = JobGraph::builder();
    for name in names {
        graph.job(name, |_| anyhow::bail!("not \"so\"\n"), |_| Ok(()));
    }
    let graph = graph.build().unwrap();
    let (list, json, dot) = (graph.to_list(), graph.to_json(), graph.to_dot());
    assert_eq!(list.lines().count(), names.len());
    assert!(!list.contains('\u{1b}') && !list.contains('\u{202e}'));
    assert_eq!(json[1]["name"], "two\nlines\r\n");

    let told = tempfile::NamedTempFile::new().unwrap();
    let console = dojob::Console::verbose().to(told.reopen().unwrap());
    let report = Engine::with_graph(graph).tries(1).clock(VirtualClock::new()).observe(console).converge();
    let text = std::fs::read_to_string(told.path()).unwrap();
    // A line for each phase and for the failure, all failures again since they are out of sight, and a summary.
    assert_eq!(text.lines().count(), 5 * names.len() + 1, "{text}");
    assert!(text.contains("two\\nlines\\r\\n.recheck: fail \"not \\\"so\\\"\\n\"\n"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));

    for dot in [dot, report.to_dot()] {
        if let Some(svg) = graphviz(&dot) {
            for part in ["&quot;quoted&quot; \\N \\", "ünï→ 🦀", "&amp;lt; &lt;b&gt; {|}", "[31mred"] {
                assert!(svg.contains(part), "{part} is not whole in the picture");
            }
        }
    }
}

/// The picture by Graphviz; `None`, said aloud, where it is not installed, which in CI is a failure.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn graphviz(dot: &str) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dot).unwrap();
    let output = Command::new("dot").arg("-Tsvg").arg(file.path()).stdin(Stdio::null()).output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "Graphviz is not installed");
        println!("skipped: Graphviz is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let svg = String::from_utf8(output.stdout).unwrap();
    Some(svg.replace("&#160;", " ").replace("&#45;", "-"))
}

#[test]
fn jobs_are_given_more_to_need_and_other_names() {
    #[derive(Clone, PartialEq)]
    struct Say(&'static str);
    impl dojob::RunOnlyJob for Say {
        fn name(&self) -> String {
            self.0.to_owned()
        }
        fn run(&mut self, _: &mut dojob::Context) -> Result<()> {
            Ok(())
        }
    }
    use dojob::IntoJob;
    let names = |graph: JobGraph| graph.iter().map(|node| node.name().to_owned()).collect::<Vec<_>>();

    let twice = || Say("b").needs(deps![Say("a")]);
    let graph = JobGraph::new(Say("d").needs(deps![twice(), Say("c").needs(deps![twice()])])).unwrap();
    assert_eq!(names(graph), ["a", "b", "c", "d"]);
    let graph =
        JobGraph::new(Say("b").named("say b").tried(dojob::Retry::tries(7)).needs(deps![Say("a")])).unwrap();
    assert_eq!(graph.get("say b").unwrap().retry().max_tries(), Some(7));
    assert_eq!(names(graph), ["a", "say b"]);

    let errors = JobGraph::new(Say("d").needs(deps![twice(), Say("b")])).unwrap_err();
    assert!(errors.to_string().contains("`b`"), "{errors}");
    let other = Say("b").needs(deps![Say("x")]);
    assert!(JobGraph::new(Say("d").needs(deps![twice(), other])).is_err());
}

#[test]
fn long_chains_of_needs_are_built_cloned_and_dropped_without_recursion() {
    const LENGTH: usize = 1_000_000;
    let leaf = |number: usize| dojob::IntoJob::into_job(Link(number));
    let mut chain = leaf(0);
    for number in 1..LENGTH {
        chain = dojob::IntoJob::needs(leaf(number), dojob::Deps::new().with(chain));
    }
    let copy = chain.clone();
    assert!(format!("{copy:?}").contains("999999"));
    drop(chain);
    assert_eq!(JobGraph::new(copy).unwrap().len(), LENGTH);

    let mut star = leaf(0);
    for number in 1..10_000 {
        star = dojob::IntoJob::needs(star, dojob::Deps::new().with(leaf(number)));
    }
    assert_eq!(JobGraph::new(star).unwrap().len(), 10_000);
}

/// A link of a chain.
#[derive(Clone, PartialEq)]
struct Link(usize);

impl dojob::DummyJob for Link {
    fn name(&self) -> String {
        self.0.to_string()
    }

    fn deps(&self) -> dojob::Deps {
        dojob::Deps::new()
    }
}
