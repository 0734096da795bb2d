//! The local accounts of a machine, as its files tell them: `/etc/passwd`, `/etc/group`, `/etc/shadow`, and what
//! `/etc/login.defs` says of new ones.

pub(crate) mod home;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut, Secret};
use jiff::Span;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::patience::patiently;
use crate::target_root::TargetRoot;

/// Whether something is to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is there.
    #[default]
    Present,
    /// It is not there.
    Absent,
}

/// Held while tools change accounts: they lock the files, and a second one would wait for seconds or give up.
pub(crate) fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: Mutex<()> = Mutex::new(());
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait for others who change accounts, or for what a killed tool has left to be seen as such.
const PATIENCE: Duration = Duration::from_secs(15);

/// Calls a tool of the `shadow` suite. It is this machine's own also for a tree, which need not have one. These tools give
/// up at once where another one is at work.
///
/// # Errors
/// When it fails.
pub(crate) fn call(
    cx: &Context,
    machine: TargetRoot<'_>,
    words: &[String],
    input: Option<&Secret<String>>,
) -> Result<()> {
    let Some((program, args)) = words.split_first() else { bail!("there is no command to run") };
    let is_locked = |said: &str| said.contains("try again later");
    patiently(cx, PATIENCE, is_locked, || {
        let command = machine.command_with(cx, program, "--root").args(args);
        match input {
            None => command,
            Some(input) => command.stdin(input.expose().as_bytes()),
        }
    })
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserLine {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comment: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupLine {
    pub(crate) name: String,
    pub(crate) gid: u32,
    pub(crate) members: Vec<String>,
}

/// All local users and groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) users: Vec<UserLine>,
    pub(crate) groups: Vec<GroupLine>,
}

impl Accounts {
    /// Reads them.
    ///
    /// # Errors
    /// [`CouldNotFindOut`], where one of the files cannot be read.
    pub(crate) fn read(machine: TargetRoot<'_>) -> Result<Self> {
        let passwd = read(machine, "/etc/passwd", "which users there are")?;
        let group = read(machine, "/etc/group", "which groups there are")?;
        Ok(Accounts::parse(&passwd, &group))
    }

    fn parse(passwd: &str, group: &str) -> Self {
        Accounts {
            users: passwd.lines().filter_map(user_line).collect(),
            groups: group.lines().filter_map(group_line).collect(),
        }
    }

    pub(crate) fn user(&self, name: &str) -> Option<&UserLine> {
        self.users.iter().find(|user| user.name == name)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&GroupLine> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The group of this name, or of this number.
    pub(crate) fn group_or_gid(&self, name_or_number: &str) -> Option<&GroupLine> {
        self.group(name_or_number).or_else(|| {
            let gid: u32 = name_or_number.parse().ok()?;
            self.groups.iter().find(|group| group.gid == gid)
        })
    }

    /// The name of a group, or its number where it has none.
    pub(crate) fn group_name(&self, gid: u32) -> String {
        let group = self.groups.iter().find(|group| group.gid == gid);
        group.map_or_else(|| gid.to_string(), |group| group.name.clone())
    }
}

fn user_line(line: &str) -> Option<UserLine> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
    Some(UserLine {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        comment: (*comment).to_owned(),
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
    })
}

fn group_line(line: &str) -> Option<GroupLine> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    let members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
    Some(GroupLine {
        name: (*name).to_owned(),
        gid: gid.parse().ok()?,
        members: members.map(str::to_owned).collect(),
    })
}

/// What `/etc/shadow` says of a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Password {
    /// Whether it is locked: `!` stands before the hash.
    pub(crate) locked: bool,
    /// The hash, or what stands in its place; empty where the account never had one.
    pub(crate) hash: String,
}

impl Password {
    /// Reads it.
    ///
    /// # Errors
    /// [`CouldNotFindOut`], where the file cannot be read, as by most users.
    pub(crate) fn read(machine: TargetRoot<'_>, user: &str) -> Result<Self> {
        let shadow = read(machine, "/etc/shadow", "which password is set (only root may read it)")?;
        Ok(Password::parse(&shadow, user))
    }

    /// Whether there is a line for the user at all; `None` where that cannot be seen.
    pub(crate) fn is_there(machine: TargetRoot<'_>, user: &str) -> Option<bool> {
        let shadow = read(machine, "/etc/shadow", "which passwords there are").ok()?;
        Some(shadow.lines().any(|line| line.split(':').next() == Some(user)))
    }

    fn parse(shadow: &str, user: &str) -> Self {
        let fields = shadow
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(user)).then(|| fields.next().unwrap_or_default()));
        // Without a line nobody can log in with a password, which is what a lone `!` says.
        let field = fields.unwrap_or("!");
        let hash = field.trim_start_matches('!');
        Password { locked: hash.len() < field.len(), hash: hash.to_owned() }
    }
}

/// The day from which on an account cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    /// In days since 1970-01-01, as `/etc/shadow` has it.
    Day(i64),
}

