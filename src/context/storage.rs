//! Where jobs keep values: [`Local`] for one try, [`Global`] for a run, [`Handles`] for what cannot be written down.
//!
//! Values are JSON values, so that they can be shown and stored; this room does not know by whom.

use std::any::{Any, TypeId, type_name};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::context::mismatch::mismatch;
use crate::context::recorder::RunRecord;
use crate::secret::{Redactor, reveal};

/// A value could not be put into a storage, or not be taken out as what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Nothing is stored under the key.
    #[error("nothing is stored under `{key}`")]
    Missing {
        /// The key asked for.
        key: String,
    },
    /// The stored value is not of the type asked for.
    #[error("what is stored under `{key}` {}", mismatch(.expected, .source))]
    WrongType {
        /// The key asked for.
        key: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The value could not be written down, so that a crash could lose it; it was not stored.
    #[error("failed to write down the value for `{key}`")]
    NotWritten {
        /// The key it was meant for.
        key: String,
        /// Why.
        source: std::io::Error,
    },
    /// The value has no JSON form (a map whose keys are no strings, say).
    #[error("a value for `{key}` cannot be written as JSON")]
    NotSerializable {
        /// The key it was meant for.
        key: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// The value as JSON, its secrets as they are, but masked from now on in all that is shown.
pub(crate) fn encode(redactor: &Redactor, value: &impl Serialize) -> Result<Value, serde_json::Error> {
    let (value, secrets) = reveal(value)?;
    secrets.iter().for_each(|secret| redactor.add(secret));
    Ok(value)
}

fn encode_for(key: &str, redactor: &Redactor, value: &impl Serialize) -> Result<Value, StorageError> {
    encode(redactor, value).map_err(|source| StorageError::NotSerializable { key: key.to_owned(), source })
}

fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, StorageError> {
    T::deserialize(value).map_err(|source| StorageError::WrongType {
        key: key.to_owned(),
        expected: type_name::<T>(),
        source,
    })
}

fn missing(key: &str) -> StorageError {
    StorageError::Missing { key: key.to_owned() }
}

/// Values by name that live for one try of one job, and on to that try's cleanup and revert; also when these are called by
/// the next start, after a crash, where the engine has a [`Journal`](crate::Journal). (Secrets, and what has
/// one in it, are never written down, so they are not there then.)
#[derive(Debug)]
pub struct Local {
    values: RefCell<BTreeMap<String, Value>>,
    redactor: Arc<Redactor>,
    /// The keys under which there are secrets.
    secret: RefCell<BTreeSet<String>>,
    /// Once a run has begun: where it is written down.
    page: Option<RunRecord>,
}

impl Local {
    pub(crate) fn new(redactor: &Arc<Redactor>) -> Self {
        Local {
            values: RefCell::default(),
            redactor: redactor.clone(),
            secret: RefCell::default(),
            page: None,
        }
    }

    /// What an earlier run has left, after a crash.
    pub(crate) fn restored(
        redactor: &Arc<Redactor>,
        values: impl IntoIterator<Item = (String, Value)>,
        page: RunRecord,
    ) -> Self {
        let values = RefCell::new(values.into_iter().collect());
        Local { values, redactor: redactor.clone(), secret: RefCell::default(), page: Some(page) }
    }

    pub(crate) fn open(&mut self, page: RunRecord) {
        self.page = Some(page);
    }

    pub(crate) fn page(&self) -> Option<&RunRecord> {
        self.page.as_ref()
    }

    /// What may be written down of it. What was no secret yet when it was stored may have become one.
    pub(crate) fn without_secrets(&self) -> Map<String, Value> {
        let (values, secret) = (self.values.borrow(), self.secret.borrow());
        let is_open =
            |key: &str, value: &Value| !secret.contains(key) && !self.redactor.finds_in_value(value);
        let open = values.iter().filter(|(key, value)| is_open(key, value));
        open.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The value under `key`, if there is one.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StorageError> {
        self.values.borrow().get(key).map(|value| decode(key, value)).transpose()
    }

    /// The value under `key`, which has to be there.
    ///
    /// # Errors
    /// When there is none, or it is not a `T`.
    pub fn require<T: DeserializeOwned>(&self, key: &str) -> Result<T, StorageError> {
        self.get(key)?.ok_or_else(|| missing(key))
    }

    /// Stores `value` under `key`, in place of what was there. In a run it is written down when this returns: choose the
    /// name of what you are going to make, set it, then make it, and a cleanup finds it whatever happens.
    ///
    /// # Errors
    /// When the value has no JSON form, or cannot be written down.
    pub fn set(&self, key: &str, value: impl Serialize) -> Result<(), StorageError> {
        let hidden = serde_json::to_value(&value);
        let value = encode_for(key, &self.redactor, &value)?;
        // A secret hides itself when nobody reveals it.
        let has_secret = hidden.is_ok_and(|hidden| hidden != value);
        let is_secret = has_secret || self.redactor.forbids(key) || self.redactor.finds_in_value(&value);
        if let Some(page) = self.page.as_ref().filter(|_| !self.redactor.forbids(key)) {
            page.set(key, Some(&value).filter(|_| !is_secret))
                .map_err(|source| StorageError::NotWritten { key: key.to_owned(), source })?;
        }
        if is_secret {
            self.secret.borrow_mut().insert(key.to_owned());
        } else {
            self.secret.borrow_mut().remove(key);
        }
        self.values.borrow_mut().insert(key.to_owned(), value);
        Ok(())
    }

    /// Forgets what is under `key`, and says whether there was something.
    pub fn remove(&self, key: &str) -> bool {
        let removed = self.values.borrow_mut().remove(key).is_some();
        if let Some(page) = self.page.as_ref().filter(|_| removed)
            && let Err(error) = page.set(key, None)
        {
            // After a crash a cleanup finds what is not there any more, which it has to bear anyway.
            tracing::warn!("failed to write down that `{key}` was removed: {error}");
        }
        removed
    }
}

/// Values by name that live for the run and are seen by all of its jobs.
#[derive(Debug)]
pub struct Global {
    values: Mutex<BTreeMap<String, Value>>,
    redactor: Arc<Redactor>,
}

thread_local! {
    /// Whether this thread is inside of [`Global::update`], and would wait for itself.
    static UPDATING: Cell<bool> = const { Cell::new(false) };
}

impl Global {
    pub(crate) fn new(redactor: &Arc<Redactor>) -> Self {
        Global { values: Mutex::default(), redactor: redactor.clone() }
    }

    /// The value under `key`, if there is one.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StorageError> {
        self.lock().get(key).map(|value| decode(key, value)).transpose()
    }

    /// The value under `key`, which has to be there.
    ///
    /// # Errors
    /// When there is none, or it is not a `T`.
    pub fn require<T: DeserializeOwned>(&self, key: &str) -> Result<T, StorageError> {
        self.get(key)?.ok_or_else(|| missing(key))
    }

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn set(&self, key: &str, value: impl Serialize) -> Result<(), StorageError> {
        let value = encode_for(key, &self.redactor, &value)?;
        self.lock().insert(key.to_owned(), value);
        Ok(())
    }

    /// Replaces the value under `key` by what `change` makes of it, in one step for all who share the storage, and
    /// returns the new one.
    ///
    /// # Errors
    /// When the value there is not a `T`, or the new one has no JSON form; the old one stays.
    ///
    /// # Panics
    /// When `change` uses this storage itself, which it would wait for for ever.
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        change: impl FnOnce(Option<T>) -> T,
    ) -> Result<T, StorageError> {
        /// Also when `change` panics.
        struct Done;
        impl Drop for Done {
            fn drop(&mut self) {
                UPDATING.set(false);
            }
        }
        let mut values = self.lock();
        UPDATING.set(true);
        let done = Done;
        let old = values.get(key).map(|value| decode(key, value)).transpose()?;
        let new = change(old);
        drop(done);
        values.insert(key.to_owned(), encode_for(key, &self.redactor, &new)?);
        Ok(new)
    }

    /// Forgets what is under `key`, and says whether there was something.
    pub fn remove(&self, key: &str) -> bool {
        self.lock().remove(key).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        assert!(!UPDATING.get(), "the global storage is used inside of its own update");
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Handle = Arc<dyn Any + Send + Sync>;

/// Things by type that live in this process and cannot be written down: connections, caches, clients.
#[derive(Clone, Default)]
pub struct Handles {
    handles: Arc<Mutex<HashMap<TypeId, Handle>>>,
}

impl Handles {
    /// The handle of type `T`, if somebody put one there.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let handle = self.lock().get(&TypeId::of::<T>())?.clone();
        handle.downcast().ok()
    }

    /// Shares `handle` with all jobs, in place of another of the same type.
    pub fn put<T: Send + Sync + 'static>(&self, handle: T) -> Arc<T> {
        let handle = Arc::new(handle);
        self.lock().insert(TypeId::of::<T>(), handle.clone());
        handle
    }

    /// The handle of type `T`, made by `make` where there is none. When several workers make one at once the first to
    /// finish is kept, and all get that.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_try_put<T: Send + Sync + 'static, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(handle) = self.get() {
            return Ok(handle);
        }
        // Made without the lock: connecting may take long, and may use other handles.
        let made: Handle = Arc::new(make()?);
        let kept = self.lock().entry(TypeId::of::<T>()).or_insert(made).clone();
        match kept.downcast() {
            Ok(handle) => Ok(handle),
            Err(_) => unreachable!("handles are filed under their own type"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TypeId, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").field("count", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn global_values_are_typed_and_updated_in_one_step() {
        let global = Global::new(&Arc::default());
        assert_eq!(global.get::<u32>("n").unwrap(), None);
        assert_eq!(global.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).unwrap(), 1);
        assert_eq!(global.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).unwrap(), 2);
        let error = global.get::<String>("n").unwrap_err();
        assert_eq!(error.to_string(), "what is stored under `n` is a number, expected a string");
        assert_eq!(global.require::<u32>("m").unwrap_err().to_string(), "nothing is stored under `m`");
        assert!(global.remove("n") && !global.remove("n"));
    }

    #[test]
    fn an_update_that_would_wait_for_itself_panics_and_harms_nobody() {
        let global = Global::new(&Arc::default());
        let update = || global.update("n", |_: Option<u32>| global.require("m").unwrap_or(1));
        assert!(crate::panics::catch(update).unwrap_err().message.contains("inside of its own update"));
        assert_eq!(global.get::<u32>("n").unwrap(), None);
    }

    #[test]
    fn a_secret_is_stored_as_it_is_and_masked_from_then_on() {
        let redactor = Arc::default();
        let (global, local) = (Global::new(&redactor), Local::new(&redactor));
        global.set("a", Secret::new("hunter2".to_owned())).unwrap();
        local.set("b", Secret::new("swordfish".to_owned())).unwrap();
        assert_eq!(global.require::<Secret>("a").unwrap().expose(), "hunter2");
        assert_eq!(local.require::<String>("b").unwrap(), "swordfish");
        assert_eq!(redactor.mask("hunter2 swordfish"), "*** ***");
    }

    #[test]
    fn a_handle_is_made_once() {
        let handles = Handles::default();
        let made = handles.get_or_try_put(|| Ok::<_, ()>(7_u8)).unwrap();
        let again = handles.get_or_try_put(|| Err::<u8, _>("not asked")).unwrap();
        assert!(Arc::ptr_eq(&made, &again));
        assert!(handles.get::<u16>().is_none());
    }
}
