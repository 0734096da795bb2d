//! A graph as Mermaid text, for Markdown: code hosts and many editors draw it where it stands.
//!
//! Says the same as the picture in [DOT](super::dot), in the same colours and shapes. Mermaid itself refuses more than
//! 500 edges or 50,000 characters unless its page says otherwise.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::dot::{attempts, second_line};
use super::palette::{Look, look};
use crate::event::Outcome;
use crate::graph::{JobGraph, Node};
use crate::job::JobKind;
use crate::report::{JobReport, Report};

impl JobGraph {
    /// The graph as a Mermaid flowchart, as it is before a run; to be put between ```` ```mermaid ```` and ```` ``` ````
    /// in Markdown.
    pub fn to_mermaid(&self) -> String {
        draw(self, |_| None, |_| None)
    }
}

impl Report {
    /// The graph as a Mermaid flowchart, as it is after the run, in the colours of [`to_dot`](Report::to_dot).
    pub fn to_mermaid(&self) -> String {
        let jobs: Vec<JobReport<'_>> = self.jobs().collect();
        draw(&self.graph, |node| Some(jobs[node.id() as usize]), |group| attempts(self, group))
    }
}

fn draw<'r>(
    graph: &JobGraph,
    report_of: impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    attempts_of: impl Fn(u32) -> Option<String>,
) -> String {
    let mut text = String::from("flowchart TD\n");
    let mut outcomes = BTreeSet::new();
    for (group, _) in graph.groups().iter().filter(|(_, node)| node.parent.is_none()) {
        push_group(&mut text, graph, group, &report_of, &attempts_of);
    }
    for node in graph.iter() {
        let report = report_of(node);
        outcomes.extend(report.map(JobReport::outcome));
        if graph.groups().of(node.id()).is_none() {
            push_job(&mut text, node, report);
        }
    }
    for node in graph.iter() {
        for dependency in node.dependencies() {
            let _ = writeln!(text, "    n{} --> n{}", node.id(), dependency.id());
        }
    }
    for outcome in outcomes {
        let Look { fill, line, text: colour, dashed } = look(outcome);
        let dashes = if dashed { ",stroke-dasharray:5 3" } else { "" };
        let _ = writeln!(
            text,
            "    classDef {} fill:{fill},stroke:{line},color:{colour}{dashes}",
            class(outcome)
        );
    }
    text
}

/// A frame around the jobs of a group, and the groups in it.
fn push_group<'r>(
    text: &mut String,
    graph: &JobGraph,
    group: u32,
    report_of: &impl Fn(Node<'_>) -> Option<JobReport<'r>>,
    attempts_of: &impl Fn(u32) -> Option<String>,
) {
    let node = graph.groups().node(group);
    let _ = write!(text, "    subgraph g{group} [\"{}", escaped(&node.name));
    if let Some(attempts) = attempts_of(group) {
        let _ = write!(text, "<br/>{}", escaped(&attempts));
    }
    text.push_str("\"]\n");
    for inner in &node.inner {
        push_group(text, graph, *inner, report_of, attempts_of);
    }
    for job in &node.jobs {
        let node = graph.node(*job);
        push_job(text, node, report_of(node));
    }
    text.push_str("    end\n");
}

/// A job has round corners, one that runs every time a second line at its sides, a dummy round ends.
fn push_job(text: &mut String, node: Node<'_>, report: Option<JobReport<'_>>) {
    let (open, close) = match node.kind() {
        JobKind::Job => ("(", ")"),
        JobKind::RunOnly => ("[[", "]]"),
        JobKind::Dummy => ("([", "])"),
    };
    let _ = write!(text, "    n{}{open}\"{}", node.id(), escaped(node.name()));
    if let Some(second) = report.and_then(second_line) {
        let _ = write!(text, "<br/>{}", escaped(&second));
    }
    let _ = write!(text, "\"{close}");
    if let Some(report) = report {
        let _ = write!(text, ":::{}", class(report.outcome()));
    }
    text.push('\n');
}

/// A name for an outcome that means nothing in Mermaid.
fn class(outcome: Outcome) -> String {
    outcome.as_str().replace(' ', "_")
}

/// For a label in quotation marks: signs that mean something in Mermaid, HTML or Markdown become its codes (`#35;`), which
/// are decoded only after all of these have been read.
fn escaped(text: &str) -> String {
    if text.is_empty() {
        // Mermaid wants something to write.
        return "#32;".to_owned();
    }
    let text = text.replace("\r\n", "\n");
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut before = '\n';
    let mut line = EdgeStyle::Empty;
    while let Some(c) = rest.next() {
        let is_plain = match c {
            '0'..='9' | 'a'..='z' | 'A'..='Z' | '/' | ',' | '(' | '\'' | '?' | '!' | '%' | '=' => true,
            ' ' | '-' | '+' => line != EdgeStyle::Empty,
            '.' | ')' => line != EdgeStyle::Number,
            '_' => before.is_alphanumeric() && rest.peek().is_some_and(|after| after.is_alphanumeric()),
            c => !c.is_ascii(),
        };
        match c {
            '\n' => escaped.push_str("<br/>"),
            c if c.is_control() || is_turning(c) => escaped.push('\u{fffd}'),
            c if is_plain => escaped.push(c),
            c => drop(write!(escaped, "#{};", c as u32)),
        }
        line = line.and(c);
        before = c;
    }
    escaped.replace("www.", "www#46;")
}

/// What is on a line so far: at its start, `1.`, `-` and spaces would make a list or code of it.
#[derive(Clone, Copy, PartialEq)]
enum EdgeStyle {
    Empty,
    Number,
    Text,
}

impl EdgeStyle {
    fn and(self, c: char) -> EdgeStyle {
        match (self, c) {
            (_, '\n') | (EdgeStyle::Empty, ' ') => EdgeStyle::Empty,
            (EdgeStyle::Empty | EdgeStyle::Number, '0'..='9') => EdgeStyle::Number,
            _ => EdgeStyle::Text,
        }
    }
}

/// Marks that would turn the text around them.
fn is_turning(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_elsewhere_is_written_as_codes() {
        assert_eq!(escaped("Page public/about, 2.5 (new)"), "Page public/about, 2.5 (new)");
        assert_eq!(
            escaped("a \"b\" <c> & #d `e` *f* _g_h"),
            "a #34;b#34; #60;c#62; #38; #35;d #96;e#96; #42;f#42; #95;g_h"
        );
        assert_eq!(escaped("1. one\n- two\r\n  three"), "1#46; one<br/>#45; two<br/>#32;#32;three");
        assert_eq!(escaped("https://www.example.org me@there"), "https#58;//www#46;example.org me#64;there");
        assert_eq!(escaped("\u{1b}[31mred\u{202e} ünï🦀"), "\u{fffd}#91;31mred\u{fffd} ünï🦀");
    }
}
