//! What both Rust peers do alike: one graph of one size, timed by the process's own clock, told as one line of JSON.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a sleeper sleeps.
pub const NAP: Duration = Duration::from_millis(100);

/// How wide a layer is.
pub const WIDTH: u32 = 100;

/// How often a task was called: proof that the work was done.
static CALLS: AtomicU32 = AtomicU32::new(0);

pub fn called() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

/// Call as `with_X GRAPH SIZE`. `work` builds the graph and works through it.
pub fn main(work: impl FnOnce(&str, u32)) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [graph, size] = arguments.as_slice() else { panic!("GRAPH SIZE") };
    let size = size.parse().expect("a number");
    let start = Instant::now();
    work(graph, size);
    let seconds = start.elapsed().as_secs_f64();
    println!(r#"{{"seconds": {seconds}, "called": {}}}"#, CALLS.load(Ordering::Relaxed));
}
