//! What is known of a machine: its system, processors, memory, users, interfaces and tools.
//!
//! Knows where a system tells these things; not who asks. A group of facts is read when it is asked for first, and then
//! stays as it was: a job that changes what others ask for calls [`Facts::forget`].

mod hardware;
mod network;
mod os;
mod tools;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use self::hardware::Hardware;
pub use self::network::Interface;
pub use self::os::Os;
pub use self::tools::{PackageManager, ServiceManager, Tools};
pub use self::users::Account;
use crate::disk::look::{self, Found, Links};
use crate::machine::Machine;

/// What is read of a file that tells something; the largest of them are lists of users.
const LONGEST: usize = 16 * 1024 * 1024;

/// What is known of this machine, or of the one whose tree is in a directory. Nothing is read before it is asked for, and
/// nothing twice.
///
/// ```
/// # use dojob_jobs::Facts;
/// let facts = Facts::new();
/// let family: &str = &facts.os()?.family;
/// let cpus = facts.get("hardware.cpus")?;
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Facts {
    root: Option<PathBuf>,
    os: OnceLock<Os>,
    hardware: OnceLock<Hardware>,
    hostname: OnceLock<String>,
    users: OnceLock<BTreeMap<String, Account>>,
    interfaces: OnceLock<BTreeMap<String, Interface>>,
    tools: OnceLock<Tools>,
}

/// All facts, as [`Facts::to_json`] writes them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AllFacts {
    /// The operating system.
    pub os: Os,
    /// Processors and memory.
    pub hardware: Hardware,
    /// The name of the machine, as the kernel has it.
    pub hostname: String,
    /// The users of `/etc/passwd`, by name.
    pub users: BTreeMap<String, Account>,
    /// The network interfaces, by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// How software is installed and started there.
    pub tools: Tools,
}

/// There is no such fact; its message says what there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fact `{path}`; {known}")]
pub struct NoSuchFact {
    path: String,
    known: String,
}

impl NoSuchFact {
    fn new(path: &str, known: String) -> Self {
        NoSuchFact { path: path.to_owned(), known }
    }
}

impl Facts {
    /// Of this machine.
    pub fn new() -> Self {
        Facts::default()
    }