impl Expiry {
    /// Reads `2030-01-31` or `never`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "never" {
            return Ok(Expiry::Never);
        }
        match text.parse::<Date>() {
            // Some programs read day 0 as "never", and other spellings of a day (`20300131`) as a number of days.
            Ok(date) if date.to_string() == text && date > EPOCH => {
                Ok(Expiry::Day((date - EPOCH).get_days().into()))
            }
            _ => bail!(
                "`expires` is `{}`, and must be a day from 1970-01-02 on, as in `2030-01-31`, or `never`",
                text.escape_debug()
            ),
        }
    }

    /// Reads it from `/etc/shadow`.
    ///
    /// # Errors
    /// [`CouldNotFindOut`], where the file cannot be read, as by most users.
    pub(crate) fn read(machine: TargetRoot<'_>, user: &str) -> Result<Self> {
        let shadow = read(machine, "/etc/shadow", "when the account expires (only root may read it)")?;
        Ok(Expiry::of(&shadow, user))
    }

    fn of(shadow: &str, user: &str) -> Self {
        let mut lines = shadow.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|fields| fields.first() == Some(&user));
        // What is no number has no meaning to the system either.
        let day = line.and_then(|fields| fields.get(7)?.trim().parse().ok());
        day.filter(|day| *day >= 0).map_or(Expiry::Never, Expiry::Day)
    }

    /// As the tools of the `shadow` suite read it: a number of days, which no time zone shifts.
    pub(crate) fn argument(self) -> String {
        match self {
            Expiry::Never => String::new(),
            Expiry::Day(day) => day.to_string(),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiry::Never => f.write_str("never"),
            Expiry::Day(day) => match EPOCH.checked_add(Span::new().try_days(*day).unwrap_or_default()) {
                Ok(date) => write!(f, "{date}"),
                Err(_) => write!(f, "{day} days after {EPOCH}"),
            },
        }
    }
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// A setting of `/etc/login.defs`, where it is there.
pub(crate) fn login_setting(machine: TargetRoot<'_>, name: &str) -> Option<String> {
    let path = machine.locate_target(Path::new("/etc/login.defs")).ok()?;
    let text = fs::read(path).ok()?;
    setting(&String::from_utf8_lossy(&text), name)
}

fn setting(text: &str, name: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next().unwrap_or_default().to_owned())
    });
    values.next_back()
}

/// Whether `/etc/passwd` has a user of this name.
///
/// # Errors
/// [`CouldNotFindOut`], where it cannot be read.
pub(crate) fn has_user(machine: TargetRoot<'_>, name: &str) -> Result<bool> {
    let passwd = read(machine, "/etc/passwd", "which users there are")?;
    Ok(passwd.lines().filter_map(user_line).any(|user| user.name == name))
}

/// Whether a tree has no lists of users and groups, so that there are none.
pub(crate) fn has_no_lists(machine: TargetRoot<'_>) -> bool {
    let is_missing =
        |file| machine.locate_target(Path::new(file)).is_ok_and(|path| crate::early::is_missing(&path));
    machine.root().is_some() && is_missing("/etc/passwd") && is_missing("/etc/group")
}

fn read(machine: TargetRoot<'_>, file: &str, what: &str) -> Result<String> {
    let path = machine.locate_target(Path::new(file))?;
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound && machine.root().is_some() => {
            let what = format!("{what} ({} is missing; is `root` the tree of a system?)", path.display());
            Err(CouldNotFindOut::new(what).into())
        }
        Err(error) => Err(error).or_could_not_find_out(format!("{what}: failed to read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_are_passed_over() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\n# comment\n+::::::\nrosa:x:1000:100:Rosa,,,:/home/rosa:\n",
            "root:x:0:\nusers:x:100:\nadm:x:4:syslog,rosa\nbroken\n",
        );
        assert_eq!(accounts.users.len(), 2);
        assert_eq!(accounts.user("rosa").unwrap().shell, "");
        assert_eq!(accounts.group("adm").unwrap().members, ["syslog", "rosa"]);
        assert_eq!(accounts.group_or_gid("100").unwrap().name, "users");
        assert_eq!((accounts.group_name(4), accounts.group_name(5)), ("adm".to_owned(), "5".to_owned()));
    }

    #[test]
    fn passwords_are_locked_by_a_mark() {
        let of =
            |field: &str| Password::parse(&format!("root:*:1::::::\nrosa:{field}:2:0:99999:7:::\n"), "rosa");
        assert_eq!(of("$6$a$b"), Password { locked: false, hash: "$6$a$b".into() });
        assert_eq!(of("!$6$a$b"), Password { locked: true, hash: "$6$a$b".into() });
        assert_eq!(of("!!"), Password { locked: true, hash: String::new() });
        assert_eq!(of("*"), Password { locked: false, hash: "*".into() });
        assert_eq!(Password::parse("", "rosa"), Password { locked: true, hash: String::new() });
    }

    #[test]
    fn an_account_expires_on_a_day_or_never() {
        let day = Expiry::parse("2030-01-31").unwrap();
        assert_eq!(
            (day, day.to_string(), day.argument()),
            (Expiry::Day(21945), "2030-01-31".into(), "21945".into())
        );
        assert_eq!(Expiry::parse("never").unwrap().argument(), "");
        for text in [
            "",
            "2030-02-30",
            "20300131",
            "31.01.2030",
            "1969-12-31",
            "1970-01-01",
            "2030-01-31T00:00",
            "Never",
        ] {
            assert!(Expiry::parse(text).is_err(), "{text}");
        }
        let shadow = "root:*:1::::::\nrosa:*:2:0:99999:7::21945:\nold:*:2:0:99999:7\n";
        let of = |user: &str| Expiry::of(shadow, user);
        assert_eq!(
            (of("rosa"), of("root"), of("old"), of("nobody")),
            (day, Expiry::Never, Expiry::Never, Expiry::Never)
        );
    }

    #[test]
    fn the_last_setting_counts() {
        let text = "#UMASK 077\nUMASK\t\t022\n HOME_MODE 0700 \nUMASK 027\n";
        assert_eq!(setting(text, "UMASK").as_deref(), Some("027"));
        assert_eq!(setting(text, "HOME_MODE").as_deref(), Some("0700"));
        assert_eq!(setting(text, "MAIL"), None);
    }
}
