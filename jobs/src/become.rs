//! Commands as another user: which tool can do it, and how it is called so that it never asks for a password.
//!
//! Knows users and the tools; not what the commands are for. Root goes down by `setpriv`, `runuser` or `su`, whichever
//! is there; others go by `sudo`, `doas` or `run0`. A tool that will not do it is found out before the command is
//! started, since nobody could tell its "no" from the command's own.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use dojob::{Command, CommandError, Context, CouldNotFindOut, OrCouldNotFindOut, Result, Secret};
use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uzers::os::unix::UserExt;

use crate::programs;

/// Which user a command runs as, and how it gets there.
///
/// In a configuration file it is the name of a user, or a name and a method: `become: postgres`,
/// `become { user: postgres, method: sudo }`. No method ever asks for a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "Written")]
pub struct Become {
    /// The user's name.
    pub user: String,
    /// The tool that changes users. Unless given: none where that user is at work already; for root `setpriv`, `runuser`
    /// or `su`; for others the first of `sudo`, `doas` and `run0` that is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<BecomeMethod>,
}

/// A tool that runs commands as another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BecomeMethod {
    /// `sudo -n`. Its rules have to allow every command (`true` is tried first), and variables where a job sets some.
    Sudo,
    /// `doas -n`. It hands on no variables by itself: those of a job are given by `env`, and secret ones are refused.
    Doas,
    /// `run0`, of systemd 256 and later.
    Run0,
    /// `su`, for root only: it would ask anybody else for a password.
    Su,
}

/// How it may be written down.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand, for the sake of the messages")]
enum Written {
    /// The user's name.
    User(String),
    /// The user's name and the tool that changes users.
    UserAndMethod(Fields),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The user's name.
    user: String,
    /// The tool that changes users; unless given, the one that fits.
    #[serde(default)]
    method: Option<BecomeMethod>,
}

impl<'de> Deserialize<'de> for Become {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Become;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a user, or an object with `user` and `method`")
            }

            fn visit_str<E: serde::de::Error>(self, user: &str) -> Result<Become, E> {
                let wanted = Become::new(user);
                wanted.validate().map_err(E::custom)?;
                Ok(wanted)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Become, A::Error> {
                let Fields { user, method } = Fields::deserialize(MapAccessDeserializer::new(map))?;
                let wanted = Become { user, method };
                wanted.validate().map_err(serde::de::Error::custom)?;
                Ok(wanted)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Variables of a command's environment; what is secret is handed on so that no list of processes shows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variables<'a> {
    plain: Option<&'a BTreeMap<String, String>>,
    secret: Option<&'a BTreeMap<String, Secret<String>>>,
}

impl<'a> Variables<'a> {
    pub(crate) fn new(
        plain: &'a BTreeMap<String, String>,
        secret: &'a BTreeMap<String, Secret<String>>,
    ) -> Self {
        Variables { plain: Some(plain), secret: Some(secret) }
    }

    /// The command with them.
    pub(crate) fn add_to<'cx>(self, cx: &Context, mut command: Command<'cx>) -> Command<'cx> {
        for (name, value) in self.plain() {
            command = command.env(name, value);
        }
        for (name, value) in self.secret() {
            cx.mask(value);
            command = command.env(name, value.expose());
        }
        command
    }

    /// Refuses what no environment can hold.
    pub(crate) fn validate(self) -> Result<()> {
        for name in self.names() {
            anyhow::ensure!(
                !name.is_empty() && !name.contains(['=', '\0']),
                "`{}` is no name of a variable: it must not be empty, nor contain `=` or a NUL byte",
                name.escape_debug()
            );
        }
        let mut values =
            self.plain().chain(self.secret().map(|(name, value)| (name, value.expose().as_str())));
        if let Some((name, _)) = values.find(|(_, value)| value.contains('\0')) {
            anyhow::bail!("the variable {name} must not contain a NUL byte");
        }
        if let Some((name, _)) = self.secret().find(|(name, _)| self.plain().any(|(plain, _)| plain == *name))
        {
            anyhow::bail!("the variable {name} is given twice, once as a secret");
        }
        Ok(())
    }

    fn plain(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.plain.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn secret(self) -> impl Iterator<Item = (&'a str, &'a Secret<String>)> {
        self.secret.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    fn names(self) -> impl Iterator<Item = &'a str> {
        self.plain().map(|(name, _)| name).chain(self.secret().map(|(name, _)| name))
    }
}

/// A command for `argv` as the user wanted, or as the one at work where nobody is.
///
/// # Errors
/// When `argv` is empty, or as [`Become::command`].
pub(crate) fn command<'cx, A: AsRef<OsStr>>(
    cx: &'cx Context,
    wanted: Option<&Become>,
    argv: &[A],
    variables: Variables<'_>,
) -> Result<Command<'cx>> {
    match wanted {
        Some(wanted) => wanted.way(cx, variables)?.command(cx, argv, variables),
        None => Way::Directly.command(cx, argv, variables),
    }
}

