//! How the tasks of a playbook hang together: ids, what waits for what, results that are handed on, tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petgraph::graph::DiGraph;

use super::argument_path::as_steps;
use super::hocon::{Places, Step};
use super::prose::escaped;
use super::prose::listed;
use super::task::{Order, Task, Tasks};
use crate::diagnostic::{Place, Problem};
use crate::suggest;

/// How many problems are given a similar name, which takes a look at all names.
const MOST_HINTS: usize = 100;

/// Which tasks are wanted, by their tags.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) tags: Vec<String>,
    pub(super) skip_tags: Vec<String>,
}

impl Selection {
    fn wants(&self, task: &Task) -> bool {
        let has = |tags: &[String]| tags.iter().any(|tag| task.tags.contains(tag));
        (self.tags.is_empty() || has(&self.tags)) && !has(&self.skip_tags)
    }

    /// The tags that no task has.
    pub(super) fn unknown(&self, tasks: &Tasks) -> Vec<Problem> {
        let known: BTreeSet<&str> =
            tasks.tasks.iter().flat_map(|task| &task.tags).map(String::as_str).collect();
        let asked = self.tags.iter().chain(&self.skip_tags);
        asked
            .filter(|tag| !known.contains(tag.as_str()))
            .map(|tag| {
                let problem = Problem::new(None, format!("no task has the tag `{}`", escaped(tag)));
                match suggest::nearest(tag, known.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None if known.is_empty() => problem,
                    None => problem.hint(format!("there are {}", listed(&known.iter().collect::<Vec<_>>()))),
                }
            })
            .collect()
    }
}

/// The dependencies between tasks, each by its number in the list of tasks; groups are numbered behind all tasks.
pub(super) struct Dependencies {
    /// What each task waits for; a group waits for what is in it, and for what it comes after.
    pub(super) waits: Vec<Vec<usize>>,
    /// The tasks whose results are handed on, by name.
    pub(super) registered: BTreeMap<String, usize>,
    /// Whether a task is wanted; a group is when one of its tasks is.
    pub(super) wanted: Vec<bool>,
}

/// Finds the links, and what is wrong with them.
pub(super) fn find(
    tasks: &Tasks,
    places: &Places,
    selection: &Selection,
    problems: &mut Vec<Problem>,
) -> Dependencies {
    let mut finder = Finder { tasks, places, problems, hints: 0 };
    let mut ids = finder.names("id", |task| task.id.as_deref());
    finder.group_names(&mut ids);
    let registered = finder.names("register", |task| task.register.as_deref());
    let count = tasks.tasks.len();
    let mut wanted: Vec<bool> = tasks.tasks.iter().map(|task| selection.wants(task)).collect();
    wanted.resize(count + tasks.groups.len(), false);
    let mut waits: Vec<Vec<usize>> = vec![Vec::new(); count + tasks.groups.len()];
    for group in 0..tasks.groups.len() {
        finder.after(count + group, &ids, &mut waits[count + group]);
    }
    let mut has_cycles = false;
    for number in 0..count {
        let mut own = Vec::new();
        finder.after(number, &ids, &mut own);
        finder.results(number, &registered, &wanted, &mut own);
        for group in tasks.around(&tasks.tasks[number]) {
            own.extend(&waits[count + group]);
        }
        let mut seen = BTreeSet::new();
        own.retain(|other| seen.insert(*other));
        has_cycles |= own.iter().any(|other| *other >= number);
        waits[number] = own;
    }
    for (number, task) in tasks.tasks.iter().enumerate() {
        let Some(group) = task.group else { continue };
        waits[count + group].push(number);
        if wanted[number] {
            tasks.around(task).for_each(|group| wanted[count + group] = true);
        }
        // A task behind the group may be what a task of the group waits for.
        has_cycles |= tasks.order == Order::Graph;
    }
    for (number, group) in tasks.groups.iter().enumerate() {
        if let Some(parent) = group.parent {
            waits[count + parent].push(count + number);
        }
    }
    if has_cycles {
        finder.cycles(&finder.with_whole_groups(&waits));
    }
    let registered = registered.into_iter().map(|(name, number)| (name.to_owned(), number)).collect();
    Dependencies { waits, registered, wanted }
}

