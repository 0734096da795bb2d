//! Pictures as SVG and Mermaid text: well-formed, whole and the same every time, whatever the names.

use std::collections::BTreeSet;

use dojob::{
    Attempts, Context, Deps, DummyJob, Engine, Group, Job, JobGraph, Report, Result, RunOnlyJob,
    VirtualClock, deps,
};
use roxmltree::{Document, Node};

const SVG: &str = "http://www.w3.org/2000/svg";

/// Names that could break out of a file, or out of a box.
fn odd_names() -> Vec<String> {
    let names = [
        "\"quoted\" \\N 'single' \\",
        "two\nlines\r\nthree",
        "ünï→ 🦀 \u{202e}turned\u{202c}",
        "&lt; <b>bold</b> {|} ]]> &amp;",
        "\u{1b}[31mred\u{0}\u{7f}\u{85}\u{fffe}\u{ffff}",
        "",
        " ",
        "\t tab and  spaces ",
        "日本語の名前",
        "\u{200f}שלום\u{200e}",
        "<!-- --> <script>alert(1)</script>",
        "</text></svg>",
    ];
    let long = ["long ".repeat(2000), "x".repeat(10_000), "W".repeat(200)];
    names.into_iter().map(str::to_owned).chain(long).collect()
}

/// A graph of jobs of these names, all of which a root needs.
fn named(names: &[String]) -> JobGraph {
    let mut graph = JobGraph::builder();
    for name in names {
        graph.job(name.as_str(), |_| anyhow::bail!("not \"so\" & <not> so\u{1}\n"), |_| Ok(()));
    }
    graph.dummy("root").after(names.iter().map(String::as_str));
    graph.build().unwrap()
}

/// What an XML document can hold of a name: line breaks are new lines, and what would turn the text is replaced.
fn shown(name: &str) -> String {
    let replaced = |c: char| match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    name.replace("\r\n", "\n")
        .split('\n')
        .map(|line| line.chars().map(replaced).collect::<String>())
        .collect()
}

/// The groups that stand for jobs, in the order of the graph.
fn jobs<'d>(document: &'d Document<'_>) -> Vec<Node<'d, 'd>> {
    let groups = document.root_element().children().filter(|node| node.has_tag_name((SVG, "g")));
    groups.filter(|group| group.children().any(|child| child.has_tag_name((SVG, "title")))).collect()
}

fn child<'d>(node: Node<'d, 'd>, tag: &str) -> Node<'d, 'd> {
    node.children().find(|child| child.has_tag_name((SVG, tag))).expect("it has such a child")
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).expect("it has this attribute").parse().expect("it is a number")
}

/// The left, top, right and lower side of the box of a job.
fn sides(job: Node<'_, '_>) -> [f64; 4] {
    sides_of(child(job, "rect"))
}

fn sides_of(rect: Node<'_, '_>) -> [f64; 4] {
    let [x, y, width, height] = ["x", "y", "width", "height"].map(|attribute| number(rect, attribute));
    [x, y, x + width, y + height]
}

#[test]
fn odd_names_are_whole_and_break_nothing() {
    let names = odd_names();
    let graph = named(&names);
    let before = graph.to_svg();
    let after = Engine::with_graph(graph).tries(1).clock(VirtualClock::new()).converge().to_svg();
    for svg in [&before, &after] {
        let document = Document::parse(svg).unwrap();
        assert!(!document.descendants().any(|node| node.has_tag_name((SVG, "script"))));
        let jobs = jobs(&document);
        assert_eq!(jobs.len(), names.len() + 1);
        for (job, name) in jobs.iter().zip(&names) {
            assert_eq!(text(child(*job, "text")), shown(name));
            let [left, top, right, below] = sides(*job);
            let characters = shown(name).chars().count() as f64;
            // No letter of the usual fonts is narrower than a quarter of a pixel a point.
            assert!((right - left) * ((below - top) / 15.0).ceil() > characters * 13.0 / 4.0, "{name:?}");
            assert!(right - left <= 600.0, "{name:?} is too broad");
        }
    }
}

#[test]
fn boxes_are_apart_and_within_the_picture() {
    let graph = named(&odd_names());
    let svg = graph.to_svg();
    let document = Document::parse(&svg).unwrap();
    let boxes: Vec<[f64; 4]> = jobs(&document).into_iter().map(sides).collect();
    let root = document.root_element();
    assert_eq!(
        root.attribute("viewBox").unwrap(),
        format!("0 0 {} {}", number(root, "width"), number(root, "height"))
    );
    for (at, one) in boxes.iter().enumerate() {
        assert!(
            one[0] >= 0.0
                && one[1] >= 0.0
                && one[2] <= number(root, "width")
                && one[3] <= number(root, "height")
        );
        for other in &boxes[at + 1..] {
            assert!(one[2] < other[0] || other[2] < one[0] || one[3] < other[1] || other[3] < one[1]);
        }
    }
}

