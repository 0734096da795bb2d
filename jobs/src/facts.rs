//! What is known of a machine: its system, processors, memory, users, interfaces and tools.
//!
//! A group of facts is read when it is asked for first, and then stays as it was: a job that changes what others ask for
//! calls [`Facts::forget`].

mod hardware;
mod network;
mod os;
mod source;
mod tools;
mod users;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use dojob::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use self::hardware::Hardware;
pub use self::network::Interface;
pub use self::os::Os;
use self::source::Source;
pub use self::tools::{PackageManager, ServiceManager, Tools};
pub use self::users::Account;

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
    source: Source,
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
    /// The host name, such as `web1`.
    pub hostname: String,
    /// The users in `/etc/passwd`, by name.
    pub users: BTreeMap<String, Account>,
    /// The network interfaces, by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// How software is installed and started.
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
        Facts { source: Source::at(root.into()), ..Facts::default() }
    }

    /// Those of a run, shared by all of its jobs.
    pub fn of(cx: &Context) -> Arc<Facts> {
        let facts = cx.handles().get_or_try_put(|| Ok::<_, std::convert::Infallible>(Facts::new()));
        facts.unwrap_or_else(|never| match never {})
    }

    /// Lets those who ask after this have everything read again.
    pub fn forget(cx: &Context) {
        let source = Facts::of(cx).source.clone();
        cx.handles().put(Facts { source, ..Facts::default() });
    }

    /// The operating system.
    ///
    /// # Errors
    /// When a file that tells it cannot be read; that holds for all facts.
    pub fn os(&self) -> Result<&Os> {
        once(&self.os, || os::read(&self.source))
    }

    /// Processors and memory.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn hardware(&self) -> Result<&Hardware> {
        once(&self.hardware, || hardware::read(&self.source))
    }

    /// The name of the machine, as the kernel has it.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn hostname(&self) -> Result<&str> {
        once(&self.hostname, || network::hostname(&self.source)).map(String::as_str)
    }

    /// The users of `/etc/passwd`, by name.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn users(&self) -> Result<&BTreeMap<String, Account>> {
        once(&self.users, || users::read(&self.source))
    }

    /// The network interfaces, by name.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn interfaces(&self) -> Result<&BTreeMap<String, Interface>> {
        once(&self.interfaces, || network::interfaces(&self.source))
    }

    /// How software is installed and started there.
    ///
    /// # Errors
    /// As [`Facts::os`].
    pub fn tools(&self) -> Result<&Tools> {
        once(&self.tools, || tools::read(&self.source, &self.os()?.family))
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
