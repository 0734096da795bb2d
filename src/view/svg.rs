//! A graph as an SVG picture, for browsers and all that draws such files.
//!
//! Says the same as the picture in [DOT](super::dot), in the same colours and shapes; the coordinates are
//! [`layout`](super::layout)'s. A group is a frame around its jobs, or where other jobs are among these, a line in each of them. Text stays text, colours follow the viewer's choice of light or dark, and everything is
//! written in the order of the graph, so that two pictures of one graph are equal byte for byte.

mod groups;
mod label;
mod legend;
mod shapes;
mod style;

use std::fmt::Write;

use self::groups::Titles;
use self::label::{FONT, SMALL};
use self::legend::Legend;
use self::shapes::{Outline, pill, push_box, push_escaped};
use super::dot::second_line;
use super::layout;
use super::layout::frames::Cluster;
use super::layout::geometry::{Layout, Piece, Point, Rect, Size};
use super::text;
use crate::event::Outcome;
use crate::graph::{JobGraph, Node};
use crate::job::JobKind;
use crate::report::{JobReport, Report};

/// Room between a box's edge and its text.
const SIDE: i64 = 12;
const ABOVE: i64 = 7;
/// From one line of a name to the next, and to what is said of it.
const LINE: i64 = 17;
const SMALL_LINE: i64 = 15;
/// How far the inner frame of a job that runs every time is from the outer one.
const FRAME: i64 = 3;
/// How round a box's corners are.
const CORNER: i64 = 7;
/// Up to so many wires say what they join when they are pointed at.
const TOLD_WIRES: usize = 1000;
/// How often boxes are laid out anew because of groups that turned out to have no frame.
const ROUNDS: usize = 2;
/// Room around the picture.
const MARGIN: i64 = 16;

impl JobGraph {
    /// The graph as an SVG picture, as it is before a run.
    pub fn to_svg(&self) -> String {
        draw(self, |_| None, &Titles::new(self, None))
    }
}

impl Report {
    /// The graph as an SVG picture, as it is after the run, in the colours of [`to_dot`](Report::to_dot). Pointing at a
    /// box tells how its job ended, and why.
    pub fn to_svg(&self) -> String {
        let jobs: Vec<JobReport<'_>> = self.jobs().collect();
        let titles = Titles::new(&self.graph, Some(self));
        draw(&self.graph, |node| Some(jobs[node.id() as usize]), &titles)
    }
}

/// What is written into a box.
struct Label {
    name: Vec<String>,
    more: Option<String>,
    /// The groups that have no frame.
    groups: Option<String>,
}

impl Label {
    fn new(node: Node<'_>, report: Option<JobReport<'_>>, groups: Option<String>) -> Self {
        Label { name: label::lines(node.name()), more: report.and_then(second_line), groups }
    }

    /// The lines below the name.
    fn small(&self) -> impl Iterator<Item = &String> {
        self.more.iter().chain(&self.groups)
    }

    /// The size of its box. Widths are even, so that the middle is a whole number.
    fn size(&self, kind: JobKind) -> Size {
        let name = self.name.iter().map(|line| label::width(line.trim_end(), FONT)).max().unwrap_or(0);
        let more = self.small().map(|line| label::width(line, SMALL)).max().unwrap_or(0);
        let frame = if kind == JobKind::RunOnly { 2 * FRAME } else { 0 };
        let height =
            self.name.len() as i64 * LINE + self.small().count() as i64 * SMALL_LINE + 2 * ABOVE + frame;
        let height = height + height % 2;
        let corner = match kind {
            JobKind::Job => CORNER,
            JobKind::RunOnly => FRAME,
            JobKind::Dummy => pill(height),
        };
        let width = name.max(more).max(2 * FONT) + 2 * SIDE.max(corner / 2 + 4) + frame;
        Size { width: width + width % 2, height, corner }
    }
}

