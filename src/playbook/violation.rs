//! What does not fit about the arguments of a task, and how it is told: in full, or without a word of what is secret.

use super::argument_path::{ArgumentStep, shown_path};
use super::fill;
use super::prose::{escaped, first_sentence, listed};
use super::schema::{JsonType, View};
use super::task_type::TaskType;
use crate::suggest;

/// An argument that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Violation {
    pub(super) path: Vec<ArgumentStep>,
    pub(super) what: ViolationKind,
}

/// What does not fit about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ViolationKind {
    /// The key at the end of the path is not known.
    UnknownKey { known: Vec<String> },
    /// The object at the path ought to have a key, which has this documentation.
    MissingKey { name: String, doc: String },
    /// Another value is wanted.
    Wrong { found: String, expected: String, hint: Option<String> },
    /// The type itself has said this.
    Refused { message: String },
    /// It cannot be filled in; nothing of its value is in this.
    Unfilled { message: String, hint: Option<String> },
}

/// A message, and what to do about it.
pub(super) type Explanation = (String, Option<String>);

impl From<fill::Unfilled> for Violation {
    fn from(why: fill::Unfilled) -> Self {
        Violation { path: why.path, what: ViolationKind::Unfilled { message: why.message, hint: why.hint } }
    }
}

/// Why a message says nothing of a value.
const UNSEEN: &str = "its value is secret, and not shown";

impl Violation {
    /// About the key itself, or its absence, and not about a value.
    pub(super) fn is_about_key(&self) -> bool {
        matches!(self.what, ViolationKind::UnknownKey { .. } | ViolationKind::MissingKey { .. })
    }

    /// In words; `path` is where it was written.
    pub(super) fn explain(&self, kind: &TaskType, path: &[ArgumentStep]) -> Explanation {
        let shown = shown_path(path);
        if let ViolationKind::Wrong { expected, .. } = &self.what
            && View::new(kind.schema()).is_secret(&self.path)
        {
            return (format!("`{shown}` is not {expected}"), Some(UNSEEN.to_owned()));
        }
        if matches!(self.what, ViolationKind::Refused { .. })
            && View::new(kind.schema()).is_secret(&self.path)
        {
            return (format!("`{shown}` does not accept this value"), Some(UNSEEN.to_owned()));
        }
        match &self.what {
            ViolationKind::UnknownKey { known } => unknown_key(kind, path, known),
            ViolationKind::MissingKey { name, doc } => {
                let message = if shown.is_empty() {
                    format!("`{}` needs the argument `{name}`", kind.name())
                } else {
                    format!("`{shown}` needs `{name}`")
                };
                (message, about(name, doc))
            }
            ViolationKind::Wrong { found, expected, hint } => {
                let message = if shown.is_empty() {
                    format!("this is {found}, expected {expected}")
                } else {
                    format!("`{shown}` is {found}, expected {expected}")
                };
                (message, hint.clone())
            }
            ViolationKind::Refused { message } => {
                let message = escaped(message);
                (if shown.is_empty() { message } else { format!("`{shown}`: {message}") }, None)
            }
            ViolationKind::Unfilled { message, hint } => (message.clone(), hint.clone()),
        }
    }

    /// In words that have nothing of the value, in which there are these secrets (or others, which have no name here). It
    /// is not masked afterwards: of a value that was cut, quoted or escaped a mask would find nothing.
    pub(super) fn explain_without_value(
        &self,
        kind: &TaskType,
        path: &[ArgumentStep],
        secrets: &[String],
    ) -> Explanation {
        let expected = match &self.what {
            ViolationKind::Wrong { expected, .. } => Some(expected.clone()),
            ViolationKind::Refused { .. } => expected(kind, path),
            _ => return self.explain(kind, path),
        };
        let shown = shown_path(path);
        let named = |before: &str| match secrets {
            [] => "a secret".to_owned(),
            [one] => format!("the secret `{one}`"),
            several => format!("{before}the secrets {}", listed(several)),
        };
        if shown.is_empty() {
            let message = format!(
                "`{}` does not accept these arguments; with {} among them, the reason is not shown",
                kind.name(),
                named("")
            );
            return (message, None);
        }
        let message = match expected {
            Some(expected) => {
                format!("`{shown}` is invalid: the value of {} is not {expected}", named("one of "))
            }
            None => format!("`{shown}` does not accept the value of {}", named("one of ")),
        };
        let field = path.first().and_then(|step| match step {
            ArgumentStep::Key(name) => kind.fields().iter().find(|field| field.name == *name),
            ArgumentStep::Index(_) => None,
        });
        (message, field.and_then(|field| about(&field.name, &field.doc)))
    }
}

/// What a key is for.
fn about(name: &str, doc: &str) -> Option<String> {
    (!doc.is_empty()).then(|| format!("`{name}`: {}", first_sentence(doc)))
}

/// What is taken at a path, unless every text is as far as anybody says.
fn expected(kind: &TaskType, path: &[ArgumentStep]) -> Option<String> {
    let view = View::new(kind.schema()).below(path)?;
    let takes_text = view.types().contains(&JsonType::Text) && view.choices().is_none();
    let takes_text =
        takes_text || view.alternatives().iter().any(|one| one.types().contains(&JsonType::Text));
    Some(view.in_words()).filter(|words| !takes_text && words != "anything")
}

fn unknown_key(kind: &TaskType, path: &[ArgumentStep], known: &[String]) -> Explanation {
    let (name, before) = match path.split_last() {
        Some((ArgumentStep::Key(name), before)) => (name.clone(), before),
        Some((step, before)) => (shown_path(std::slice::from_ref(step)), before),
        None => (String::new(), path),
    };
    let shown = escaped(&name);
    let message = match shown_path(before) {
        path if path.is_empty() => format!("`{}` has no argument `{shown}`", kind.name()),
        path => format!("`{path}` has no `{shown}`"),
    };
    let hint = match suggest::nearest(&name, known.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() && before.is_empty() => Some("it takes no arguments".to_owned()),
        None if known.is_empty() => None,
        None if before.is_empty() => Some(format!("its arguments are {}", listed(known))),
        None => Some(format!("there are {}", listed(known))),
    };
    (message, hint)
}