impl Become {
    /// The user of this name, by the method that fits.
    pub fn new(user: impl Into<String>) -> Self {
        Become { user: user.into(), method: None }
    }

    /// By this method.
    #[must_use]
    pub fn method(mut self, method: BecomeMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// A command for `argv`, a program and its arguments, as this user. HOME, USER and LOGNAME are that user's;
    /// whether further variables of this process are handed on is up to the method.
    ///
    /// # Errors
    /// When the name cannot be that of a user, there is no such user, the tool is missing, or it will not change users
    /// without a password. All but the first are [`CouldNotFindOut`], so that a check can hand them on.
    pub fn command<'cx, A: AsRef<OsStr>>(&self, cx: &'cx Context, argv: &[A]) -> Result<Command<'cx>> {
        command(cx, Some(self), argv, Variables::default())
    }

    /// Refuses what no tool takes for the name of a user.
    pub(crate) fn validate(&self) -> Result<()> {
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && !":/,#%\\\"'`$();&|<>*?".contains(c);
        anyhow::ensure!(
            !self.user.is_empty() && !self.user.starts_with('-') && self.user.chars().all(fits),
            "`{}` is no name of a user to become: a name such as `postgres` is wanted",
            self.user.escape_debug()
        );
        Ok(())
    }

    fn way(&self, cx: &Context, variables: Variables<'_>) -> Result<Way> {
        self.validate()?;
        let account = self.account(cx)?;
        let own = geteuid().as_raw();
        if account.uid == own && self.method.is_none() {
            return Ok(Way::Directly);
        }
        let way = Way::choose(self.method, own == 0, account, programs::find)?;
        self.try_out(cx, &way, variables)?;
        Ok(way)
    }

    /// The user's entry, also where only a service of names knows it, which a static binary cannot ask itself.
    fn account(&self, cx: &Context) -> Result<Account> {
        if let Some(user) = uzers::get_user_by_name(&self.user) {
            return Ok(Account {
                user: self.user.clone(),
                uid: user.uid(),
                gid: user.primary_group_id(),
                home: user.home_dir().as_os_str().to_owned(),
            });
        }
        let what = format!("how to become {}", self.user);
        if programs::find("getent").is_some() {
            let found = cx
                .command("getent")
                .args(["passwd", "--", &self.user])
                .quiet()
                .output()
                .or_could_not_find_out(&what)?;
            if let Some(account) = found.text().lines().find_map(|line| Account::from_line(&self.user, line))
            {
                return Ok(account);
            }
        }
        let hint = format!("there is no user `{}`; create it first, by a job that this one needs", self.user);
        Err(CouldNotFindOut::new(what).because(hint).into())
    }

    /// Whether the tool does it at all and hands on these variables, asked once a run.
    fn try_out(&self, cx: &Context, way: &Way, variables: Variables<'_>) -> Result<()> {
        /// Who has become whom in this run.
        #[derive(Default)]
        struct TriedOut(Mutex<BTreeSet<Vec<OsString>>>);

        let words = way.call(&["true"], variables)?;
        let tried = cx.handles().get_or_try_put(|| Ok::<_, anyhow::Error>(TriedOut::default()))?;
        if tried.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&words) {
            return Ok(());
        }
        match way.command(cx, &["true"], variables)?.quiet().run() {
            Ok(_) => {
                tried.0.lock().unwrap_or_else(PoisonError::into_inner).insert(words);
                Ok(())
            }
            Err(error @ CommandError::Stopped { .. }) => Err(error.into()),
            Err(error) => {
                let error = anyhow::Error::new(error).context(way.hint());
                Err(CouldNotFindOut::new(format!("how to become {}", self.user)).because(error).into())
            }
        }
    }
}

