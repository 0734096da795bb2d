//! Mode, owner and group of something on disk: as they are written down, compared and set.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use dojob::Context;
use rustix::fs::{Gid, OFlags, Uid};
use rustix::io::Errno;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::access_list;
use super::at::{self, is_trusted, is_trusted_group};
use super::differ::Differences;
use super::inspect::{Links, Meta, meta, refused};
pub use super::mode::{Mode, ModeError};

/// Makes the type of a user or a group, which differ in little but their words.
macro_rules! account {
    ($Name:ident, $kind:literal, $example:literal, $doc:literal, $file:literal, $find:path, $id_of:ident, $by_id:path) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $Name {
            /// By its number, which need not have a name.
            Id(u32),
            /// By its name, which this machine has to know when it is needed.
            Name(String),
        }

        impl $Name {
            /// # Errors
            /// When the machine knows no such name, or it cannot be one.
            pub(crate) fn id(&self) -> Result<u32> {
                match self {
                    $Name::Id(id) => {
                        // To chown(2) it means "leave it as it is".
                        anyhow::ensure!(*id != u32::MAX, concat!("{} is the number of no ", $kind), id);
                        Ok(*id)
                    }
                    $Name::Name(name) => {
                        validate_name(name).with_context(|| format!(concat!("`{}` is no name of a ", $kind), name))?;
                        let found = $find(name).with_context(|| format!(concat!("there is no ", $kind, " `{}`"), name))?;
                        Ok(found.$id_of())
                    }
                }
            }

            /// As [`id`](Self::id), which reads the whole list of names each time: with this, thousands of jobs read
            /// it once.
            fn id_for(&self, cx: &Context) -> Result<u32> {
                let $Name::Name(name) = self else { return self.id() };
                let known = cx.handles().get_or_try_put(|| Ok::<_, anyhow::Error>(Known::<$Name>::new($file)))?;
                known.id(name, || self.id())
            }

            /// For messages: the name of a number, where it has one.
            pub(crate) fn name_of(id: u32) -> String {
                match $by_id(id) {
                    Some(found) => found.name().to_string_lossy().into_owned(),
                    None => id.to_string(),
                }
            }
        }

        impl From<u32> for $Name {
            fn from(id: u32) -> Self {
                $Name::Id(id)
            }
        }

        impl From<&str> for $Name {
            fn from(name: &str) -> Self {
                $Name::from(name.to_owned())
            }
        }

        /// Digits alone are a number: no system has such a name.
        impl From<String> for $Name {
            fn from(name: String) -> Self {
                name.parse().map_or($Name::Name(name), $Name::Id)
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $Name::Id(id) => write!(f, "{id}"),
                    $Name::Name(name) => f.write_str(name),
                }
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $Name::Id(id) => serializer.serialize_u32(*id),
                    $Name::Name(name) => serializer.serialize_str(name),
                }
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $Name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("the name or number of a ", $kind))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$Name, E> {
                        validate_name(text).map_err(E::custom)?;
                        Ok($Name::from(text))
                    }
                    fn visit_u64<E: de::Error>(self, id: u64) -> Result<$Name, E> {
                        let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
                        id.map($Name::Id).ok_or_else(|| E::custom(concat!("this is the number of no ", $kind)))
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl JsonSchema for $Name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "integer"],
                    "minLength": 1,
                    "minimum": 0,
                    "description": concat!("A ", $kind, " by name or number, such as ", $example, "."),
                })
            }
        }
    };
}

account!(
    Owner,
    "user",
    "`www-data` or `33`",
    "The user that something belongs to, by name or number.",
    "/etc/passwd",
    uzers::get_user_by_name,
    uid,
    uzers::get_user_by_uid
);
account!(
    Group,
    "group",
    "`adm` or `4`",
    "The group that something belongs to, by name or number.",
    "/etc/group",
    uzers::get_group_by_name,
    gid,
    uzers::get_group_by_gid
);

/// The numbers of the names of users or groups that were asked for, as long as the list of them stays the same.
struct Known<T> {
    /// Where the system keeps the list.
    file: &'static Path,
    of: PhantomData<T>,
    ids: Mutex<Ids>,
}

