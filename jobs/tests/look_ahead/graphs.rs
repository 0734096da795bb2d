//! Random graphs of real file jobs over random trees: what a look ahead says of a job with nothing open before it is what a
//! run then does, and no plan changes anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dojob::{Context, Engine, Job, JobGraph, Outcome, Phase, Report, Result};
use dojob_jobs::{
    Absent, Archive, Block, Directory, File, Line, Replace, Setting, Symlink, Template, Unarchive,
};
use proptest::prelude::*;

use crate::snapshot::snapshot;

/// The places that jobs are about: directories, and names in them.
const DIRECTORIES: [&str; 4] = ["a", "a/b", "c", "c/d/e"];
const NAMES: [&str; 4] = ["x", "y.toml", "z.tar", "sub"];

/// What is at a place before anything begins.
#[derive(Clone, Copy, Debug)]
enum Found {
    Nothing,
    Directory,
    Text(&'static str),
    /// To what is called like it with `.target` behind; whether that is there.
    Link {
        live: bool,
    },
}

/// A job about a place.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Absent,
    Archive,
    Block,
    Copy,
    Directory,
    File,
    Line,
    Owned,
    Replace,
    Setting,
    Symlink,
    Template,
    Unarchive,
}

type PhaseOf = Box<dyn Fn(&mut Context) -> Result<()> + Send + Sync>;

/// A ready-made job, to be put into a graph under another name.
struct Body {
    check: PhaseOf,
    run: PhaseOf,
}

impl<J: Job + Clone + Sync> From<J> for Body {
    fn from(job: J) -> Self {
        let checked = job.clone();
        Body {
            check: Box::new(move |cx| checked.clone().check(cx)),
            run: Box::new(move |cx| job.clone().run(cx)),
        }
    }
}

#[derive(Clone, Debug)]
struct Planned {
    kind: Kind,
    directory: usize,
    name: usize,
    /// Of a second place, where the job has one.
    other: (usize, usize),
    mode: bool,
    /// Jobs that come before, counted back from this one.
    after: Vec<usize>,
}

fn place(root: &Path, directory: usize, name: usize) -> PathBuf {
    root.join(DIRECTORIES[directory]).join(NAMES[name])
}

impl Planned {
    fn path(&self, root: &Path) -> PathBuf {
        match self.kind {
            Kind::Directory if self.name == 0 => root.join(DIRECTORIES[self.directory]),
            _ => place(root, self.directory, self.name),
        }
    }

    fn other(&self, root: &Path) -> Option<PathBuf> {
        let other = || Some(place(root, self.other.0, self.other.1));
        match self.kind {
            Kind::Archive => Some(root.join(DIRECTORIES[self.other.0])),
            Kind::Copy => other(),
            Kind::Unarchive => other().map(|path| path.with_extension("tar.gz")),
            _ => None,
        }
    }

    fn body(&self, root: &Path) -> Body {
        let path = self.path(root);
        let other = self.other(root).unwrap_or_default();
        match self.kind {
            Kind::Absent => Absent::new(path).into(),
            Kind::Archive => Archive::new(other, path.with_extension("tar.gz")).into(),
            Kind::Block => Block::new(path, "part", "one\ntwo").into(),
            Kind::Copy => File::copy(path, other).into(),
            Kind::Directory => {
                let directory = Directory::new(path);
                if self.mode { directory.mode(0o750) } else { directory }.into()
            }
            Kind::File => {
                let file = File::new(path, "wanted\n");
                if self.mode { file.mode(0o600) } else { file }.into()
            }
            Kind::Line => Line::new(path, "a line").into(),
            Kind::Owned => File::new(path, "wanted\n").owner("nobody-that-is-known").into(),
            Kind::Replace => Replace::new(path, "old", "new").into(),
            Kind::Setting => Setting::new(path.with_extension("toml"), "server.port", 8080).into(),
            Kind::Symlink => Symlink::new(path, format!("{}.target", NAMES[self.name])).into(),
            Kind::Template => Template::new(path, "{{ 1 + 1 }}\n").into(),
            Kind::Unarchive => Unarchive::new(other, path).into(),
        }
    }