impl From<&str> for Become {
    fn from(user: &str) -> Self {
        Become::new(user)
    }
}

impl fmt::Display for Become {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)
    }
}

/// What has to be known of a user to become it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    user: String,
    uid: u32,
    gid: u32,
    home: OsString,
}

impl Account {
    /// From a line of `passwd`.
    fn from_line(user: &str, line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        let account = Account {
            user: user.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.into(),
        };
        (*name == user).then_some(account)
    }
}

/// The way from this user to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// It is that user already.
    Directly,
    Setpriv(PathBuf, Account),
    Runuser(PathBuf, Account),
    Su(PathBuf, Account),
    Sudo(PathBuf, String),
    Doas(PathBuf, String),
    Run0(PathBuf, String),
}

impl Way {
    fn choose(
        method: Option<BecomeMethod>,
        root: bool,
        account: Account,
        find: impl Fn(&str) -> Option<PathBuf>,
    ) -> Result<Way> {
        let user = account.user.clone();
        let missing = |hint: String| CouldNotFindOut::new(format!("how to become {user}")).because(hint);
        let find_one = |name: &str| {
            find(name).ok_or_else(|| {
                missing(format!("there is no program `{name}`; install it, or choose another method"))
            })
        };
        let name = account.user.clone();
        match method {
            Some(BecomeMethod::Sudo) => Ok(Way::Sudo(find_one("sudo")?, name)),
            Some(BecomeMethod::Doas) => Ok(Way::Doas(find_one("doas")?, name)),
            Some(BecomeMethod::Run0) => Ok(Way::Run0(find_one("run0")?, name)),
            Some(BecomeMethod::Su) if root => Ok(Way::Su(find_one("su")?, account)),
            Some(BecomeMethod::Su) => {
                let hint = "`su` asks for a password unless it is root that calls it; choose `sudo`, `doas` or `run0`";
                Err(missing(hint.to_owned()).into())
            }
            None if root => {
                // BusyBox has a `setpriv` that cannot change users.
                let setpriv = find("setpriv").filter(|program| !is_busybox(program));
                setpriv
                    .map(|program| Way::Setpriv(program, account.clone()))
                    .or_else(|| find("runuser").map(|program| Way::Runuser(program, account.clone())))
                    .or_else(|| find("su").map(|program| Way::Su(program, account.clone())))
                    .ok_or_else(|| {
                        missing("there is none of `setpriv`, `runuser` and `su`; install one".into()).into()
                    })
            }
            None => find("sudo")
                .map(|program| Way::Sudo(program, name.clone()))
                .or_else(|| find("doas").map(|program| Way::Doas(program, name.clone())))
                .or_else(|| find("run0").map(|program| Way::Run0(program, name.clone())))
                .ok_or_else(|| {
                    let hint =
                        "there is none of `sudo`, `doas` and `run0`; install one, or start this as root";
                    missing(hint.to_owned()).into()
                }),
        }
    }

