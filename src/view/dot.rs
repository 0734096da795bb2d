//! A graph as DOT text, for Graphviz and all that reads its language.
//!
//! Jobs come in the order of the graph and edges in declared order, so that two pictures of one graph are equal byte for
//! byte. Arrows lead from a job to what it needs. A group is a frame around its jobs.

use dot_writer::{Attributes, DotWriter, Node as DotNode, Scope};

use super::palette::{Look, PLAIN, look};
use super::text;
use crate::event::Outcome;
use crate::graph::{JobGraph, Node};
use crate::job::JobKind;
use crate::report::{JobReport, Report};

impl JobGraph {
    /// The graph in DOT, as it is before a run.
    pub fn to_dot(&self) -> String {
        draw(self, |_| None, |_| None)
    }
}

impl Report {
    /// The graph in DOT, as it is after the run: green passed its check, dark green converged by a run, red failed, grey
    /// and dashed was blocked, amber would run.
    pub fn to_dot(&self) -> String {
        let jobs: Vec<JobReport<'_>> = self.jobs().collect();
        draw(&self.graph, |node| Some(jobs[node.id() as usize]), |group| attempts(self, group))
    }
}

/// How often a group was attempted, where that is more than once.
pub(crate) fn attempts(report: &Report, group: u32) -> Option<String> {
    let attempts = report.groups().get(group as usize)?.attempts;
    (attempts > 1).then(|| format!("{attempts} attempts"))
}

fn draw<'r>(
    graph: &JobGraph,
    report_of: impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    attempts_of: impl Fn(u32) -> Option<String>,
) -> String {
    let mut bytes = Vec::new();
    {
        let mut writer = DotWriter::from(&mut bytes);
        writer.set_pretty_print(true);
        let mut picture = writer.digraph();
        head(&mut picture);
        for (group, _) in graph.groups().iter().filter(|(_, node)| node.parent.is_none()) {
            frame(&mut picture, graph, group, &report_of, &attempts_of);
        }
        for node in graph.iter().filter(|node| graph.groups().of(node.id()).is_none()) {
            box_for(&mut picture, node, report_of(node));
        }
        for node in graph.iter() {
            for dependency in node.dependencies() {
                picture.edge(id(node), id(dependency));
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A group with its jobs, and the groups in it.
fn frame<'r>(
    picture: &mut Scope<'_, '_>,
    graph: &JobGraph,
    group: u32,
    report_of: &impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    attempts_of: &impl Fn(u32) -> Option<String>,
) {
    let node = graph.groups().node(group);
    let mut label = escaped(&node.name);
    if let Some(attempts) = attempts_of(group) {
        label.push_str(&format!("\\n{attempts}"));
    }
    let mut frame = picture.cluster();
    frame.set("label", &label, true).set("labeljust", "l", false).set("style", "rounded", false);
    frame.set("color", "#8c959f", true).set("fontcolor", "#57606a", true);
    frame.set("fontname", "Helvetica,Arial,sans-serif", true).set("fontsize", "11", false);
    for inner in &node.inner {
        self::frame(&mut frame, graph, *inner, report_of, attempts_of);
    }
    for job in &node.jobs {
        let node = graph.node(*job);
        box_for(&mut frame, node, report_of(node));
    }
}

fn head(picture: &mut Scope<'_, '_>) {
    picture.set("rankdir", "TB", false).set("bgcolor", "transparent", false);
    picture
        .node_attributes()
        .set("fontname", "Helvetica,Arial,sans-serif", true)
        .set("fontsize", "11", false);
    picture.edge_attributes().set("color", "#8c959f", true).set("arrowsize", "0.7", false);
}

fn id(node: Node<'_>) -> String {
    format!("n{}", node.id())
}

fn box_for(picture: &mut Scope<'_, '_>, node: Node<'_>, report: Option<JobReport<'_>>) {
    let mut look = report.map_or(PLAIN, |report| look(report.outcome()));
    look.dashed |= report.is_some_and(JobReport::may_change);
    let mut shape = picture.node_named(id(node));
    shape.set("label", &label(node.name(), report), true);
    paint(&mut shape, look, node.kind());
    if let Some(reason) = report.and_then(JobReport::reason) {
        shape.set("tooltip", &escaped(reason), true);
    }
}

fn paint(shape: &mut DotNode<'_, '_>, look: Look, kind: JobKind) {
    // A run-only job is drawn with a second line, a dummy as an oval: it has no work of its own.
    let (form, rounded) = match kind {
        JobKind::Job => ("box", "rounded,"),
        JobKind::RunOnly => ("box", ""),
        JobKind::Dummy => ("oval", ""),
    };
    let line = if look.dashed { "filled,dashed" } else { "filled" };
    shape.set("shape", form, false).set("style", &format!("{rounded}{line}"), true);
    if kind == JobKind::RunOnly {
        shape.set("peripheries", "2", false);
    }
    shape.set("fillcolor", look.fill, true).set("color", look.line, true).set("fontcolor", look.text, true);
}

fn label(name: &str, report: Option<JobReport<'_>>) -> String {
    let mut label = escaped(name);
    if let Some(second) = report.and_then(second_line) {
        label.push_str("\\n");
        label.push_str(&second);
    }
    label
}

/// How often a job was tried and how long that took; nothing for one that never was. Of one that a look ahead found in
/// place: whether that may change.
pub(crate) fn second_line(report: JobReport<'_>) -> Option<String> {
    let took = text::duration(report.duration());
    if report.may_change() {
        return Some("may change".to_owned());
    }
    match (report.tries(), report.outcome()) {
        (0, Outcome::Blocked | Outcome::Unknown | Outcome::NotStarted | Outcome::Skipped) => {
            Some(report.outcome().to_string())
        }
        (0, _) => None,
        (1, _) => Some(format!("1 try, {took}")),
        (tries, _) => Some(format!("{tries} tries, {took}")),
    }
}

/// For a quoted string in DOT: Graphviz knows backslashes and the entities of HTML in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '&' => escaped.push_str("&amp;"),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