#[derive(Default)]
struct Ids {
    /// What the list was when they were looked up.
    stamp: Option<Stamp>,
    ids: HashMap<String, u32>,
}

/// Which file a list is in, how long it is, and when it was changed.
type Stamp = ((u64, u64), u64, (i64, u32));

impl<T> Known<T> {
    fn new(file: &'static str) -> Self {
        Known { file: Path::new(file), of: PhantomData, ids: Mutex::default() }
    }

    fn id(&self, name: &str, look_up: impl FnOnce() -> Result<u32>) -> Result<u32> {
        let list = meta(self.file, Links::Follow).ok().flatten();
        // Taken before the name is looked up: what is added meanwhile makes it another one.
        let stamp = list.map(|meta| (meta.id, meta.size, meta.modified));
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.stamp != stamp {
            *ids = Ids { stamp, ids: HashMap::new() };
        }
        if let Some(id) = ids.ids.get(name) {
            return Ok(*id);
        }
        // A name that is not there is not remembered: it may come from elsewhere than the list.
        let id = look_up()?;
        ids.ids.insert(name.to_owned(), id);
        Ok(id)
    }
}

fn validate_name(name: &str) -> Result<()> {
    if name.is_empty() {
        bail!("it must not be empty");
    }
    if name.contains(['\0', ':', '\n']) {
        bail!("it must not contain `:`, a line's end or a NUL byte");
    }
    Ok(())
}

/// What a job asks for; what it does not ask for is left as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) mode: Option<Mode>,
    pub(crate) owner: Option<&'a Owner>,
    pub(crate) group: Option<&'a Group>,
}

impl Attributes<'_> {
    /// With names turned into numbers, which are remembered for other jobs.
    ///
    /// # Errors
    /// When there is no such user, group or mode.
    pub(crate) fn resolve(self, cx: &Context) -> Result<Resolved> {
        self.mode.map_or(Ok(()), Mode::validate)?;
        Ok(Resolved {
            mode: self.mode,
            uid: self.owner.map(|owner| owner.id_for(cx)).transpose()?,
            gid: self.group.map(|group| group.id_for(cx)).transpose()?,
            confidential: false,
            keeps_list: false,
        })
    }
}

/// [`Attributes`] in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) mode: Option<Mode>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// A new file is for its owner alone unless a mode is asked for.
    pub(crate) confidential: bool,
    /// Whether the access control list that is there stays, although a mode is set: where that is no more than what is there.
    pub(crate) keeps_list: bool,
}

impl Resolved {
    /// Adds a reason for each that is not as wanted: "mode is 0600, not 0644".
    pub(crate) fn compare(&self, found: &Meta, differences: &mut Differences) {
        if let Some(mode) = self.mode.filter(|mode| *mode != found.mode) {
            differences.add(format!("mode is {}, not {mode}", found.mode));
        }
        if let Some(uid) = self.uid.filter(|uid| *uid != found.uid) {
            differences.add(format!("owner is {}, not {}", Owner::name_of(found.uid), Owner::name_of(uid)));
        }
        if let Some(gid) = self.gid.filter(|gid| *gid != found.gid) {
            differences.add(format!("group is {}, not {}", Group::name_of(found.gid), Group::name_of(gid)));
        }
    }

