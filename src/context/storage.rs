//! Where jobs keep values: [`Local`] for one try, [`Global`] for a run, [`Handles`] for what cannot be written down.
//!
//! Values are JSON values, so that they can be shown and stored; this room does not know by whom.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
    #[error("what is stored under `{key}` is no {expected}")]
    WrongType {
        /// The key asked for.
        key: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
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

fn encode(key: &str, value: &impl Serialize) -> Result<Value, StorageError> {
    serde_json::to_value(value)
        .map_err(|source| StorageError::NotSerializable { key: key.to_owned(), source })
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

/// Values by name that live for one try of one job, and on to that try's cleanup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Local {
    values: BTreeMap<String, Value>,
}

impl Local {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StorageError> {
        self.values.get(key).map(|value| decode(key, value)).transpose()
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
    pub fn set(&mut self, key: &str, value: impl Serialize) -> Result<(), StorageError> {
        self.values.insert(key.to_owned(), encode(key, &value)?);
        Ok(())
    }

    /// Forgets what is under `key`, and says whether there was something.
    pub fn remove(&mut self, key: &str) -> bool {
        self.values.remove(key).is_some()
    }
}

/// Values by name that live for the run and are seen by all of its jobs.
#[derive(Debug, Default)]
pub struct Global {
    values: Mutex<BTreeMap<String, Value>>,
}

impl Global {
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
        let value = encode(key, &value)?;
        self.lock().insert(key.to_owned(), value);
        Ok(())
    }

    /// Replaces the value under `key` by what `change` makes of it, in one step for all who share the storage, and
    /// returns the new one. `change` must not use this storage itself: it would wait for itself for ever.
    ///
    /// # Errors
    /// When the value there is not a `T`, or the new one has no JSON form; the old one stays.
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        change: impl FnOnce(Option<T>) -> T,
    ) -> Result<T, StorageError> {
        let mut values = self.lock();
        let old = values.get(key).map(|value| decode(key, value)).transpose()?;
        let new = change(old);
        values.insert(key.to_owned(), encode(key, &new)?);
        Ok(new)
    }

    /// Forgets what is under `key`, and says whether there was something.
    pub fn remove(&self, key: &str) -> bool {
        self.lock().remove(key).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
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

    #[test]
    fn global_values_are_typed_and_updated_in_one_step() {
        let global = Global::default();
        assert_eq!(global.get::<u32>("n").unwrap(), None);
        assert_eq!(global.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).unwrap(), 1);
        assert_eq!(global.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).unwrap(), 2);
        let error = global.get::<String>("n").unwrap_err();
        assert_eq!(error.to_string(), "what is stored under `n` is no alloc::string::String");
        assert_eq!(global.require::<u32>("m").unwrap_err().to_string(), "nothing is stored under `m`");
        assert!(global.remove("n") && !global.remove("n"));
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