/// What is drawn of the jobs, and where.
struct Placed {
    labels: Vec<Label>,
    sizes: Vec<Size>,
    plan: Layout,
    frames: Vec<Option<Rect>>,
}

/// Lays the boxes out. A group that cannot have a frame is told in its boxes; these are larger then, so all are laid out anew.
fn place<'r>(
    graph: &JobGraph,
    report_of: &impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    titles: &Titles,
) -> Placed {
    let mut clusters: Vec<Cluster> = titles.clusters(graph);
    for round in 0.. {
        let label = |node: Node<'_>| {
            let groups = titles.line(graph, node.id(), &clusters);
            Label::new(node, report_of(node), groups)
        };
        let labels: Vec<Label> = graph.iter().map(label).collect();
        let sizes: Vec<Size> =
            graph.iter().zip(&labels).map(|(node, label)| label.size(node.kind())).collect();
        let (plan, frames) = layout::plan_framed(&sizes, graph.dependencies(), &clusters);
        if clusters.iter().zip(&frames).all(|(cluster, frame)| cluster.is_framed == frame.is_some()) {
            return Placed { labels, sizes, plan, frames };
        }
        for (cluster, frame) in clusters.iter_mut().zip(&frames) {
            cluster.is_framed = frame.is_some() && round < ROUNDS;
        }
    }
    unreachable!("without frames there is none to be given up")
}

fn draw<'r>(
    graph: &JobGraph,
    report_of: impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    titles: &Titles,
) -> String {
    let Placed { labels, sizes, plan, frames } = place(graph, &report_of, titles);
    let frames: Vec<Option<Rect>> = frames.into_iter().map(|frame| frame.map(moved)).collect();

    let outcomes = count_outcomes(graph.iter().map(|node| report_of(node).map(JobReport::outcome)));
    let kinds: Vec<JobKind> = [JobKind::Job, JobKind::RunOnly, JobKind::Dummy]
        .into_iter()
        .filter(|kind| graph.iter().any(|node| node.kind() == *kind))
        .collect();
    let legend = Legend::new(&outcomes, &kinds, plan.width.max(640));
    let mut looks: Vec<Option<Outcome>> = outcomes.iter().map(|(outcome, _)| *outcome).collect();
    if legend.shows_plain() && !looks.contains(&None) {
        looks.push(None);
    }

    let mut svg = String::new();
    let head = arrow_id(graph, &report_of);
    let has_frames = frames.iter().any(Option::is_some);
    open(&mut svg, &plan, &legend, &style::rules(&looks, has_frames), &head);
    titles.push_frames(&mut svg, graph, &frames);
    wires(&mut svg, graph, &plan, &head);
    titles.push_titles(&mut svg, graph, &frames);
    for ((node, label), (rect, size)) in graph.iter().zip(&labels).zip(plan.boxes.iter().zip(&sizes)) {
        let report = report_of(node);
        let told = tooltip(node, report, titles.told(graph, node.id()));
        push_job(&mut svg, node, label, moved(*rect), *size, report, &told);
    }
    let below = if legend.height > 0 { plan.height + 2 * MARGIN } else { 0 };
    legend.draw(&mut svg, MARGIN, below);
    svg.push_str("</svg>\n");
    svg
}

fn moved(rect: Rect) -> Rect {
    Rect { x: rect.x + MARGIN, y: rect.y + MARGIN, ..rect }
}

/// The outcomes that occur, in the order in which they are declared, and how often.
fn count_outcomes(outcomes: impl Iterator<Item = Option<Outcome>>) -> Vec<(Option<Outcome>, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    outcomes.for_each(|outcome| *counts.entry(outcome).or_insert(0) += 1);
    counts.into_iter().collect()
}

