//! Being asked to stop: a flag that commands, sleeping engines and jobs can see.
//!
//! Does not know who asks, nor what stopping means to those who are asked.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Wake;

/// A request to stop, shared by all who have a clone.
#[derive(Clone, Default)]
pub(crate) struct Cancel(Arc<Inner>);

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_asked()).finish()
    }
}

#[derive(Default)]
struct Inner {
    asked: AtomicBool,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    /// Readable from the moment of the request, for those who wait in `poll`; made when the first of them comes.
    pipe: Option<(OwnedFd, OwnedFd)>,
    wakes: Vec<Arc<Wake>>,
}

impl Cancel {
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Asks. Asking twice is the same as asking once.
    pub(crate) fn ask(&self) {
        let listeners = self.listeners();
        self.0.asked.store(true, Ordering::Release);
        if let Some((_, writer)) = &listeners.pipe {
            signal(writer);
        }
        listeners.wakes.iter().for_each(|wake| wake.wake());
    }

    /// Calls `wake` at the request, at once where it has been made.
    pub(crate) fn notify(&self, wake: &Arc<Wake>) {
        let mut listeners = self.listeners();
        if self.is_asked() {
            wake.wake();
        }
        listeners.wakes.push(wake.clone());
    }

    /// Takes back a [`notify`](Cancel::notify).
    pub(crate) fn forget(&self, wake: &Arc<Wake>) {
        self.listeners().wakes.retain(|known| !Arc::ptr_eq(known, wake));
    }

    /// A descriptor that is readable once the request was made.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        let mut listeners = self.listeners();
        if listeners.pipe.is_none() {
            let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            if self.is_asked() {
                signal(&pipe.1);
            }
            listeners.pipe = Some(pipe);
        }
        match &listeners.pipe {
            Some((reader, _)) => Ok(reader.as_fd().try_clone_to_owned()?),
            None => unreachable!("made above"),
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal(writer: &OwnedFd) {
    // Fails only when the pipe is full, and then it is readable already.
    let _ = rustix::io::write(writer, b"!");
}
