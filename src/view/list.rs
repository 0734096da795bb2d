//! The jobs of a graph in order, as text or JSON: what `--list` shows.

use serde_json::{Value, json};

use super::text;
use crate::graph::JobGraph;
use crate::job::JobKind;

impl JobGraph {
    /// The jobs in order, a line each, with what they need.
    pub fn to_list(&self) -> String {
        let width =
            self.iter().map(|node| text::name(node.name()).chars().count()).max().unwrap_or(0).min(40);
        let mut list = String::new();
        for node in self.iter() {
            let name = text::name(node.name());
            let mut notes = Vec::new();
            if node.dependencies().len() > 0 {
                let needs: Vec<_> =
                    node.dependencies().map(|dependency| text::name(dependency.name())).collect();
                notes.push(format!("needs {}", needs.join(", ")));
            }
            match node.kind() {
                JobKind::Job => {}
                JobKind::RunOnly => notes.push("(runs every time)".to_owned()),
                JobKind::Dummy => notes.push("(dependencies only)".to_owned()),
            }
            list.push_str(format!("{name:width$}  {}", notes.join(" ")).trim_end());
            list.push('\n');
        }
        list
    }

    /// The jobs in order, as a JSON array of `{"name", "kind", "type", "needs", "tries", "retry_delay"}`; the last two in
    /// number and seconds, null where the engine's default counts.
    pub fn to_json(&self) -> Value {
        self.iter()
            .map(|node| {
                json!({
                    "name": node.name(),
                    "kind": node.kind(),
                    "type": node.type_name(),
                    "needs": node.dependencies().map(|dependency| dependency.name()).collect::<Vec<_>>(),
                    "tries": node.retry().max_tries(),
                    "retry_delay": node.retry().min_delay().map(|delay| delay.as_secs_f64()),
                })
            })
            .collect()
    }
}