/// A name for the arrow head that no other picture on a page has, as one that is hidden there could hide it: a number made
/// of what is drawn (FNV-1a).
fn arrow_id<'r>(graph: &JobGraph, report_of: impl Fn(Node<'_>) -> Option<JobReport<'r>>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for node in graph.iter() {
        node.name().bytes().for_each(&mut add);
        node.dependencies().flat_map(|dependency| dependency.id().to_le_bytes()).for_each(&mut add);
        if let Some(report) = report_of(node) {
            style::class(Some(report.outcome()))
                .bytes()
                .chain(report.tries().to_le_bytes())
                .for_each(&mut add);
        }
        add(0xff);
    }
    for (_, group) in graph.groups().iter() {
        group.name.bytes().for_each(&mut add);
    }
    format!("head-{hash:016x}")
}

fn open(svg: &mut String, plan: &Layout, legend: &Legend, rules: &str, head: &str) {
    let width = plan.width.max(legend.width) + 2 * MARGIN;
    let height = plan.height + 2 * MARGIN + if legend.height > 0 { legend.height + MARGIN } else { 0 };
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"dojob\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" xml:space=\"preserve\">\n<style>{rules}</style>\n\
         <marker id=\"{head}\" viewBox=\"0 0 10 10\" refX=\"9.5\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head\" d=\"M0 1L10 5L0 9L2 5z\"/></marker>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>"
    );
}

/// Wires below all boxes; those that meet others on their way have no head.
fn wires(svg: &mut String, graph: &JobGraph, plan: &Layout, head: &str) {
    let names: Vec<&str> = graph.iter().map(Node::name).collect();
    // In a large picture they would be most of the text.
    let are_told = plan.wires.len() <= TOLD_WIRES;
    for arrives in [false, true] {
        let mut some = plan.wires.iter().filter(|wire| wire.arrives == arrives).peekable();
        if some.peek().is_none() {
            continue;
        }
        let end = if arrives { format!(" marker-end=\"url(#{head})\"") } else { String::new() };
        let _ = writeln!(svg, "<g class=\"wires\"{end}>");
        for wire in some {
            push_path(svg, wire.start, &wire.pieces);
            if are_told && !wire.is_shared {
                let (from, to) = wire.edge;
                let told = format!("{} needs {}", names[from as usize], names[to as usize]);
                svg.push_str("><title>");
                push_escaped(svg, &label::clean(&told));
                svg.push_str("</title></path>\n");
            } else {
                svg.push_str("/>\n");
            }
        }
        svg.push_str("</g>\n");
    }
}

fn push_path(svg: &mut String, start: Point, pieces: &[Piece]) {
    let point = |point: &Point| (point.x + MARGIN, point.y + MARGIN);
    let (mut x, mut y) = point(&start);
    let _ = write!(svg, "<path d=\"M{x} {y}");
    for piece in pieces {
        let to = match piece {
            Piece::Line(to) => point(to),
            Piece::Curve(.., to) => point(to),
        };
        let _ = match piece {
            Piece::Line(_) if to.0 == x => write!(svg, "V{}", to.1),
            Piece::Line(_) if to.1 == y => write!(svg, "H{}", to.0),
            Piece::Line(_) => write!(svg, "L{} {}", to.0, to.1),
            Piece::Curve(one, other, _) => {
                let ((x1, y1), (x2, y2)) = (point(one), point(other));
                write!(svg, "C{x1} {y1} {x2} {y2} {} {}", to.0, to.1)
            }
        };
        (x, y) = to;
    }
    svg.push('"');
}

fn push_job(
    svg: &mut String,
    node: Node<'_>,
    label: &Label,
    rect: Rect,
    size: Size,
    report: Option<JobReport<'_>>,
    told: &str,
) {
    let dashes = if report.is_some_and(JobReport::may_change) { " stroke-dasharray=\"5 3\"" } else { "" };
    let _ = write!(svg, "<g class=\"{}\"{dashes}>", style::class(report.map(JobReport::outcome)));
    svg.push_str("<title>");
    push_escaped(svg, &label::clean(told));
    svg.push_str("</title>");
    push_box(svg, rect, Outline { kind: node.kind(), corner: size.corner, frame: FRAME });
    push_text(svg, label, rect, node.kind());
    svg.push_str("</g>\n");
}