struct Finder<'a, 'p> {
    tasks: &'a Tasks,
    places: &'a Places,
    problems: &'p mut Vec<Problem>,
    hints: usize,
}

impl<'a> Finder<'a, '_> {
    fn place<'s>(&self, task: &Task, rest: impl IntoIterator<Item = Step<'s>>) -> Option<Place> {
        let mut path = task.path.steps();
        path.extend(rest);
        self.places.near(&path)
    }

    /// The tasks by a name that each has for itself.
    fn names(
        &mut self,
        key: &'static str,
        name: impl Fn(&'a Task) -> Option<&'a str>,
    ) -> HashMap<&'a str, usize> {
        let mut names = HashMap::new();
        for (number, task) in self.tasks.tasks.iter().enumerate() {
            let Some(own) = name(task) else { continue };
            if let Some(first) = names.insert(own, number) {
                names.insert(own, first);
                let place = self.place(task, [Step::Key(key)]);
                let what = if key == "id" { "have the id" } else { "register their result as" };
                let problem = Problem::new(place, format!("two tasks {what} `{own}`"));
                let first = self.place(&self.tasks.tasks[first], [Step::Key(key)]);
                self.problems.push(match first {
                    Some(first) => problem.hint(format!("the first is at {first}")),
                    None => problem,
                });
            }
        }
        names
    }

    /// Something that is asked for by name and not there.
    fn unknown(
        &mut self,
        place: Option<Place>,
        message: String,
        name: &str,
        known: &HashMap<&str, usize>,
        empty: &str,
    ) {
        let mut problem = Problem::new(place, message);
        self.hints += 1;
        if self.hints <= MOST_HINTS {
            let mut known: Vec<&str> = known.keys().copied().collect();
            known.sort_unstable();
            if let Some(near) = suggest::nearest(name, known.iter().copied()) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            } else if known.is_empty() {
                problem = problem.hint(empty);
            }
        }
        self.problems.push(problem);
    }

    /// Adds the groups to what `after` can name.
    fn group_names(&mut self, ids: &mut HashMap<&'a str, usize>) {
        let count = self.tasks.tasks.len();
        for (number, group) in self.tasks.groups.iter().enumerate() {
            let Some(name) = group.name.as_deref() else { continue };
            let Some(first) = ids.insert(name, count + number) else { continue };
            ids.insert(name, first);
            let what = if first < count { "a group and a task have" } else { "two groups have" };
            let place = self.place_of(count + number, [Step::Key("name")]);
            let key = if first < count { "id" } else { "name" };
            let problem = Problem::new(place, format!("{what} the name `{name}`"));
            self.problems.push(match self.place_of(first, [Step::Key(key)]) {
                Some(first) => problem.hint(format!("the first is at {first}")),
                None => problem,
            });
        }
    }

    /// Where a part of a task or a group was written.
    fn place_of<'s>(&self, number: usize, rest: impl IntoIterator<Item = Step<'s>>) -> Option<Place> {
        let Some(group) = number.checked_sub(self.tasks.tasks.len()) else {
            return self.place(&self.tasks.tasks[number], rest);
        };
        let mut path = self.tasks.groups[group].path.steps();
        path.push(Step::Key("group"));
        path.extend(rest);
        self.places.near(&path)
    }

    /// The groups around a task or a group, the innermost first; a group is the first of its own.
    fn around(&self, number: usize) -> Vec<usize> {
        let count = self.tasks.tasks.len();
        let innermost = match number.checked_sub(count) {
            Some(group) => Some(group),
            None => self.tasks.tasks[number].group,
        };
        self.tasks.outwards(innermost).map(|group| count + group).collect()
    }

    fn after(&mut self, number: usize, ids: &HashMap<&'a str, usize>, waits: &mut Vec<usize>) {
        let tasks: &'a Tasks = self.tasks;
        let after = match number.checked_sub(tasks.tasks.len()) {
            Some(group) => &tasks.groups[group].after,
            None => &tasks.tasks[number].after,
        };
        for (index, id) in after.iter().enumerate() {
            // A place is made for a problem only, since it takes as long as its line.
            let way = [Step::Key("after"), Step::Index(index)];
            match ids.get(id.as_str()) {
                Some(other) if *other == number => {
                    let place = self.place_of(number, way);
                    self.problems.push(Problem::new(place, format!("`{id}` waits for itself")));
                }
                Some(other) if self.around(number).contains(other) => {
                    let place = self.place_of(number, way);
                    let message = format!("`{id}` is the group that this is in, and ends after it");
                    let hint = "name what it waits for within the group, or leave it out";
                    self.problems.push(Problem::new(place, message).hint(hint));
                }
                Some(other) if self.around(*other).contains(&number) => {
                    let place = self.place_of(number, way);
                    let message = format!("`{id}` is in the group itself, which starts before it");
                    let hint = "a group comes after what is outside of it";
                    self.problems.push(Problem::new(place, message).hint(hint));
                }
                Some(other) => waits.push(*other),
                None => {
                    let place = self.place_of(number, way);
                    let message = format!("no task has the id `{}`", escaped(id));
                    self.unknown(place, message, id, ids, "give that task an `id`");
                }
            }
        }
    }

    /// The same, where who waits for a task in a group waits for the whole group, unless it is in there, too.
    fn with_whole_groups(&self, waits: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let count = self.tasks.tasks.len();
        if self.tasks.groups.is_empty() {
            return waits.to_vec();
        }
        let whole = |(number, waits): (usize, &Vec<usize>)| -> Vec<usize> {
            let own = self.around(number);
            let lead = |other: &usize| {
                let between = self.around(*other);
                between.into_iter().take_while(|group| !own.contains(group)).last().unwrap_or(*other)
            };
            // What is in a group is no outsider.
            if number >= count {
                return waits.iter().copied().filter(|other| self.around(*other).contains(&number)).collect();
            }
            waits.iter().map(lead).collect()
        };
        waits.iter().enumerate().map(whole).collect()
    }

    /// A task waits for those whose results it uses.
    fn results(
        &mut self,
        number: usize,
        registered: &HashMap<&'a str, usize>,
        wanted: &[bool],
        waits: &mut Vec<usize>,
    ) {
        let task: &'a Task = &self.tasks.tasks[number];
        if !task.roots.results {
            return;
        }
        for (path, placeholder) in
            task.placeholders().filter(|(_, placeholder)| placeholder.root() == "results")
        {
            let Some(name) = placeholder.path.get(1) else {
                let hint = "write `${results.NAME}`, with a name that a task has under `register`";
                let place = self.place(task, as_steps(&path));
                self.problems.push(Problem::new(place, "`${results}` has no value of its own").hint(hint));
                continue;
            };
            let Some(other) = registered.get(name.as_str()).copied() else {
                let message = format!("no task registers its result as `{name}`");
                let place = self.place(task, as_steps(&path));
                self.unknown(place, message, name, registered, "give that task a `register`");
                continue;
            };
            let problem = if other == number {
                Some(format!("a task cannot use its own result `{name}`"))
            } else if self.tasks.order == Order::Sequence && other > number {
                Some(format!("`{name}` is the result of a later task"))
            } else if wanted[number] && !wanted[other] {
                Some(format!("`{name}` is the result of a task that the selected tags exclude"))
            } else {
                None
            };
            match problem {
                Some(message) => {
                    let place = self.place(task, as_steps(&path));
                    self.problems.push(Problem::new(place, message));
                }
                None => waits.push(other),
            }
        }
    }

    /// Tells circles of tasks that wait for each other: of those that can reach each other, one each.
    fn cycles(&mut self, waits: &[Vec<usize>]) {
        let edges = waits.iter().enumerate().flat_map(|(number, waits)| {
            waits
                .iter()
                .filter_map(move |other| Some((u32::try_from(number).ok()?, u32::try_from(*other).ok()?)))
        });
        let graph = DiGraph::<(), ()>::from_edges(edges);
        let mut knots: Vec<Vec<usize>> = petgraph::algo::kosaraju_scc(&graph)
            .into_iter()
            .filter(|knot| knot.len() > 1)
            .map(|knot| knot.into_iter().map(|node| node.index()).collect())
            .collect();
        // The first of the file first, so that the messages are always the same.
        knots.iter_mut().for_each(|knot| knot.sort_unstable());
        knots.sort_unstable();
        for knot in knots {
            self.cycle(waits, &knot);
        }
    }

    fn name_of(&self, number: usize) -> String {
        if let Some(group) = number.checked_sub(self.tasks.tasks.len()) {
            let group = &self.tasks.groups[group];
            return format!("group {}", group.name.as_deref().unwrap_or_default());
        }
        let task = &self.tasks.tasks[number];
        task.id.clone().unwrap_or_else(|| format!("task {} ({})", task.path, task.called()))
    }

    fn cycle(&mut self, waits: &[Vec<usize>], knot: &[usize]) {
        // Each waits for another of them: such a walk comes back to where it was.
        let next =
            |number: usize| waits[number].iter().copied().find(|other| knot.binary_search(other).is_ok());
        let mut step_of = HashMap::new();
        let mut walk = Vec::new();
        let mut here = knot.first().copied();
        while let Some(number) = here {
            if step_of.contains_key(&number) {
                break;
            }
            step_of.insert(number, walk.len());
            walk.push(number);
            here = next(number);
        }
        let Some(start) = here.and_then(|here| step_of.get(&here)) else { return };
        let circle = &walk[*start..];
        // It begins with the first of the file as well.
        let first = circle.iter().enumerate().min_by_key(|(_, number)| **number).map_or(0, |(at, _)| at);
        let way: Vec<usize> = circle[first..].iter().chain(&circle[..=first]).copied().collect();
        let names: Vec<String> = way.iter().map(|number| self.name_of(*number)).collect();
        let message = format!("these tasks wait for each other: {}", shortened(&names));
        let place = way.first().and_then(|number| {
            let task = self.tasks.tasks.get(*number)?;
            let mut steps = task.path.steps();
            steps.push(Step::Key("after"));
            self.places.of(&steps).or_else(|| self.place(task, []))
        });
        let problem = Problem::new(place, message);
        let has_group = way.iter().any(|number| *number >= self.tasks.tasks.len());
        self.problems.push(match has_group {
            true => problem.hint("who waits for a task of a group from outside waits for the whole group"),
            false => problem,
        });
    }
}

