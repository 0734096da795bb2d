//! What takes a system: packages, a timer of systemd, an entry for cron.
//!
//! With `--system` each is the real thing. Below a scratch directory a stand-in writes what the real one would write, as far as that
//! goes without rights: nothing is installed for everybody, no service starts, and no cron reads the entry.

use std::time::Duration;

use dojob::{AnyJob, Deps, IntoJob, deps};
use dojob_jobs::{CronEntry, Directory, File, Line, Package, Service, ServiceState, Symlink, Unarchive};

use super::{Place, upstream};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
const UNITS: &str = "etc/systemd/system";
const TIMER: &str = "backup-notes.timer";

/// What is installed for everybody.
pub(crate) fn packages(place: &Place) -> AnyJob {
    if place.is_system {
        return Package::new(["cron", "git", "vim"]).update_cache(A_DAY).into_job();
    }
    // A package is an archive in the end.
    let unpacked = Unarchive::new(place.root(upstream::PACKAGE), place.root("usr")).strip_components(1);
    unpacked.needs(deps![upstream::package(place)])
}

/// A timer that copies the notes every evening.
pub(crate) fn timer(place: &Place) -> AnyJob {
    let notes = place.home(".local/bin/notes");
    // A service has no home of its own.
    let service = format!(
        "[Service]\nType=oneshot\nEnvironment=\"HOME={}\"\nExecStart=\"{}\" backup\n",
        place.home.display(),
        notes.display()
    );
    let units = [
        ("backup-notes.service", service),
        (TIMER, "[Timer]\nOnCalendar=20:00\n\n[Install]\nWantedBy=timers.target\n".to_owned()),
    ];
    let directory = Directory::new(place.root(UNITS));
    let units = units.map(|(name, text)| {
        let unit = File::new(place.root(UNITS).join(name), text).mode(0o644);
        unit.needs(deps![directory.clone()])
    });
    if place.is_system {
        let service = Service::new(TIMER).enabled(true).state(ServiceState::Running);
        let names = units.each_ref().map(|unit| unit.name().to_owned());
        return service.restart_on(names).needs(all(units));
    }
    // To enable a unit is to make this link.
    let wanted = place.root(UNITS).join("timers.target.wants");
    let link = Symlink::new(wanted.join(TIMER), format!("/{UNITS}/{TIMER}"));
    link.needs(all(units).with(Directory::new(wanted)))
}

/// The list of notes in the mail, each Monday morning.
pub(crate) fn cron_entry(place: &Place) -> AnyJob {
    let (schedule, user) = ("30 8 * * mon", "root");
    let command = format!("{} list", place.home(".local/bin/notes").display());
    if place.is_system {
        let entry = CronEntry::new("notes", schedule, command).user(user).file("workstation");
        return entry.needs(deps![packages(place)]);
    }
    let directory = Directory::new(place.root("etc/cron.d"));
    let line = Line::new(place.root("etc/cron.d/workstation"), format!("{schedule} {user} {command}"));
    line.create().needs(deps![directory])
}

fn all(jobs: impl IntoIterator<Item = AnyJob>) -> Deps {
    let mut deps = Deps::new();
    deps.extend(jobs);
    deps
}
