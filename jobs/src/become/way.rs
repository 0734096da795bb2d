//! The ways from one user to another: which tool, and the words of its call.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use dojob::{Command, Context, CouldNotFindOut, Result};

use super::method::BecomeMethod;
use super::variables::Variables;
use crate::programs;

/// What has to be known of a user to become it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: OsString,
}

impl Account {
    /// From a line of `passwd`.
    pub(super) fn from_line(user: &str, line: &str) -> Option<Self> {
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
pub(super) enum Way {
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
    pub(super) fn choose(
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
    pub(super) fn command<'cx, A: AsRef<OsStr>>(
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
    pub(super) fn call<A: AsRef<OsStr>>(
        &self,
        argv: &[A],
        variables: Variables<'_>,
    ) -> Result<Vec<OsString>> {
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
    pub(super) fn hint(&self) -> &'static str {
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
    use std::collections::BTreeMap;

    use dojob::Secret;

    use super::*;

    fn rosa() -> Account {
        Account { user: "rosa".into(), uid: 1000, gid: 100, home: "/home/rosa".into() }
    }

    fn called(way: &Way, variables: Variables<'_>) -> String {
        let words = way.call(&["id", "-u"], variables).unwrap();
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
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