    /// As [`compare`](Self::compare), of something that is open: also whether an access control list grants more than the mode
    /// that is asked for.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub(crate) fn compare_open(
        &self,
        opened: impl AsFd,
        found: &Meta,
        differences: &mut Differences,
    ) -> Result<()> {
        self.compare(found, differences);
        if let (Some(mode), true) = (self.mode, self.is_list_granting_more(opened, found)?) {
            differences.add(format!("an access control list grants more than the mode {mode}"));
        }
        Ok(())
    }

    /// The same of what is at a path.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn compare_at(
        &self,
        path: &Path,
        links: Links,
        found: &Meta,
        differences: &mut Differences,
    ) -> Result<()> {
        if !self.may_have_list(found) {
            self.compare(found, differences);
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match at::open(path, links, flags) {
            Ok(opened) => self.compare_open(opened, found, differences),
            // Whoever may not look at it may not change it either.
            Err(at::Fault::System(Errno::ACCESS | Errno::NOENT)) => {
                self.compare(found, differences);
                Ok(())
            }
            Err(fault) => Err(refused(path, fault)),
        }
    }

    /// Whether a list grants more than the mode that is asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn is_list_granting_more(&self, opened: impl AsFd, found: &Meta) -> Result<bool> {
        match self.mode.filter(|_| self.may_have_list(found)) {
            Some(mode) => access_list::grants_more(opened, found.is_dir(), mode),
            None => Ok(false),
        }
    }

    /// Whether there may be a list that grants more than the mode asked for. With one, the group's bits bound all that it
    /// grants, so that most modes need no look.
    pub(crate) fn may_have_list(&self, found: &Meta) -> bool {
        let may_grant = |mode: Mode| found.mode.bits() >> 3 & 7 & !mode.bits() != 0;
        self.mode.is_some_and(|mode| found.is_dir() || found.is_file() && may_grant(mode))
    }

    /// Whether nothing of it differs.
    pub(crate) fn fits(&self, found: &Meta) -> bool {
        self.mode.is_none_or(|mode| mode == found.mode)
            && self.uid.is_none_or(|uid| uid == found.uid)
            && self.gid.is_none_or(|gid| gid == found.gid)
    }

    /// These, and of what they leave open what is found there.
    pub(crate) fn or_as(&self, found: &Meta) -> Self {
        Resolved {
            mode: self.mode.or_else(|| Some(self.kept_mode(found))),
            uid: self.uid.or(Some(found.uid)),
            gid: self.gid.or(Some(found.gid)),
            confidential: self.confidential,
            keeps_list: self.mode.is_none() && !self.is_taken(found),
        }
    }

    /// Whether it is taken from a user who could have prepared it for this.
    pub(crate) fn is_taken(&self, found: &Meta) -> bool {
        self.uid.is_some_and(|uid| uid != found.uid) && !is_trusted(found.uid)
    }

    /// Whether another user who may write to the file so far shall not do so any longer. They can have it open for writing, and
    /// neither another owner nor another mode takes that away: only a new file is out of their reach.
    pub(crate) fn needs_new_file(&self, found: &Meta) -> bool {
        let writes = |bits: u32| found.mode.bits() & bits != 0;
        let forbids = |bits: u32| self.mode.is_some_and(|mode| mode.bits() & bits == 0);
        let changes_group = self.gid.is_some_and(|gid| gid != found.gid);
        let shuts_out_group =
            writes(0o020) && !is_trusted_group(found.gid) && (forbids(0o020) || changes_group);
        found.is_file() && (self.is_taken(found) || shuts_out_group || writes(0o002) && forbids(0o002))
    }

    /// The mode that is left where none is asked for. A program that runs with the rights of a user, who may have made it so
    /// for this, does not get those of another one along the way.
    fn kept_mode(&self, found: &Meta) -> Mode {
        let changes_group = self.gid.is_some_and(|gid| gid != found.gid) && !is_trusted(found.uid);
        let lost = match found.is_file() {
            // Nor may those write to it who were let by that user.
            true if self.is_taken(found) => 0o6022,
            true if changes_group => 0o6000,
            _ => 0,
        };
        Mode::new(found.mode.bits() & !lost)
    }

    /// Whether the access control list is taken away: it would grant what is not asked for, or what a user has prepared.
    fn removes_list(&self, found: &Meta) -> bool {
        let is_asked_for = self.mode.is_some() || self.is_taken(found);
        !self.keeps_list && is_asked_for && (found.is_file() || found.is_dir())
    }

    /// Sets what differs on something that is open, found as `found`.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn set(&self, fd: impl AsFd, found: &Meta) -> Result<()> {
        let uid = self.uid.filter(|uid| *uid != found.uid);
        let gid = self.gid.filter(|gid| *gid != found.gid);
        if uid.is_some() || gid.is_some() {
            rustix::fs::fchown(&fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).with_context(|| {
                let [uid, gid] = [uid.unwrap_or(found.uid), gid.unwrap_or(found.gid)];
                format!("failed to give it to {}:{}", Owner::name_of(uid), Group::name_of(gid))
            })?;
        }
        let mut mode = self.mode.unwrap_or_else(|| self.kept_mode(found));
        if self.removes_list(found) {
            // Without a list the bits of the group are the group's, and no bound of what is granted.
            if let Some(group) = self.mode.map_or_else(|| access_list::group_bits(&fd), |_| Ok(None))? {
                mode = Mode::new(mode.bits() & !(0o070 & !(group << 3)));
            }
            // Behind chown: the owner so far could bring it back.
            access_list::remove(&fd, found.is_dir())?;
        }
        // Behind chown, which takes away the bits of setuid and setgid; so also where the mode seems right.
        if mode != found.mode || uid.is_some() || gid.is_some() {
            rustix::fs::fchmod(&fd, mode.raw()).with_context(|| format!("failed to set the mode {mode}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(json: &str) -> Result<Mode, String> {
        serde_json::from_str(json).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn modes_are_octal_texts() {
        assert_eq!(mode("\"0644\""), Ok(Mode::new(0o644)));
        assert_eq!(mode("\"644\""), Ok(Mode::new(0o644)));
        assert_eq!(mode("\"0o4755\""), Ok(Mode::new(0o4755)));
        assert_eq!(serde_json::to_string(&Mode::new(0o44)).unwrap(), "\"0044\"");
        for text in ["", "6", "64", "0688", "u=rw", "-644", "17777", "100644", " 644", "0o"] {
            let error = text.parse::<Mode>().unwrap_err().to_string();
            let wanted =
                format!("`{text}` is no mode: write three or four octal digits, such as `0644` or `0755`");
            assert_eq!(error, wanted);
        }
    }

    #[test]
    fn a_number_is_no_mode() {
        let error = mode("644").unwrap_err();
        assert!(
            error.starts_with("the mode 644 may be octal or not: write it in quotes, such as \"0644\""),
            "{error}"
        );
        assert!(mode("true").unwrap_err().contains("expected a mode as a text of octal digits"));
        assert_eq!(Mode::new(644).validate(), Ok(())); // 01204: nobody can tell
        assert!(Mode::new(0o10000).validate().is_err());
    }

    #[test]
    fn accounts_have_names_or_numbers() {
        let read = |json: &str| serde_json::from_str::<Owner>(json).map_err(|error| error.to_string());
        assert_eq!(read("\"rosa\""), Ok(Owner::Name("rosa".into())));
        assert_eq!(read("\"1000\""), Ok(Owner::Id(1000)));
        assert_eq!(read("1000"), Ok(Owner::Id(1000)));
        assert!(read("\"\"").unwrap_err().starts_with("it must not be empty"));
        assert!(read("\"a:b\"").unwrap_err().starts_with("it must not contain `:`"));
        assert!(read("\"a\\u0000b\"").unwrap_err().starts_with("it must not contain `:`"));
        assert!(read("-1").is_err() && read("4294967295").is_err() && read("[]").is_err());
        assert!(Owner::Id(u32::MAX).id().is_err());
        assert_eq!(serde_json::to_string(&Group::from("adm")).unwrap(), "\"adm\"");
        assert_eq!(serde_json::to_string(&Group::from(4)).unwrap(), "4");
    }

    #[test]
    fn numbers_are_remembered_while_the_list_is_the_same() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("list");
        std::fs::write(&path, "one").unwrap();
        let known = Known::<Owner>::new(Box::leak(path.to_str().unwrap().to_owned().into_boxed_str()));
        assert!(known.id("rosa", || bail!("nobody")).is_err());
        assert_eq!(known.id("rosa", || Ok(1)).unwrap(), 1);
        assert_eq!(known.id("rosa", || Ok(2)).unwrap(), 1);
        std::fs::write(&path, "one two").unwrap();
        assert_eq!(known.id("rosa", || Ok(2)).unwrap(), 2);
    }

    #[test]
    fn names_are_looked_up_on_the_machine() {
        assert_eq!(Owner::from("root").id().unwrap(), 0);
        assert_eq!(Owner::name_of(0), "root");
        assert_eq!(Owner::name_of(4_000_000_001), "4000000001");
        let unknown = Owner::from("nobody-has-this-name").id().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no user `nobody-has-this-name`");
        let unknown = Group::from("nobody-has-this-name").id().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no group `nobody-has-this-name`");
        assert_eq!(Owner::Name("a\0b".into()).id().unwrap_err().to_string(), "`a\0b` is no name of a user");
    }
}
