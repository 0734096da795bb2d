//! A run as JSON lines for programs: one event a line, with a version.
//!
//! The fields are documented in `docs/events.md`, which a test holds against this file.

use std::io::Write;

use serde::Serialize;

use crate::event::{Event, Observer};

/// The version in every line; it changes when a field changes its meaning or goes away, not when one is added.
pub const EVENT_VERSION: u32 = 2;

/// Writes every event as one line of JSON, beginning with its version: `{"v":1,"event":"phase_ended",…}`.
pub struct JsonLines<W> {
    out: W,
    diff: bool,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`, and flushes it after every line.
    pub fn new(out: W) -> Self {
        JsonLines { out, diff: false }
    }

    /// Includes how the world differs from what is wanted, where a check can tell. Not unless this is called: a diff
    /// shows what a file had in it before, which may be a secret that nobody knows of any more.
    #[must_use]
    pub fn diff(mut self, diff: bool) -> Self {
        self.diff = diff;
        self
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn observe(&mut self, event: &Event) {
        let mut without = None;
        let event = match event {
            Event::PhaseEnded { failure: Some(failure), .. } if failure.diff.is_some() && !self.diff => {
                let event = without.insert(event.clone());
                if let Event::PhaseEnded { failure: Some(failure), .. } = event {
                    failure.diff = None;
                }
                event
            }
            event => event,
        };
        // One write a line, so that lines stay whole when several programs write to one file.
        if let Ok(mut line) = serde_json::to_vec(&JsonLine { v: EVENT_VERSION, event }) {
            line.push(b'\n');
            let _ = self.out.write_all(&line);
            let _ = self.out.flush();
        }
    }
}
