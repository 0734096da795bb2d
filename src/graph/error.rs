//! What can be wrong with a graph, in words.

use std::fmt;

use crate::job::policy::AttemptsError;
use crate::job::retry::RetryError;

/// One mistake in a graph of jobs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two jobs of different types have one name.
    #[error(
        "the name `{name}` is used by two types, {first} (needed by {first_by}) and {second} (needed by {second_by}); give them different names"
    )]
    TwoTypes {
        /// The name.
        name: String,
        /// The type that had it first.
        first: String,
        /// Who needs that.
        first_by: String,
        /// The other type.
        second: String,
        /// Who needs the other.
        second_by: String,
    },
    /// Two jobs of one type and one name are not equal.
    #[error(
        "the name `{name}` stands for two unequal jobs of type {type_name} (needed by {first_by} and by {second_by}); give them names that tell them apart"
    )]
    TwoValues {
        /// The name.
        name: String,
        /// Their type.
        type_name: String,
        /// Who needs the first.
        first_by: String,
        /// Who needs the other.
        second_by: String,
    },
    /// A graph was told twice of a job of this name.
    #[error("there are two jobs named `{name}`; give them different names")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A job depends on one that is not there.
    #[error("`{job}` depends on `{dependency}`, which does not exist{hint}")]
    UnknownDependency {
        /// The job.
        job: String,
        /// What it depends on.
        dependency: String,
        /// A similar name, as part of the message; may be empty.
        hint: String,
    },
    /// The graph is to be built from a job that is not there.
    #[error("there is no job `{name}`{hint}")]
    UnknownJob {
        /// The name.
        name: String,
        /// A similar name, as part of the message; may be empty.
        hint: String,
    },
    /// A job depends on itself, directly.
    #[error("`{job}` depends on itself")]
    SelfDependency {
        /// The job.
        job: String,
    },
    /// Jobs depend on each other in a circle.
    #[error("these jobs wait for each other for ever: {}", way(.path))]
    Cycle {
        /// The way round; the first name comes again as the last one.
        path: Vec<String>,
    },
    /// A job has a retry policy that makes no sense.
    #[error("`{job}` {mistake}")]
    Retry {
        /// The job.
        job: String,
        /// What is wrong.
        mistake: RetryError,
    },
    /// `name`, `deps` or `retry` of a job panicked.
    #[error("finding out what `{job}` depends on panicked{}: {message}", at(.location))]
    Panicked {
        /// The job.
        job: String,
        /// What the panic said.
        message: String,
        /// Where, as `file:line:column`.
        location: Option<String>,
    },
    /// There are more jobs than the graph may have.
    #[error("there are more than {limit} jobs, which looks like dependencies without an end; the way there: {}", way(.path))]
    TooMany {
        /// The bound.
        limit: usize,
        /// From the root to the last job.
        path: Vec<String>,
    },
    /// A group has an attempts policy that makes no sense.
    #[error("the group `{group}` {mistake}")]
    Attempts {
        /// The group.
        group: String,
        /// What is wrong.
        mistake: AttemptsError,
    },
    /// Two groups list the same job.
    #[error("`{job}` is in two groups, `{first}` and `{second}`; list it in one of them")]
    TwoGroups {
        /// The job.
        job: String,
        /// The group that has it first.
        first: String,
        /// The other group.
        second: String,
    },
    /// A group is attempted for each value of a result, and does not come after the job that hands it on.
    #[error(
        "the group `{group}` is attempted for each value of the result of `{job}`, and does not come after it; add it to what the group comes after"
    )]
    NotAfter {
        /// The group.
        group: String,
        /// The job.
        job: String,
    },
    /// A job requires a value that no job provides.
    #[error("`{job}` requires `{value}`, which no job provides{hint}")]
    MissingInput {
        /// The job.
        job: String,
        /// The name of the value.
        value: String,
        /// A similar name, as part of the message; may be empty.
        hint: String,
    },
    /// Two jobs provide the same value.
    #[error("`{value}` is provided by two jobs, `{first}` and `{second}`; give the values different names")]
    TwoProviders {
        /// The name of the value.
        value: String,
        /// One job.
        first: String,
        /// The other one.
        second: String,
    },
    /// There is no job at all.
    #[error("there are no jobs")]
    Empty,
}

/// How many names of a long path are shown at each of its ends.
const ENDS: usize = 6;

fn way(names: &[String]) -> String {
    if names.len() <= 2 * ENDS + 1 {
        return names.join(" -> ");
    }
    let (first, last) = (&names[..ENDS], &names[names.len() - ENDS..]);
    format!("{} -> … {} more … -> {}", first.join(" -> "), names.len() - 2 * ENDS, last.join(" -> "))
}

fn at(location: &Option<String>) -> String {
    location.as_ref().map_or_else(String::new, |location| format!(" at {location}"))
}

/// All mistakes of a graph; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphErrors(pub(crate) Vec<GraphError>);

impl GraphErrors {
    /// The mistakes, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &GraphError> {
        self.0.iter()
    }
}

impl From<GraphError> for GraphErrors {
    fn from(error: GraphError) -> Self {
        GraphErrors(vec![error])
    }
}

impl fmt::Display for GraphErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [single] => write!(f, "the job graph has a mistake: {single}"),
            all => {
                write!(f, "the job graph has {} mistakes:", all.len())?;
                all.iter().try_for_each(|error| write!(f, "\n  - {error}"))
            }
        }
    }
}

impl std::error::Error for GraphErrors {}