fn shortened(names: &[String]) -> String {
    const ENDS: usize = 6;
    if names.len() <= 2 * ENDS + 1 {
        return names.join(" -> ");
    }
    let (first, last) = (&names[..ENDS], &names[names.len() - ENDS..]);
    format!("{} -> … {} more … -> {}", first.join(" -> "), names.len() - 2 * ENDS, last.join(" -> "))
}

impl Dependencies {
    /// What each wanted task waits for among those that are wanted: what a task waits for that is left out, it waits for
    /// itself.
    pub(super) fn among_wanted(&self, order: Order) -> Vec<Vec<usize>> {
        let mut among = vec![Vec::new(); self.waits.len()];
        if order == Order::Sequence {
            let mut before = None;
            for number in (0..self.waits.len()).filter(|number| self.wanted[*number]) {
                among[number].extend(before.replace(number));
            }
            return among;
        }
        if self.wanted.iter().all(|wanted| *wanted) {
            return self.waits.clone();
        }
        for number in (0..self.waits.len()).filter(|number| self.wanted[*number]) {
            let mut seen = BTreeSet::new();
            let mut open: Vec<usize> = self.waits[number].iter().rev().copied().collect();
            while let Some(other) = open.pop() {
                if !seen.insert(other) {
                    continue;
                }
                if self.wanted[other] {
                    among[number].push(other);
                } else {
                    open.extend(self.waits[other].iter().rev());
                }
            }
        }
        among
    }
}
