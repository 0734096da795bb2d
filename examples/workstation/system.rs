//! Changes to the system: packages, a systemd timer, a cron entry.
//!
//! With `--system` they are real. Below a scratch directory stand-ins write the same files as far as that is possible without
//! privileges: nothing is installed system-wide, no service starts, and cron does not read the entry.

use std::time::Duration;

use dojob::{AnyJob, Deps, IntoJob, deps};
use dojob_jobs::{CronEntry, Directory, File, Line, Package, Service, ServiceState, Symlink, Unarchive};

use super::{Place, upstream};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
const UNITS: &str = "etc/systemd/system";
const TIMER: &str = "backup-notes.timer";

/// Packages installed system-wide.
pub(crate) fn packages(place: &Place) -> AnyJob {
    if place.is_system {
        return Package::new(["cron", "git", "vim"]).update_cache(A_DAY).into_job();
    }
    // The stand-in for a package is an archive.
    let unpacked = Unarchive::new(place.root(upstream::PACKAGE), place.root("usr")).strip_components(1);
    unpacked.needs(deps![upstream::package(place)])
}

/// A timer that backs up the notes every evening.
pub(crate) fn timer(place: &Place) -> AnyJob {
    let notes = place.home(".local/bin/notes");
    // System services have no home directory.
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
    // Enabling a unit creates this link.
    let wanted = place.root(UNITS).join("timers.target.wants");
    let link = Symlink::new(wanted.join(TIMER), format!("/{UNITS}/{TIMER}"));
    link.needs(all(units).with(Directory::new(wanted)))
}

/// Mails the list of notes every Monday morning.
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