    /// Whether both are about the same, or one about what is below the other.
    fn touches(&self, other: &Planned, root: &Path) -> bool {
        let places = |planned: &Planned| {
            let path = planned.path(root);
            let mut places = vec![path.with_extension("toml"), path.with_extension("tar.gz"), path];
            places.extend(planned.other(root));
            places
        };
        let others = places(other);
        places(self).iter().any(|own| others.iter().any(|one| own.starts_with(one) || one.starts_with(own)))
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    use Kind::*;
    prop::sample::select(vec![
        Absent, Archive, Block, Copy, Directory, Directory, File, File, Line, Owned, Replace, Setting,
        Symlink, Template, Unarchive,
    ])
}

fn planned() -> impl Strategy<Value = Planned> {
    let at = || (0..DIRECTORIES.len(), 0..NAMES.len());
    (kinds(), at(), at(), any::<bool>(), prop::collection::vec(1..6_usize, 0..2)).prop_map(
        |(kind, (directory, name), other, mode, after)| Planned { kind, directory, name, other, mode, after },
    )
}

fn trees() -> impl Strategy<Value = Vec<(usize, usize, Found)>> {
    let found = prop::sample::select(vec![
        Found::Nothing,
        Found::Directory,
        Found::Text("wanted\n"),
        Found::Text("old\na line\n"),
        Found::Text("[server]\nport = 80\n"),
        Found::Link { live: true },
        Found::Link { live: false },
    ]);
    prop::collection::vec((0..DIRECTORIES.len(), 0..NAMES.len(), found), 0..12)
}

fn build(root: &Path, tree: &[(usize, usize, Found)]) {
    for (directory, name, found) in tree {
        let path = place(root, *directory, *name);
        let made = fs::create_dir_all(path.parent().unwrap());
        // Two of them may be in each other's way: then the first stays.
        let _ = made.and_then(|()| match found {
            Found::Nothing => Ok(()),
            Found::Directory => fs::create_dir(&path),
            Found::Text(_) if path.exists() || path.is_symlink() => Ok(()),
            Found::Text(text) => fs::write(&path, text),
            Found::Link { .. } if path.exists() || path.is_symlink() => Ok(()),
            Found::Link { live } => {
                let target = format!("{}.target", NAMES[*name]);
                symlink(&target, &path).and_then(|()| match live {
                    true => fs::write(path.with_file_name(target), "old\n"),
                    false => Ok(()),
                })
            }
        });
    }
}

/// Jobs with one place in common wait for each other, as any sensible graph has it.
fn graph(jobs: &[Planned], root: &Path) -> JobGraph {
    let mut graph = JobGraph::builder();
    for (number, planned) in jobs.iter().enumerate() {
        let touching = (0..number).filter(|before| planned.touches(&jobs[*before], root));
        let chosen = planned.after.iter().filter_map(|back| number.checked_sub(*back));
        let mut after: Vec<usize> = touching.chain(chosen).collect();
        after.sort_unstable();
        after.dedup();
        let after: Vec<String> = after.into_iter().map(|before| format!("job {before}")).collect();
        let Body { check, run } = planned.body(root);
        graph.job(format!("job {number}"), check, run).after(after);
    }
    graph.build().unwrap()
}

fn look(report: &Report) -> Vec<String> {
    report.jobs().map(|job| format!("{} {}: {:?}", job.name(), job.outcome(), job.reason())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_a_job_with_nothing_open_before_it_is_what_a_run_does(
        tree in trees(),
        jobs in prop::collection::vec(planned(), 1..14),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        build(&root, &tree);
        let before = snapshot(&root);
        let mut engine = Engine::with_graph(graph(&jobs, &root)).no_act(true).look_ahead(true);
        let plan = engine.converge();
        prop_assert!(before == snapshot(&root), "a plan has changed something");
        let again = engine.workers(4).converge();
        prop_assert_eq!(look(&again), look(&plan), "several workers find something else");
        prop_assert!(before == snapshot(&root), "a plan has changed something");

        let run = Engine::with_graph(graph(&jobs, &root)).tries(1).converge();
        for (planned, ran) in plan.jobs().zip(run.jobs()) {
            let is_open = !planned.because_of().is_empty();
            let has_run = ran.failures().iter().any(|failure| failure.phase != Phase::Check)
                || ran.outcome() == Outcome::Changed;
            let fits = match planned.outcome() {
                Outcome::InPlace if is_open => true,
                Outcome::InPlace => ran.outcome() == Outcome::InPlace,
                Outcome::WouldRun if is_open => true,
                Outcome::WouldRun => has_run,
                Outcome::CouldNotFindOut => !is_open && ran.outcome() == Outcome::Failed && !has_run,
                Outcome::Unknown => is_open,
                _ => false,
            };
            prop_assert!(fits, "planned: {planned:?}, run: {ran:?}\n{jobs:#?}");
            prop_assert!(!is_open || planned.outcome() != Outcome::CouldNotFindOut);
        }
    }
}
