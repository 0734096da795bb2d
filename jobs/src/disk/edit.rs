//! Editing a text file: what the jobs on parts of a file have in common.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut, Permanent, Secret};

use super::differ::Differences;
use super::edit_lock;
use super::inspect::{self, Found, Links, Meta, OpenFile};
use super::owner::Resolved;
use super::validate::Validate;
use super::write;
use crate::text::Text;

/// A file that is edited is held in memory as a whole, so it may not be larger: 64 MiB.
pub(crate) const LIMIT: usize = 64 * 1024 * 1024;

/// How often an edit begins anew because somebody else has changed the file meanwhile.
const MOST_ATTEMPTS: usize = 20;

/// The file and how it is treated.
pub(crate) struct Editor<'a> {
    pub(crate) path: &'a Path,
    /// Whether a file that is missing is made.
    pub(crate) create: bool,
    pub(crate) backup: bool,
    /// Whether no difference is shown.
    pub(crate) hide: bool,
    pub(crate) validate: Option<&'a Validate>,
}

/// What a change comes to.
pub(crate) struct Edited {
    /// Why it was necessary.
    pub(crate) reason: String,
    /// All of the file from now on.
    pub(crate) text: String,
}

impl Edited {
    pub(crate) fn new(reason: impl Into<String>, text: String) -> Self {
        Edited { reason: reason.into(), text }
    }
}

/// A file that was read.
struct Opened {
    file: OpenFile,
    text: Text,
}

impl Editor<'_> {
    /// What is there; `None` for nothing. Links are followed: who names one means what it says.
    fn open(&self) -> Result<Option<Opened>> {
        let path = self.path.display();
        match inspect::open(self.path, Links::Follow)? {
            Found::Nothing if self.create => Ok(None),
            Found::Nothing => Err(Permanent::new(format!("{path} does not exist")).into()),
            Found::File(mut file) => {
                let bytes = file.read(LIMIT).or_could_not_find_out(format_args!("what {path} says"))?;
                let bytes = bytes.ok_or_else(|| {
                    CouldNotFindOut::new(format!("what {path} says")).because("it is larger than 64 MiB")
                })?;
                let text = Text::decode(bytes).map_err(|error| {
                    CouldNotFindOut::new(format!("what {path} says")).permanent().because(error)
                })?;
                Ok(Some(Opened { file, text }))
            }
            other => {
                let why = format!("{path} is {}, not a file", other.what().unwrap_or_default());
                Err(Permanent::new(why).into())
            }
        }
    }

    /// For a check: whether `edit` finds nothing to do.
    ///
    /// # Errors
    /// Those of `edit`; `NotAsWanted` when it finds something; when the file cannot be read.
    pub(crate) fn check(&self, edit: impl FnOnce(&Text) -> Result<Option<Edited>>) -> Result<()> {
        let found = self.open()?;
        let none = Text::default();
        let text = found.as_ref().map_or(&none, |found| &found.text);
        let Some(edited) = edit(text).map_err(|error| self.impossible(error))? else { return Ok(()) };
        let reason = match found {
            Some(_) => edited.reason,
            None => format!("{} does not exist", self.path.display()),
        };
        let mut differences = Differences::new();
        if self.hide {
            differences.add(reason);
        } else {
            let [old, new] = [text.as_str(), &edited.text].map(|it| text.encode(it));
            differences.add_content(reason, self.path, &old, &new);
        }
        differences.into_result()
    }

    /// What an edit cannot do in a check it cannot do in a run of the same text: nothing is run, and a plan does not promise it.
    fn impossible(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<CouldNotFindOut>() {
            Ok(unknown) => unknown.permanent().into(),
            Err(error) => {
                let what = format!("how {} is to be edited", self.path.display());
                CouldNotFindOut::new(what).permanent().because(error).into()
            }
        }
    }

    /// For a run: writes what `edit` makes of it, unless there is nothing to do. Nobody else may edit the file meanwhile;
    /// where somebody has done so all the same, with an editor, say, it begins anew with what is there then.
    ///
    /// # Errors
    /// Those of `edit`; when the file cannot be read or written, or is changed again and again.
    pub(crate) fn run(&self, cx: &Context, edit: impl Fn(&Text) -> Result<Option<Edited>>) -> Result<()> {
        let _turn = edit_lock::take(cx, self.path)?;
        for _ in 0..MOST_ATTEMPTS {
            let mut found = self.open()?;
            let none = Text::default();
            let text = found.as_ref().map_or(&none, |found| &found.text);
            let Some(edited) = edit(text).map_err(permanent)? else { return Ok(()) };
            let bytes = text.encode(&edited.text);
            let meta = found.as_ref().map(|found| found.file.meta);
            let path = write::follow(self.path)?;
            let changed = Cell::new(false);
            let written = write::write_after(
                cx,
                &path,
                &Resolved { confidential: self.hide, ..Resolved::default() },
                |to: &mut File| Ok(to.write_all(&bytes)?),
                |new| {
                    self.validate.map_or(Ok(()), |validate| validate.accept(cx, new))?;
                    if let Some(found) = found.as_mut().filter(|_| self.backup) {
                        write::keep(cx, &path, &mut found.file)?;
                    }
                    is_still(&path, meta.as_ref()).inspect_err(|_| changed.set(true))
                },
            );
            if !changed.get() || cx.is_cancelled() {
                return written;
            }
        }
        bail!("{} keeps being changed by another process", self.path.display())
    }
}

/// What an edit says of a text it says of the same text at every try.
fn permanent(error: anyhow::Error) -> anyhow::Error {
    Permanent::new(format!("{error:#}")).into()
}

/// Whether what is at `path` is what was read from there.
///
/// # Errors
/// When it is not, or cannot be seen.
pub(crate) fn is_still(path: &Path, read: Option<&Meta>) -> Result<()> {
    let now = inspect::meta(path, Links::Stay)?;
    let known = |meta: &Meta| (meta.id, meta.size, meta.modified);
    if now.as_ref().map(known) != read.map(known) {
        bail!("{} was changed by another process in the meantime", path.display());
    }
    Ok(())
}

/// A text that is to be confidential is masked wherever it turns up.
pub(crate) fn mask(cx: &Context, text: &str) {
    cx.mask(&Secret::new(text.to_owned()));
}
