//! What cron starts: an entry of a user's crontab, or of a file in `/etc/cron.d`.

mod schedule;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use dojob::{Command, Context, CouldNotFindOut, Job, NotAsWanted, OrCouldNotFindOut, Permanent, Result};
use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uzers::os::unix::UserExt;

use crate::account::{self, Presence};
use crate::disk::differ::Differences;
use crate::disk::edit_lock;
use crate::disk::inspect::{Fingerprint, Links};
use crate::disk::owner::{Mode, Resolved};
use crate::disk::write;
use crate::early;
use crate::serde_helpers::one_line;
use crate::target_root::{TargetRoot, account_name};
use crate::text::Text;
use crate::text_file::TextFile;
use crate::validated::validated;

const DIRECTORY: &str = "/etc/cron.d";

/// A file that others than root own or may write is not read by cron.
const ATTRIBUTES: Resolved = Resolved {
    mode: Some(Mode::new(0o644)),
    uid: Some(0),
    gid: None,
    confidential: false,
    keeps_list: false,
};

/// Cron starts a command at certain times. The entry stands between two comment lines with its name, and what is between them
/// is the entry's own; all else in the crontab stays as it is.
///
/// ```
/// # use dojob_jobs::CronEntry;
/// let backup = CronEntry::new("backup", "30 3 * * *", "/usr/local/bin/backup --all").user("rosa");
/// let same: CronEntry = serde_json::from_str(
///     r#"{"name": "backup", "schedule": "30 3 * * *", "command": "/usr/local/bin/backup --all", "user": "rosa"}"#,
/// )?;
/// assert_eq!(backup, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "CronEntry")]
#[schemars(extend("x-dojob-target" = { "by": "name", "and": ["user", "file"] }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct CronEntry {
    /// The entry's name, by which it is found again: it stands in a comment before it and in one behind it.
    pub name: String,
    /// When it is started: minute, hour, day of the month, month and day of the week, as in `30 3 * * mon-fri`, or
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@reboot`. Not for state `absent`.
    #[serde(default)]
    pub schedule: Option<String>,
    /// What is started: a line for the shell. A `%` is just that, and is escaped for cron. Not for state `absent`.
    #[serde(default)]
    pub command: Option<String>,
    /// Whose crontab it is; unless given, that of the user who runs this. With `file` the user as whom it is started:
    /// root unless given; it has to exist, since cron would pass over the file otherwise.
    #[serde(default)]
    pub user: Option<String>,
    /// The name of a file in `/etc/cron.d` that the entry is in, in place of a user's crontab; made where it is missing,
    /// removed with its last line. Letters, digits, `_` and `-`: cron passes over other files.
    #[serde(default)]
    pub file: Option<String>,
    /// Variables that are set before the entry: `MAILTO`, `PATH`, `SHELL`. Cron keeps them for all entries below as well: give
    /// an entry with variables a file of its own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `present` unless given, or `absent`.
    #[serde(default)]
    pub state: Presence,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say. A user's crontab there is
    /// handled by that tree's own `crontab`, which takes root's rights.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(CronEntry);

/// Where the entry is, as it was found.
enum Place {
    File(TextFile),
    Crontab(Text),
}

impl Place {
    fn text(&self) -> &str {
        match self {
            Place::File(file) => file.text.as_str(),
            Place::Crontab(text) => text.as_str(),
        }
    }
}

impl CronEntry {
    /// Starts `command` when `schedule` says so.
    pub fn new(name: impl Into<String>, schedule: impl Into<String>, command: impl Into<String>) -> Self {
        let entry = CronEntry::absent(name);
        CronEntry {
            schedule: Some(schedule.into()),
            command: Some(command.into()),
            state: Presence::Present,
            ..entry
        }
    }

    /// No entry of this name.
    pub fn absent(name: impl Into<String>) -> Self {
        CronEntry {
            name: name.into(),
            schedule: None,
            command: None,
            user: None,
            file: None,
            env: BTreeMap::new(),
            state: Presence::Absent,
            root: None,
        }
    }

    /// In the crontab of this user, or as this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// In this file of `/etc/cron.d`.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// In the tree of another system.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    fn machine(&self) -> TargetRoot<'_> {
        TargetRoot::new(self.root.as_ref())
    }

    fn validate(&self) -> Result<()> {
        one_line("name", &self.name)?;
        ensure!(self.name.trim() == self.name, "`name` is `{}`: blanks around it would be lost", self.name);
        if let Some(user) = &self.user {
            account_name("user", user)?;
        }
        if let Some(file) = &self.file {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            ensure!(
                !file.is_empty() && file.chars().all(fits),
                "`file` is `{}`: cron passes over files whose names have more than letters, digits, `_` and `-`",
                file.escape_debug()
            );
        }
        for (name, value) in &self.env {
            variable(name, value)?;
        }
        if let Some(command) = &self.command {
            one_line("command", command)?;
        }
        self.schedule.as_deref().map_or(Ok(()), schedule::validate)?;
        if self.state == Presence::Present {
            ensure!(self.schedule.is_some(), "`schedule` is missing: `30 3 * * *` is one, or `@daily`");
            ensure!(self.command.is_some(), "`command` is missing");
        }
        self.machine().validate()
    }

    /// Refuses a user that is not there: cron passes over a file with an entry of one, and so over all other entries in it.
    fn refuse_unknown_user(&self) -> Result<()> {
        let Some(user) =
            self.user.as_ref().filter(|_| self.file.is_some() && self.state == Presence::Present)
        else {
            return Ok(());
        };
        let is_known = account::has_user(self.machine(), user)?
            // Not all users are in files.
            || self.machine().root().is_none() && uzers::get_user_by_name(user).is_some();
        ensure!(is_known, "there is no user {user}; a `user` before this one can make it");
        Ok(())
    }

    /// The lines behind the mark; none where the entry is not wanted.
    fn entry(&self) -> Result<Option<Vec<String>>> {
        if self.state == Presence::Absent {
            return Ok(None);
        }
        let (Some(schedule), Some(command)) = (&self.schedule, &self.command) else {
            bail!("`schedule` and `command` are wanted")
        };
        let mut lines = Vec::with_capacity(self.env.len() + 1);
        for (name, value) in &self.env {
            lines.push(variable(name, value)?);
        }
        let schedule = schedule.split_whitespace().collect::<Vec<_>>().join(" ");
        let command = escaped(command.trim());
        lines.push(match &self.file {
            None => format!("{schedule} {command}"),
            Some(_) => format!("{schedule} {} {command}", self.user.as_deref().unwrap_or("root")),
        });
        Ok(Some(lines))
    }

    /// The crontab as it should be.
    fn wanted(&self, text: &str) -> Result<String> {
        let wanted = table::set(text, &self.name, self.entry()?.as_deref());
        wanted.map_err(|error| Permanent::new(format!("{}: {error}", self.place_name())).into())
    }

    /// What people call the crontab.
    fn place_name(&self) -> String {
        match (&self.file, &self.user) {
            (Some(file), _) => format!("{DIRECTORY}/{file}"),
            (None, Some(user)) => format!("the crontab of {user}"),
            (None, None) => "the own crontab".to_owned(),
        }
    }

    fn crontab<'cx>(&self, cx: &'cx Context) -> Command<'cx> {
        let crontab = self.machine().command(cx, "crontab");
        match self.user.as_ref().filter(|user| !is_self(user)) {
            None => crontab,
            Some(user) => crontab.args(["-u", user]),
        }
    }

    /// Nobody else may edit the same file, or the same crontab, until this is dropped.
    fn turn(&self, cx: &Context) -> Result<edit_lock::EditLock> {
        if let Some(file) = &self.file {
            return edit_lock::take(cx, &self.machine().locate_target(&Path::new(DIRECTORY).join(file))?);
        }
        let account = match &self.user {
            Some(user) => uzers::get_user_by_name(user),
            None => uzers::get_user_by_uid(geteuid().as_raw()),
        };
        let user = match (&self.user, &account) {
            (Some(user), _) => user.clone(),
            (None, Some(account)) => account.name().to_string_lossy().into_owned(),
            (None, None) => geteuid().as_raw().to_string(),
        };
        let root = self.machine().root().unwrap_or(Path::new("/"));
        let name = Fingerprint::of_bytes(format!("{} {user}", root.display()).as_bytes()).hex();
        let home = account.filter(|_| self.root.is_none()).map(|account| account.home_dir().to_owned());
        let home = home.filter(|home| home.is_dir()).unwrap_or_else(|| PathBuf::from("/"));
        edit_lock::take_named(cx, format!("crontab-{}", &name[..32]), &home, Path::new(&self.place_name()))
    }

    fn look(&self, cx: &Context) -> Result<Place> {
        if let Some(file) = &self.file {
            let path = Path::new(DIRECTORY).join(file);
            return Ok(Place::File(TextFile::read(self.machine(), &path, Links::Follow)?));
        }
        let what = || format!("what is in {}", self.place_name());
        let output =
            self.crontab(cx).arg("-l").quiet().keep(LARGEST).output().or_could_not_find_out(what())?;
        if output.success() && output.stdout.dropped() == 0 {
            let text = Text::decode(output.stdout.bytes()).or_could_not_find_out(what())?;
            return Ok(Place::Crontab(text));
        }
        let said = output.stderr.text();
        if output.status.code() == Some(1) && said.to_lowercase().contains("no crontab for") {
            return Ok(Place::Crontab(Text::default()));
        }
        let hint = if said.contains("privileged") || said.contains("must be root") {
            " (run this as root, or as that user)"
        } else {
            ""
        };
        let said = said.lines().map(str::trim).collect::<Vec<_>>().join("; ");
        Err(CouldNotFindOut::new(format!("{}{hint}", what())).because(said).into())
    }

    /// Where there can be no crontab yet, for lack of its user or of cron: so in words.
    fn has_no_crontab(&self) -> Option<String> {
        let (machine, user) = (self.machine(), self.user.as_deref());
        let is_unknown = |user: &&str| machine.root().is_none() && uzers::get_user_by_name(user).is_none();
        if self.state == Presence::Absent || self.file.is_some() {
            return None;
        }
        if let Some(user) = user.filter(is_unknown) {
            return Some(format!("there is no user {user}"));
        }
        let has_cron = machine.has("crontab").unwrap_or(true);
        (!has_cron).then(|| format!("{} is not in {}: there is no `crontab`", self.name, self.place_name()))
    }

    fn reason(&self, text: &str) -> String {
        let (name, place) = (&self.name, self.place_name());
        match (self.state, table::has(text, name)) {
            (Presence::Absent, _) => format!("{name} is in {place}"),
            (Presence::Present, true) => format!("{name} differs in {place}"),
            (Presence::Present, false) => format!("{name} is not in {place}"),
        }
    }

    fn write(&self, cx: &Context, place: &Place, wanted: &str) -> Result<()> {
        match place {
            Place::File(file) if wanted.trim().is_empty() => file.remove(),
            Place::File(file) => file.write(cx, wanted, &ATTRIBUTES),
            Place::Crontab(_) if wanted.is_empty() => {
                self.crontab(cx).arg("-r").run().map(drop).map_err(Into::into)
            }
            Place::Crontab(text) => {
                let bytes = text.encode(wanted);
                self.crontab(cx).arg("-").stdin(bytes).run()?;
                Ok(())
            }
        }
    }
}

/// More than any crontab should ever have.
const LARGEST: usize = 16 * 1024 * 1024;

/// Whether it is the user at work, who need not, and unless root must not, say so.
fn is_self(user: &str) -> bool {
    let own = geteuid();
    !own.is_root() && uzers::get_user_by_name(user).is_some_and(|user| user.uid() == own.as_raw())
}

/// The line that sets a variable. Cron knows quotes around the whole value, and no escapes.
fn variable(name: &str, value: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    ensure!(
        !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit()),
        "`env` has `{}` in it, which is no name of a variable",
        name.escape_debug()
    );
    crate::serde_helpers::no_break(&format!("env.{name}"), value)?;
    let is_plain = value.trim() == value && !value.is_empty() && !value.starts_with(['"', '\'']);
    let quote = match value {
        _ if is_plain => "",
        value if !value.contains('"') => "\"",
        value if !value.contains('\'') => "'",
        _ => bail!("`env.{name}` cannot be written down for cron: it has quotes of both kinds in it"),
    };
    Ok(format!("{name}={quote}{value}{quote}"))
}

/// A `%` would end the command for cron, and begin what it reads.
fn escaped(command: &str) -> String {
    let mut text = String::with_capacity(command.len());
    let mut before = ' ';
    for c in command.chars() {
        if c == '%' && before != '\\' {
            text.push('\\');
        }
        text.push(c);
        before = c;
    }
    text
}

impl Job for CronEntry {
    fn name(&self) -> String {
        match (&self.file, &self.user) {
            (None, None) => format!("CronEntry {}", self.name),
            _ => format!("CronEntry {} in {}", self.name, self.place_name()),
        }
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        early::or_missing(cx, self.refuse_unknown_user(), |_| {
            let user = self.user.as_ref()?;
            account::has_no_lists(self.machine()).then(|| format!("there is no user {user}"))
        })?;
        let place = early::or_missing(cx, self.look(cx), |_| self.has_no_crontab())?;
        let text = place.text();
        let wanted = self.wanted(text)?;
        let differs = wanted != text;
        let mut differences = Differences::new();
        match &place {
            Place::File(file) => {
                if differs {
                    file.compare(self.reason(text), &wanted, &mut differences);
                }
                if let Some(meta) = file.meta.as_ref().filter(|_| self.state == Presence::Present) {
                    ATTRIBUTES.compare(meta, &mut differences);
                }
            }
            Place::Crontab(_) if differs => {
                let name = self.place_name();
                return Err(NotAsWanted::new(self.reason(text)).diff(&name, text, &wanted).into());
            }
            Place::Crontab(_) => {}
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.refuse_unknown_user()?;
        let _turn = self.turn(cx)?;
        let place = self.look(cx)?;
        let wanted = self.wanted(place.text())?;
        let is_file = matches!(place, Place::File(_)) && self.state == Presence::Present;
        if wanted == place.text() && !is_file {
            return Ok(());
        }
        self.write(cx, &place, &wanted)
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        match &self.file {
            Some(file) => {
                let path = self.machine().locate_target(&Path::new(DIRECTORY).join(file))?;
                write::cleanup(cx, &path)
            }
            None => Ok(()),
        }
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