fn push_text(svg: &mut String, label: &Label, rect: Rect, kind: JobKind) {
    let x = rect.x + rect.width / 2;
    let frame = if kind == JobKind::RunOnly { FRAME } else { 0 };
    // Letters stand on a line at three quarters of their height.
    let mut y = rect.y + frame + ABOVE + LINE * 3 / 4 + 1;
    for (at, line) in label.name.iter().enumerate() {
        let _ = match at {
            0 => write!(svg, "<text x=\"{x}\" y=\"{y}\">"),
            _ => write!(svg, "<tspan x=\"{x}\" dy=\"{LINE}\">"),
        };
        push_escaped(svg, line);
        if at > 0 {
            svg.push_str("</tspan>");
        }
    }
    svg.push_str("</text>");
    y += LINE * (label.name.len() as i64 - 1);
    for more in label.small() {
        y += SMALL_LINE;
        let _ = write!(svg, "<text class=\"more\" x=\"{x}\" y=\"{y}\">");
        push_escaped(svg, more);
        svg.push_str("</text>");
    }
}

/// What is told of a job when it is pointed at.
fn tooltip(node: Node<'_>, report: Option<JobReport<'_>>, groups: Vec<String>) -> String {
    let mut lines = vec![node.name().to_owned()];
    if let Some(report) = report {
        lines.push(ending(report));
        lines.extend(report.reason().map(str::to_owned));
    }
    let needs: Vec<&str> = node.dependencies().map(Node::name).collect();
    if !needs.is_empty() {
        lines.push(format!("needs {}", text::some_of(needs.into_iter())));
    }
    lines.extend(groups);
    lines.join("\n")
}

/// How a job ended, in words.
fn ending(report: JobReport<'_>) -> String {
    let outcome = report.outcome();
    let because_of = report.because_of();
    let others = text::some_of(because_of.iter().map(|name| &**name));
    match (outcome, report.tries()) {
        (Outcome::Blocked, _) => format!("{outcome} by {others}"),
        (Outcome::Unknown, _) => format!("{outcome} until {others}"),
        (Outcome::InPlace, _) if !others.is_empty() => format!("{outcome}, may change after {others}"),
        (Outcome::WouldRun, _) if !others.is_empty() => format!("{outcome} after {others}"),
        (_, 0) => outcome.to_string(),
        (_, 1) => format!("{outcome}, 1 try in {}", text::duration(report.duration())),
        (_, tries) => format!("{outcome}, {tries} tries in {}", text::duration(report.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_room_for_all_that_is_written_in_them() {
        let names =
            ["x", "WWWWWWWWWWWWWWWWWWWWWWWW", "ConfigFile /etc/motd", "", "two\nlines", "日本語の名前"];
        let long = "/a-path-of-many-parts".repeat(40);
        for name in names.into_iter().chain([long.as_str()]) {
            for kind in [JobKind::Job, JobKind::RunOnly, JobKind::Dummy] {
                for more in [None, Some("12 tries, 3 min 20 s".to_owned())] {
                    let label = Label { name: label::lines(name), more, groups: None };
                    let size = label.size(kind);
                    let widths = label.name.iter().map(|line| label::width(line, FONT));
                    assert!(widths.max().unwrap() + 2 * ABOVE <= size.width, "{name:?} {size:?}");
                    assert!(size.width <= 40 * FONT + 4 * SIDE, "{name:?} {size:?}");
                    let lines = label.name.len() as i64 * LINE + label.more.map_or(0, |_| SMALL_LINE);
                    assert!(lines + 2 * ABOVE <= size.height, "{name:?} {size:?}");
                    assert!(size.width % 2 == 0 && size.height % 2 == 0);
                }
            }
        }
    }
}