    /// Of the machine whose tree is in `root`: what files tell, and nothing that only a running system can say. Given to
    /// [`Engine::handle`](dojob::Engine::handle) it is what all jobs of a run take for their machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Facts { root: Some(root.into()).filter(|root| root != Path::new("/")), ..Facts::default() }
    }

    /// Those of a run, shared by all of its jobs.
    pub fn of(cx: &Context) -> Arc<Facts> {
        let facts = cx.handles().get_or_try_put(|| Ok::<_, std::convert::Infallible>(Facts::new()));
        facts.unwrap_or_else(|never| match never {})
    }

    /// Lets those who ask after this have everything read again.
    pub fn forget(cx: &Context) {
        let root = Facts::of(cx).root.clone();
        cx.handles().put(Facts { root, ..Facts::default() });
    }

    /// The operating system.
    ///
    /// # Errors
    /// When a file that tells it cannot be read; that holds for all facts.
    pub fn os(&self) -> Result<&Os> {
        once(&self.os, || os::read(self))
    }

    /// Processors and memory.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn hardware(&self) -> Result<&Hardware> {
        once(&self.hardware, || hardware::read(self))
    }

    /// The name of the machine, as the kernel has it.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn hostname(&self) -> Result<&str> {
        once(&self.hostname, || network::hostname(self)).map(String::as_str)
    }

    /// The users of `/etc/passwd`, by name.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn users(&self) -> Result<&BTreeMap<String, Account>> {
        once(&self.users, || users::read(self))
    }

    /// The network interfaces, by name.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn interfaces(&self) -> Result<&BTreeMap<String, Interface>> {
        once(&self.interfaces, || network::interfaces(self))
    }

    /// How software is installed and started there.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn tools(&self) -> Result<&Tools> {
        once(&self.tools, || tools::read(self))
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn all(&self) -> Result<AllFacts> {
        Ok(AllFacts {
            os: self.os()?.clone(),
            hardware: self.hardware()?.clone(),
            hostname: self.hostname()?.to_owned(),
            users: self.users()?.clone(),
            interfaces: self.interfaces()?.clone(),
            tools: self.tools()?.clone(),
        })
    }

    /// All of them as JSON, for templates.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn to_json(&self) -> Result<Value> {
        Ok(serde_json::to_value(self.all()?)?)
    }

    /// One fact by the names on the way to it, with dots between them: `os.family`, `users.rosa.home`, `hardware`. Where a
    /// name has a dot itself, with slashes: `/interfaces/eth0.7/up`. What is not known is null; no more than the group that
    /// it is in is read.
    ///
    /// # Errors
    /// [`NoSuchFact`] when there is no such fact, and as [`Facts::os`].
    pub fn get(&self, path: &str) -> Result<Value> {
        let names: Vec<&str> = match path.strip_prefix('/') {
            Some(path) => path.split('/').collect(),
            None => path.split('.').collect(),
        };
        let (group, rest) = names.split_first().map_or(("", [].as_slice()), |(group, rest)| (*group, rest));
        let mut value = self.group(group)?;
        let mut way = group.to_owned();
        for name in rest {
            value = match &mut value {
                Value::Object(fields) if fields.contains_key(*name) => {
                    fields.remove(*name).unwrap_or_default()
                }
                Value::Object(fields) => {
                    let known: Vec<&str> = fields.keys().map(String::as_str).take(10).collect();
                    return Err(
                        NoSuchFact::new(path, format!("in `{way}` there are {}", list(&known))).into()
                    );
                }
                Value::Null => return Ok(Value::Null),
                _ => return Err(NoSuchFact::new(path, format!("`{way}` has no parts")).into()),
            };
            way = format!("{way}.{name}");
        }
        Ok(value)
    }

    /// All of a group.
    ///
    /// # Errors
    /// When there is no such group, and as [`Facts::os`].
    pub(crate) fn group(&self, name: &str) -> Result<Value> {
        Ok(match name {
            "os" => serde_json::to_value(self.os()?)?,
            "hardware" => serde_json::to_value(self.hardware()?)?,
            "hostname" => serde_json::to_value(self.hostname()?)?,
            "users" => serde_json::to_value(self.users()?)?,
            "interfaces" => serde_json::to_value(self.interfaces()?)?,
            "tools" => serde_json::to_value(self.tools()?)?,
            _ => return Err(NoSuchFact::new(name, format!("there are {}", list(&GROUPS))).into()),
        })
    }

    /// Whether it is this very machine, which can be asked in other ways than by its files.
    fn is_here(&self) -> bool {
        self.root.is_none()
    }

    /// Where the file lies for us.
    fn locate(&self, inside: &str) -> Result<PathBuf> {
        Machine::new(self.root.as_ref()).locate_target(Path::new(inside))
    }

    /// What a file says, bytes that are no UTF-8 replaced; `None` where there is none.
    fn read(&self, inside: &str) -> Result<Option<String>> {
        let path = self.locate(inside)?;
        let Found::File(mut file) = look::open(&path, Links::Follow)? else { return Ok(None) };
        let what = || format!("what {} says", path.display());
        match file.read(LONGEST).or_could_not_find_out(what())? {
            Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            None => Err(CouldNotFindOut::new(what()).because("it is too large").into()),
        }
    }

    /// The one line that a file of the kernel consists of.
    fn read_line(&self, inside: &str) -> Result<Option<String>> {
        Ok(self.read(inside)?.map(|text| text.trim().to_owned()).filter(|line| !line.is_empty()))
    }

    /// Whether something is there.
    fn has(&self, inside: &str) -> Result<bool> {
        Ok(look::meta(&self.locate(inside)?, Links::Follow)?.is_some())
    }

    /// The names in a directory; none where there is no such directory.
    fn names_in(&self, inside: &str) -> Result<Vec<String>> {
        let path = self.locate(inside)?;
        let what = || format!("what is in {}", path.display());
        if !look::meta(&path, Links::Follow)?.is_some_and(|meta| meta.is_dir()) {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&path).or_could_not_find_out(what())?;
        let names = entries
            .map(|entry| Ok(entry.or_could_not_find_out(what())?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
}

/// The names of all groups.
pub(crate) const GROUPS: [&str; 6] = ["os", "hardware", "hostname", "users", "interfaces", "tools"];

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is in the cell, read where it is empty. Of two who read at once one is kept.
fn once<T>(cell: &OnceLock<T>, read: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = read()?;
    Ok(cell.get_or_init(|| value))
}
