//! Groups in a picture: a frame with the group's name around its boxes, or a line in each of its boxes where no frame can be drawn.
//!
//! Knows the groups of a graph and how often they were attempted; where frames stand is [`frames`](crate::view::layout::frames)'.

use std::fmt::Write;

use super::label::{SMALL, clean, elided, width};
use super::shapes::push_escaped;
use crate::graph::JobGraph;
use crate::report::Report;
use crate::view::layout::frames::{Cluster, PAD, TITLE};
use crate::view::layout::geometry::Rect;

/// No title makes its frame broader than this, and no line its box.
const BROADEST: i64 = 280;
const CORNER: i64 = 9;

/// What is written of the groups of a graph.
pub(super) struct Titles {
    /// For each group, which attempt was the last one.
    attempts: Vec<Option<String>>,
}

impl Titles {
    pub(super) fn new(graph: &JobGraph, report: Option<&Report>) -> Self {
        let attempts = graph.groups().iter().map(|(group, node)| {
            let begun = report?.groups().get(group as usize)?.attempts;
            let most = node.spec.attempts.as_ref().and_then(|attempts| attempts.count());
            match most {
                _ if begun == 0 => None,
                Some(1) => None,
                Some(most) => Some(format!("attempt {begun} of {most}")),
                None => Some(format!("attempt {begun}")),
            }
        });
        Titles { attempts: attempts.collect() }
    }

    /// What the frames are drawn around; all groups are to have one.
    pub(super) fn clusters(&self, graph: &JobGraph) -> Vec<Cluster> {
        let cluster = |(group, node): (u32, &crate::graph::groups::GroupNode)| Cluster {
            parent: node.parent,
            nodes: node.jobs.clone(),
            title: width(&self.title(graph, group), SMALL).min(BROADEST),
            is_framed: true,
        };
        graph.groups().iter().map(cluster).collect()
    }

    /// The name of a group, and which attempt was its last one.
    fn title(&self, graph: &JobGraph, group: u32) -> String {
        let name = clean(&graph.groups().node(group).name).replace('\n', " ");
        match &self.attempts[group as usize] {
            None => name,
            // What was attempted is to be read, however long the name is.
            Some(attempt) => {
                format!("{}, {attempt}", elided(&name, SMALL, BROADEST - width(attempt, SMALL) - SMALL))
            }
        }
    }

    /// The line in a box that tells its groups where these have no frames.
    pub(super) fn line(&self, graph: &JobGraph, job: u32, clusters: &[Cluster]) -> Option<String> {
        let groups = graph.groups();
        let mut own = None;
        let mut names = Vec::new();
        for group in groups.around(job).filter(|group| !clusters[*group as usize].is_framed) {
            let node = groups.node(group);
            if node.end == Some(job) {
                let attempt = self.attempts[group as usize].as_ref();
                own = Some(attempt.map_or("group".to_owned(), |attempt| format!("group, {attempt}")));
            } else {
                names.push(clean(&node.name).replace('\n', " "));
            }
        }
        names.reverse();
        let around = (!names.is_empty()).then(|| format!("in {}", names.join(" / ")));
        let line = own.into_iter().chain(around).collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| elided(&line, SMALL, BROADEST))
    }

    /// What is told of the groups of a job when its box is pointed at, the innermost first.
    pub(super) fn told(&self, graph: &JobGraph, job: u32) -> Vec<String> {
        let groups = graph.groups();
        let around = groups.around(job).filter(|group| groups.node(*group).end != Some(job));
        around.map(|group| format!("in the group {}", self.title(graph, group))).collect()
    }

    /// Frames, outer ones first, so that inner ones are seen.
    pub(super) fn push_frames(&self, svg: &mut String, graph: &JobGraph, frames: &[Option<Rect>]) {
        if frames.iter().all(Option::is_none) {
            return;
        }
        svg.push_str("<g class=\"groups\">\n");
        for (group, Rect { x, y, width, height }) in framed(frames) {
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{CORNER}\"><title>"
            );
            push_escaped(svg, &self.told_of_frame(graph, group));
            svg.push_str("</title></rect>\n");
        }
        svg.push_str("</g>\n");
    }

    /// The titles of the frames, above wires that pass them.
    pub(super) fn push_titles(&self, svg: &mut String, graph: &JobGraph, frames: &[Option<Rect>]) {
        if frames.iter().all(Option::is_none) {
            return;
        }
        svg.push_str("<g class=\"groups\">\n");
        for (group, rect) in framed(frames) {
            let title = elided(&self.title(graph, group), SMALL, rect.width - 2 * PAD);
            let (x, y) = (rect.x + PAD, rect.y + TITLE);
            let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\">");
            push_escaped(svg, &title);
            svg.push_str("</text>\n");
        }
        svg.push_str("</g>\n");
    }

    fn told_of_frame(&self, graph: &JobGraph, group: u32) -> String {
        let name = clean(&graph.groups().node(group).name);
        match &self.attempts[group as usize] {
            None => name,
            Some(attempt) => format!("{name}\n{attempt}"),
        }
    }
}

fn framed(frames: &[Option<Rect>]) -> impl Iterator<Item = (u32, Rect)> {
    frames.iter().enumerate().filter_map(|(group, frame)| Some((group as u32, (*frame)?)))
}