#[derive(Clone, PartialEq)]
struct Dinner;

impl DummyJob for Dinner {
    fn deps(&self) -> Deps {
        deps![Cook, Bell]
    }
}

#[derive(Clone, PartialEq)]
struct Cook;

impl Job for Cook {
    fn deps(&self) -> Deps {
        deps![Stove, Pan]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        anyhow::ensure!(cx.global().get::<bool>("cooked")?.is_some(), "it is <raw> & cold");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        cx.global().set("cooked", true)?;
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Stove;

impl Job for Stove {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Pan;

impl Job for Pan {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        anyhow::ensure!(!cx.arg::<bool>("dirty")?, "the pan is \"dirty\"");
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Bell;

impl RunOnlyJob for Bell {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

fn dinner(dirty: bool) -> Engine {
    let args = serde_json::json!({ "dirty": dirty });
    Engine::new(Dinner).unwrap().args(&args).unwrap().tries(2).clock(VirtualClock::new())
}

fn classes(report: &Report) -> Vec<String> {
    let svg = report.to_svg();
    let document = Document::parse(&svg).unwrap();
    jobs(&document).into_iter().map(|job| job.attribute("class").unwrap().to_owned()).collect()
}

#[test]
fn outcomes_are_classes_and_tooltips_tell_why() {
    let mut engine = dinner(false);
    let svg = engine.graph().to_svg();
    assert_eq!(svg.matches("<g class=\"plain\"><title>").count(), 5);

    let report = engine.converge();
    assert_eq!(classes(&report), ["in-place", "in-place", "changed", "changed", "in-place"]);
    assert_eq!(classes(&dinner(true).converge()), ["in-place", "failed", "blocked", "changed", "blocked"]);
    let dry = dinner(false).no_act(true).converge();
    assert_eq!(classes(&dry), ["in-place", "in-place", "would-run", "would-run", "unknown"]);

    let svg = report.to_svg();
    let document = Document::parse(&svg).unwrap();
    let tooltips: Vec<String> = jobs(&document).into_iter().map(|job| text(child(job, "title"))).collect();
    assert_eq!(tooltips[2], "Cook\nchanged, 1 try in 0 ms\nit is <raw> & cold\nneeds Stove, Pan");
    let failed = dinner(true).converge().to_svg();
    let document = Document::parse(&failed).unwrap();
    let tooltips: Vec<String> = jobs(&document).into_iter().map(|job| text(child(job, "title"))).collect();
    assert_eq!(tooltips[1], "Pan\nfailed, 2 tries in 0 ms\nthe pan is \"dirty\"");
    assert_eq!(tooltips[2], "Cook\nblocked by Pan\nneeds Stove, Pan");
}

#[test]
fn the_legend_has_what_occurs() {
    let legend = |svg: &str| {
        let document = Document::parse(svg).unwrap();
        let legend = document.descendants().find(|node| node.attribute("class") == Some("legend"));
        let lines = legend.into_iter().flat_map(|legend| legend.descendants());
        lines.filter(|node| node.has_tag_name((SVG, "text"))).map(text).collect::<Vec<_>>()
    };
    let shapes = ["runs if its check fails", "runs every time", "holds others together"];
    assert_eq!(legend(&dinner(false).graph().to_svg()), shapes);
    let after = legend(&dinner(true).converge().to_svg());
    assert_eq!(after, ["1 in place", "1 changed", "1 failed", "2 blocked", shapes[0], shapes[1], shapes[2]]);
    let mut alone = JobGraph::builder();
    alone.job("alone", |_| Ok(()), |_| Ok(()));
    assert!(legend(&alone.build().unwrap().to_svg()).is_empty());
}

#[test]
fn colours_follow_the_viewer() {
    let svg = dinner(true).converge().to_svg();
    let (day, night) = svg.split_once("@media (prefers-color-scheme:dark)").unwrap();
    for class in ["in-place", "changed", "failed", "blocked"] {
        assert!(
            day.contains(&format!(".{class} rect{{fill:"))
                && night.contains(&format!(".{class} rect{{fill:"))
        );
    }
    assert!(!svg.contains(".would-run"), "rules are only for what occurs");
}

#[test]
fn pictures_are_the_same_every_time_and_know_their_own_arrows() {
    let pictures = || {
        let mut engine = dinner(true);
        let graph = engine.graph();
        let (svg, mermaid) = (graph.to_svg(), graph.to_mermaid());
        let report = engine.converge();
        [svg, mermaid, report.to_svg(), report.to_mermaid()]
    };
    assert_eq!(pictures(), pictures());

    let ids = |svg: &str| {
        let document = Document::parse(svg).unwrap();
        let with_id = document.descendants().filter_map(|node| node.attribute("id"));
        with_id.map(str::to_owned).collect::<Vec<_>>()
    };
    let graphs =
        [dinner(true).graph().to_svg(), named(&["a".to_owned()]).to_svg(), named(&["b".to_owned()]).to_svg()];
    let all: Vec<String> = graphs.iter().flat_map(|svg| ids(svg)).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    for svg in &graphs {
        assert!(svg.contains(&format!("url(#{})", ids(svg)[0])));
    }
}

#[test]
fn every_dependency_is_a_wire_that_says_so() {
    let svg = dinner(false).graph().to_svg();
    let document = Document::parse(&svg).unwrap();
    let wires = document.descendants().filter(|node| node.attribute("class") == Some("wires"));
    let told: BTreeSet<String> =
        wires.flat_map(|wires| wires.children()).filter(Node::is_element).map(text).collect();
    let wanted = ["Dinner needs Cook", "Dinner needs Bell", "Cook needs Stove", "Cook needs Pan"];
    assert_eq!(told, wanted.map(str::to_owned).into());
}

#[test]
fn large_graphs_are_drawn_too() {
    let mut graph = JobGraph::builder();
    for layer in 0..20_u32 {
        for place in 0..50_u32 {
            let below = |step: u32| format!("job {}.{}", layer.wrapping_sub(1), (place * 7 + step * 13) % 50);
            let needs = if layer == 0 { vec![] } else { vec![below(1), below(2)] };
            graph.job(format!("job {layer}.{place}"), |_| Ok(()), |_| Ok(())).after(needs);
        }
    }
    let graph = graph.build().unwrap();
    let svg = graph.to_svg();
    let document = Document::parse(&svg).unwrap();
    assert_eq!(jobs(&document).len(), 1000);
    let wires = document.descendants().filter(|node| node.attribute("class") == Some("wires"));
    let wires =
        wires.flat_map(|wires| wires.children()).filter(|node| node.has_tag_name((SVG, "path"))).count();
    assert_eq!(wires, graph.dependency_count());
    assert!(svg.len() < 600_000, "{} bytes", svg.len());
}

#[test]
fn mermaid_says_the_same_with_its_own_shapes() {
    assert_eq!(
        dinner(false).graph().to_mermaid(),
        "\
flowchart TD
    n0(\"Stove\")
    n1(\"Pan\")
    n2(\"Cook\")
    n3[[\"Bell\"]]
    n4([\"Dinner\"])
    n2 --> n0
    n2 --> n1
    n4 --> n2
    n4 --> n3
"
    );
    assert_eq!(
        dinner(true).converge().to_mermaid(),
        "\
flowchart TD
    n0(\"Stove<br/>1 try, 0 ms\"):::in_place
    n1(\"Pan<br/>2 tries, 0 ms\"):::failed
    n2(\"Cook<br/>blocked\"):::blocked
    n3[[\"Bell<br/>1 try, 0 ms\"]]:::changed
    n4([\"Dinner<br/>blocked\"]):::blocked
    n2 --> n0
    n2 --> n1
    n4 --> n2
    n4 --> n3
    classDef in_place fill:#c6efce,stroke:#4c9a5b,color:#10331a
    classDef changed fill:#1e7b3a,stroke:#0f5223,color:#ffffff
    classDef failed fill:#c93c37,stroke:#8e1f1b,color:#ffffff
    classDef blocked fill:#f6f8fa,stroke:#8c959f,color:#57606a,stroke-dasharray:5 3
"
    );
}

#[test]
fn no_name_breaks_out_of_mermaid() {
    let names = odd_names();
    let mermaid = named(&names).to_mermaid();
    let lines: Vec<&str> = mermaid.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * names.len() + 1, "one line for each job and each edge");
    for line in &lines[1..=names.len()] {
        assert_eq!(line.matches('"').count(), 2, "{line}");
        assert!(
            !line.contains(['\u{1b}', '\u{202e}', '\0'])
                && !line.replace("<br/>", "").contains(['<', '>', '&'])
        );
    }
}

/// The frames of groups, and what stands on them.
fn frames(document: &Document<'_>) -> (Vec<[f64; 4]>, Vec<String>) {
    let groups = document.descendants().filter(|node| node.attribute("class") == Some("groups"));
    let all: Vec<Node<'_, '_>> = groups.flat_map(|groups| groups.children()).collect();
    let rects = all.iter().filter(|node| node.has_tag_name((SVG, "rect")));
    let texts = all.iter().filter(|node| node.has_tag_name((SVG, "text")));
    (rects.map(|rect| sides_of(*rect)).collect(), texts.map(|node| text(*node)).collect())
}

fn contains(outer: [f64; 4], inner: [f64; 4]) -> bool {
    outer[0] < inner[0] && outer[1] < inner[1] && outer[2] > inner[2] && outer[3] > inner[3]
}

/// A service within a deployment, the first attempt of which fails; and one job outside.
fn deployment(name: &str) -> JobGraph {
    let mut graph = JobGraph::builder();
    graph.run_only("start", |cx| {
        anyhow::ensure!(cx.attempt() == 2, "it does not start");
        Ok(())
    });
    graph.run_only("configure", |_| Ok(()));
    graph.run_only("migrate", |_| Ok(())).after(["service"]);
    graph.run_only("announce", |_| Ok(())).after([name]);
    graph.add(Group::new("service").jobs_named(["start", "configure"]).attempts(Attempts::times(3)));
    graph.add(Group::new(name).jobs_named(["service", "migrate"]));
    graph.build().unwrap()
}

#[test]
fn groups_are_frames_within_each_other() {
    let mut engine = Engine::with_graph(deployment("deployment")).tries(1).clock(VirtualClock::new());
    let svg = engine.converge().to_svg();
    let document = Document::parse(&svg).unwrap();
    let (rects, titles) = frames(&document);
    assert_eq!(titles, ["deployment", "service, attempt 2 of 3"]);
    assert!(contains(rects[0], rects[1]));
    let inside = |frame: [f64; 4]| {
        let jobs = jobs(&document).into_iter().filter(|job| contains(frame, sides(*job)));
        jobs.map(|job| child(job, "text").text().unwrap().to_owned()).collect::<BTreeSet<String>>()
    };
    assert_eq!(inside(rects[1]), ["configure", "service", "start"].map(str::to_owned).into());
    let all = ["configure", "deployment", "migrate", "service", "start"];
    assert_eq!(inside(rects[0]), all.map(str::to_owned).into());
    assert!(svg.contains("in the group service, attempt 2 of 3\nin the group deployment<"), "{svg}");
}

#[test]
fn a_group_whose_jobs_are_among_others_is_told_in_its_boxes() {
    // Each of a chain outside needs the one before it, and the jobs of the group need every other one of them.
    let mut graph = JobGraph::builder();
    let mut members = Vec::new();
    for step in 0..6_u32 {
        let before: Vec<String> =
            step.checked_sub(1).map(|step| format!("step {step}")).into_iter().collect();
        graph.run_only(format!("step {step}"), |_| Ok(())).after(before);
        for member in 0..3 {
            let name = format!("check {step}.{member}");
            graph.run_only(name.as_str(), |_| Ok(())).after([format!("step {step}")]);
            if member != 1 {
                members.push(name);
            }
        }
    }
    graph.add(Group::new("checks").jobs_named(members.iter().map(String::as_str)));
    let svg = graph.build().unwrap().to_svg();
    let document = Document::parse(&svg).unwrap();
    assert!(frames(&document).0.is_empty());
    for job in jobs(&document) {
        let lines: Vec<String> =
            job.children().filter(|node| node.has_tag_name((SVG, "text"))).map(text).collect();
        if members.contains(&lines[0]) {
            assert_eq!(lines[1], "in checks");
        } else if lines[0] == "checks" {
            assert_eq!(lines[1], "group");
        } else {
            assert_eq!(lines.len(), 1, "{lines:?}");
        }
    }
}

#[test]
fn no_name_of_a_group_breaks_out_of_its_frame() {
    for name in odd_names() {
        let svg = deployment(&name).to_svg();
        let document = Document::parse(&svg).unwrap();
        let (rects, titles) = frames(&document);
        assert_eq!(rects.len(), 2, "{name:?}");
        for (rect, title) in rects.iter().zip(titles) {
            assert!(title.chars().count() as f64 * 11.0 / 4.0 <= rect[2] - rect[0], "{title:?}");
        }
    }
}