    /// A command for `argv` with these variables.
    fn command<'cx, A: AsRef<OsStr>>(
        &self,
        cx: &'cx Context,
        argv: &[A],
        variables: Variables<'_>,
    ) -> Result<Command<'cx>> {
        let by_env = matches!(self, Way::Sudo(..) | Way::Doas(..) | Way::Run0(..));
        if let Some(program) =
            argv.first().filter(|word| by_env && word.as_ref().as_encoded_bytes().contains(&b'='))
        {
            anyhow::bail!("the program `{}` must not have a `=` in its name", program.as_ref().display());
        }
        let words = self.call(argv, variables)?;
        let (program, args) = words.split_first().ok_or_else(|| anyhow!("there is no program to run"))?;
        let mut command = cx.command(program).args(args);
        // The user's own come first: what a job says of HOME counts more.
        for (name, value) in self.account().into_iter().flat_map(Account::variables) {
            command = command.env(name, value);
        }
        Ok(variables.add_to(cx, command))
    }

    /// Whose variables have to be set, since the tool hands on the environment as it is.
    fn account(&self) -> Option<&Account> {
        match self {
            Way::Setpriv(_, account) | Way::Runuser(_, account) | Way::Su(_, account) => Some(account),
            Way::Directly | Way::Sudo(..) | Way::Doas(..) | Way::Run0(..) => None,
        }
    }

    /// The words of the whole call of `argv`. Tools whose exit code for a missing program could be the program's own call
    /// it by `env`, which says 127.
    fn call<A: AsRef<OsStr>>(&self, argv: &[A], variables: Variables<'_>) -> Result<Vec<OsString>> {
        let mut words: Vec<OsString> = Vec::new();
        let mut say = |word: &dyn AsRef<OsStr>| words.push(word.as_ref().to_owned());
        match self {
            Way::Directly => {}
            Way::Setpriv(program, account) => {
                say(program);
                say(&format!("--reuid={}", account.uid));
                say(&format!("--regid={}", account.gid));
                say(&"--init-groups");
                say(&"--");
            }
            Way::Runuser(program, account) => {
                say(program);
                say(&"-u");
                say(&account.user);
                say(&"--");
            }
            Way::Su(program, account) => {
                say(program);
                for word in ["-s", "/bin/sh", "-c", "exec \"$@\"", "--", &account.user, "sh"] {
                    say(&word);
                }
            }
            Way::Sudo(program, user) => {
                say(program);
                for word in ["-n", "-H", "-u", user] {
                    say(&word);
                }
                let names: Vec<&str> = variables.names().collect();
                if !names.is_empty() {
                    say(&format!("--preserve-env={}", names.join(",")));
                }
                say(&"--");
                say(&"env");
            }
            Way::Doas(program, user) => {
                if let Some((name, _)) = variables.secret().next() {
                    anyhow::bail!(
                        "`doas` cannot hand on the secret variable {name} without showing it; choose `sudo` or `run0`"
                    );
                }
                say(program);
                for word in ["-n", "-u", user, "--", "env"] {
                    say(&word);
                }
                for (name, value) in variables.plain() {
                    say(&format!("{name}={value}"));
                }
            }
            Way::Run0(program, user) => {
                say(program);
                say(&"--no-ask-password");
                say(&"--background=");
                say(&format!("--user={user}"));
                for name in variables.names() {
                    say(&format!("--setenv={name}"));
                }
                say(&"--");
                say(&"env");
            }
        }
        argv.iter().for_each(|word| say(word));
        Ok(words)
    }

    /// What to do about a tool that does not do it.
    fn hint(&self) -> &'static str {
        match self {
            Way::Sudo(..) => "let `sudo` run any command as that user without a password (NOPASSWD)",
            Way::Doas(..) => "let `doas` run any command as that user without a password (nopass)",
            Way::Run0(..) => "let polkit allow `run0` without a password",
            Way::Directly | Way::Setpriv(..) | Way::Runuser(..) | Way::Su(..) => {
                "this process may not change users, although it is root: is it in a container without that right?"
            }
        }
    }
}

