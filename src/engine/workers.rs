//! Who makes the tries: this thread, a pool of threads, or a simulation.
//!
//! Workers do what they are told; which try comes next is the scheduler's business.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::attempt::{Done, Task, attempt};
use super::run_context::RunContext;
use super::scheduler::TryEnd;
use crate::clock::Wake;
use crate::event::{Failure, FailureKind, Phase};
use crate::panics::catch;

/// Makes tries, as many at once as it can.
pub(crate) trait Workers {
    /// Whether another try can be started.
    fn is_free(&self) -> bool;

    /// Starts a try.
    fn start(&mut self, task: Task);

    /// Waits for a try to end; until the given time at most, where one is given. Comes back with empty hands when that
    /// has come, or when the run is asked to stop.
    fn news(&mut self, until: Option<Duration>) -> Option<Done>;
}

/// One worker, on the thread of the caller. No lock is taken.
pub(crate) struct Inline {
    context: Arc<RunContext>,
    wake: Arc<Wake>,
    done: Option<Done>,
}

impl Inline {
    pub(crate) fn new(context: Arc<RunContext>, wake: Arc<Wake>) -> Self {
        Inline { context, wake, done: None }
    }
}

impl Workers for Inline {
    fn is_free(&self) -> bool {
        self.done.is_none()
    }

    fn start(&mut self, task: Task) {
        self.done = Some(attempt(&self.context, &task));
    }

    fn news(&mut self, until: Option<Duration>) -> Option<Done> {
        if self.done.is_none() {
            self.context.clock.wait(until, &self.wake);
        }
        self.done.take()
    }
}

/// A pool of threads, each made when it is needed first.
pub(crate) struct Threads {
    context: Arc<RunContext>,
    most: usize,
    at_work: usize,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a pool share. Both queues hold at most as many entries as there are workers.
struct Shared {
    tasks: Mutex<Tasks>,
    task_added: Condvar,
    done: Mutex<VecDeque<Done>>,
    wake: Arc<Wake>,
}

#[derive(Default)]
struct Tasks {
    queue: VecDeque<Task>,
    idle: usize,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The next task, or `None` when there will be no more.
    fn take(&self) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        tasks.idle += 1;
        let mut tasks = self
            .task_added
            .wait_while(tasks, |tasks| tasks.queue.is_empty() && !tasks.closed)
            .unwrap_or_else(PoisonError::into_inner);
        tasks.idle -= 1;
        tasks.queue.pop_front()
    }

    fn give(&self, done: Done) {
        lock(&self.done).push_back(done);
        self.wake.wake();
    }
}

impl Threads {
    pub(crate) fn new(context: Arc<RunContext>, wake: Arc<Wake>, most: usize) -> Self {
        let shared =
            Shared { tasks: Mutex::default(), task_added: Condvar::new(), done: Mutex::default(), wake };
        Threads { context, most, at_work: 0, shared: Arc::new(shared), threads: Vec::new() }
    }

    /// One more thread; says whether the system let us have it.
    fn spawn(&mut self) -> bool {
        let (context, shared) = (self.context.clone(), self.shared.clone());
        let name = format!("dojob-{}", self.threads.len() + 1);
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            while let Some(task) = shared.take() {
                shared.give(attempt_or_blame(&context, &task));
            }
        });
        spawned.map(|thread| self.threads.push(thread)).is_ok()
    }
}

impl Workers for Threads {
    fn is_free(&self) -> bool {
        self.at_work < self.most
    }

    fn start(&mut self, task: Task) {
        self.at_work += 1;
        let wants_thread = {
            let tasks = lock(&self.shared.tasks);
            tasks.idle <= tasks.queue.len() && self.threads.len() < self.most
        };
        if wants_thread && !self.spawn() && self.threads.is_empty() {
            // No thread to be had at all: then this one does the work.
            let done = attempt_or_blame(&self.context, &task);
            self.shared.give(done);
            return;
        }
        lock(&self.shared.tasks).queue.push_back(task);
        self.shared.task_added.notify_one();
    }

    fn news(&mut self, until: Option<Duration>) -> Option<Done> {
        let until = until.filter(|_| self.at_work == 0 || !self.context.clock.stands_still());
        if lock(&self.shared.done).is_empty() {
            self.context.clock.wait(until, &self.shared.wake);
        }
        let done = lock(&self.shared.done).pop_front()?;
        self.at_work -= 1;
        Some(done)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.shared.tasks).closed = true;
        self.shared.task_added.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A try whose panic outside of a phase (an observer's, say) is a failure like another: a worker must not vanish.
fn attempt_or_blame(context: &RunContext, task: &Task) -> Done {
    catch(|| attempt(context, task)).unwrap_or_else(|caught| Done {
        job: task.job,
        end: TryEnd::Failed,
        now: context.clock.now(),
        duration: Duration::ZERO,
        failures: vec![Failure {
            phase: Phase::Check,
            attempt: task.attempt,
            kind: FailureKind::Panic,
            reason: format!("the engine panicked: {}", context.run.emitter.redactor().mask(&caught.message)),
            permanent: false,
            causes: Vec::new(),
            location: caught.location,
            backtrace: caught.backtrace,
            diff: None,
        }],
        result: None,
        started_run: None,
        was_told: false,
    })
}

/// Several workers in one thread, on a clock that stands still: each try takes a time that the seed decides, and so
/// does, among those that are at work, who is ready first. A try's effects happen at its start.
pub(crate) struct Simulated {
    context: Arc<RunContext>,
    wake: Arc<Wake>,
    most: usize,
    at_work: Vec<(Duration, Done)>,
    seed: u64,
}

impl Simulated {
    pub(crate) fn new(context: Arc<RunContext>, wake: Arc<Wake>, most: usize, seed: u64) -> Self {
        Simulated { context, wake, most, at_work: Vec::new(), seed }
    }

    /// The next number of a SplitMix64 sequence (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Workers for Simulated {
    fn is_free(&self) -> bool {
        self.at_work.len() < self.most
    }

    fn start(&mut self, task: Task) {
        let takes = Duration::from_millis(self.random() % 1000);
        let ready = self.context.clock.now() + takes;
        let mut done = attempt(&self.context, &task);
        (done.now, done.duration) = (ready, takes);
        self.at_work.push((ready, done));
    }

    fn news(&mut self, until: Option<Duration>) -> Option<Done> {
        let first = self.at_work.iter().enumerate().min_by_key(|(_, (ready, _))| *ready);
        match first {
            Some((at, &(ready, _))) if until.is_none_or(|until| ready <= until) => {
                self.context.clock.wait(Some(ready), &self.wake);
                Some(self.at_work.remove(at).1)
            }
            _ => {
                self.context.clock.wait(until, &self.wake);
                None
            }
        }
    }
}
