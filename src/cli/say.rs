//! Lines for people on stderr, and the name under which the program speaks.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::view::streams::Stderr;

/// A line for people on stderr. What cannot be written is lost.
pub(super) fn say(line: &str) {
    let _ = Stderr.write_all(format!("{line}\n").as_bytes());
}

/// An error with all that caused it, on stderr.
pub(super) fn say_error(error: &anyhow::Error) {
    #[cfg(feature = "playbook")]
    if let Some(problems) = error.downcast_ref::<crate::playbook::Problems>() {
        return say(&problems.to_string());
    }
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    say(&format!("error: {}", causes.join(": ")));
}

/// The name of this program: what is typed to start it, whatever the package is called.
pub(crate) fn program() -> String {
    let file = std::env::args_os().next().map(PathBuf::from);
    let name = file.as_deref().and_then(Path::file_name);
    name.map_or("job".into(), |name| name.to_string_lossy()).into_owned()
}