impl Account {
    /// What a tool that hands on the environment as it is leaves to its caller.
    fn variables(&self) -> [(&'static str, &OsStr); 3] {
        let user = OsStr::new(&self.user);
        [("HOME", &self.home), ("USER", user), ("LOGNAME", user)]
    }
}

fn is_busybox(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    let file = name.and_then(programs::locate).and_then(|file| file.canonicalize().ok());
    file.as_deref()
        .and_then(Path::file_name)
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"busybox"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rosa() -> Account {
        Account { user: "rosa".into(), uid: 1000, gid: 100, home: "/home/rosa".into() }
    }

    fn called(way: &Way, variables: Variables<'_>) -> String {
        let words = way.call(&["id", "-u"], variables).unwrap();
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_name_or_a_name_and_a_method_is_read_and_written() {
        let read = |value| serde_json::from_value::<Become>(value);
        assert_eq!(read(json!("rosa")).unwrap(), Become::new("rosa"));
        let sudo = Become::new("rosa").method(BecomeMethod::Sudo);
        assert_eq!(read(json!({"user": "rosa", "method": "sudo"})).unwrap(), sudo);
        assert_eq!(read(serde_json::to_value(&sudo).unwrap()).unwrap(), sudo);
        assert_eq!(read(json!({"user": "rosa"})).unwrap(), Become::new("rosa"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let error = |value| serde_json::from_value::<Become>(value).unwrap_err().to_string();
        for name in ["", "-u", "a b", "a\0", "a:b", "../x", "a\n"] {
            let said = error(json!(name));
            assert!(
                said.ends_with("is no name of a user to become: a name such as `postgres` is wanted"),
                "{said}"
            );
            assert_eq!(error(json!({"user": name})), said);
        }
        assert!(error(json!(7)).contains("the name of a user, or an object with `user` and `method`"));
        assert!(
            error(json!({"user": "a", "method": "magic"}))
                .contains("unknown variant `magic`, expected one of `sudo`")
        );
        assert!(error(json!({"user": "a", "how": "sudo"})).contains("unknown field `how`"));
        assert!(error(json!({"method": "sudo"})).contains("missing field `user`"));
    }

    #[test]
    fn root_takes_what_needs_no_password() {
        let choose = |there: &[&str]| {
            Way::choose(None, true, rosa(), |name| there.contains(&name).then(|| name.into()))
        };
        assert_eq!(choose(&["su", "sudo", "runuser"]).unwrap(), Way::Runuser("runuser".into(), rosa()));
        assert_eq!(choose(&["su", "sudo"]).unwrap(), Way::Su("su".into(), rosa()));
        let error = format!("{:#}", choose(&["sudo"]).unwrap_err());
        assert_eq!(
            error,
            "could not find out how to become rosa: there is none of `setpriv`, `runuser` and `su`; install one"
        );
    }

    #[test]
    fn others_take_the_first_that_is_there_or_the_one_that_was_asked_for() {
        let choose = |method, there: &[&str]| {
            Way::choose(method, false, rosa(), |name| there.contains(&name).then(|| name.into()))
        };
        assert_eq!(
            choose(None, &["run0", "doas", "setpriv"]).unwrap(),
            Way::Doas("doas".into(), "rosa".into())
        );
        assert_eq!(choose(None, &["run0"]).unwrap(), Way::Run0("run0".into(), "rosa".into()));
        let error = format!("{:#}", choose(Some(BecomeMethod::Sudo), &["doas"]).unwrap_err());
        assert!(
            error.ends_with("there is no program `sudo`; install it, or choose another method"),
            "{error}"
        );
        let error = format!("{:#}", choose(Some(BecomeMethod::Su), &["su"]).unwrap_err());
        assert!(error.contains("`su` asks for a password"), "{error}");
        let error = format!("{:#}", choose(None, &["su"]).unwrap_err());
        assert!(
            error.ends_with("there is none of `sudo`, `doas` and `run0`; install one, or start this as root")
        );
    }

    #[test]
    fn no_call_asks_for_a_password_or_shows_a_secret() {
        let plain = BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]);
        let secret = BTreeMap::from([("TOKEN".to_owned(), Secret::new("hunter2".to_owned()))]);
        let (none, all) = (Variables::default(), Variables::new(&plain, &secret));
        let calls = [
            (
                Way::Setpriv("setpriv".into(), rosa()),
                "setpriv --reuid=1000 --regid=100 --init-groups -- id -u",
            ),
            (Way::Runuser("runuser".into(), rosa()), "runuser -u rosa -- id -u"),
            (Way::Su("su".into(), rosa()), "su -s /bin/sh -c exec \"$@\" -- rosa sh id -u"),
            (
                Way::Sudo("sudo".into(), "rosa".into()),
                "sudo -n -H -u rosa --preserve-env=LC_ALL,TOKEN -- env id -u",
            ),
            (
                Way::Run0("run0".into(), "rosa".into()),
                "run0 --no-ask-password --background= --user=rosa --setenv=LC_ALL --setenv=TOKEN -- env id -u",
            ),
        ];
        for (way, call) in calls {
            assert_eq!(called(&way, all), call);
        }
        assert_eq!(called(&Way::Sudo("sudo".into(), "rosa".into()), none), "sudo -n -H -u rosa -- env id -u");
        let doas = Way::Doas("doas".into(), "rosa".into());
        assert_eq!(called(&doas, Variables { secret: None, ..all }), "doas -n -u rosa -- env LC_ALL=C id -u");
        let error = doas.call(&["id"], all).unwrap_err().to_string();
        assert!(error.starts_with("`doas` cannot hand on the secret variable TOKEN"), "{error}");
    }

    #[test]
    fn an_entry_of_passwd_is_read() {
        assert_eq!(Account::from_line("rosa", "rosa:x:1000:100:Rosa,,:/home/rosa:/bin/sh"), Some(rosa()));
        assert_eq!(Account::from_line("rosa", "rosalind:x:1000:100::/:/bin/sh"), None);
        assert_eq!(Account::from_line("rosa", "rosa:x:many"), None);
    }
}
