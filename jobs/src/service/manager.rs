//! What a systemd that is at work says of a unit (`systemctl show`).

/// What is asked for.
pub(super) const PROPERTIES: &str = "--property=LoadState,LoadError,ActiveState,SubState,Result,NeedDaemonReload,ConditionResult,ConditionTimestampMonotonic,Type,NRestarts,Triggers";

/// Whether systemd has the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Load {
    Loaded,
    NotFound,
    Masked,
    /// Its file cannot be used: why.
    Bad(String),
}

/// What a unit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Active {
    /// At work, reloading included.
    Yes,
    /// On its way: in its start, or about to be started again.
    Activating,
    Failed,
    /// Still at work, but on its way to an end.
    Deactivating,
    No,
}

/// A unit as its manager sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) load: Load,
    pub(super) active: Active,
    /// In systemd's own words: `failed (exit-code)`, `activating (auto-restart)`.
    pub(super) words: String,
    /// Whether its files have changed since systemd read them. New directories of drop-ins do not count for systemd.
    pub(super) needs_reload: bool,
    /// Whether it was started too often in too short a time, so that systemd refuses to start it.
    pub(super) is_limited: bool,
    /// Whether it counts as started before anybody knows that it works: `Type=simple` and its like.
    pub(super) is_unproved: bool,
    /// How often systemd has started it again by itself since it was told to.
    pub(super) restarts: u64,
    /// The units that it starts: a timer its service.
    pub(super) triggers: Vec<String>,
}

impl Activity {
    /// Reads what `systemctl show` has printed; `None` where it does not say what the unit is doing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let property = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once('='));
            values
                .filter(|(found, _)| *found == name)
                .map(|(_, value)| value.trim())
                .next()
                .unwrap_or_default()
        };
        let (active, sub, result) = (property("ActiveState"), property("SubState"), property("Result"));
        let load = match property("LoadState") {
            "not-found" => Load::NotFound,
            "masked" => Load::Masked,
            word @ ("bad-setting" | "error") => Load::Bad(complaint(word, property("LoadError"))),
            _ => Load::Loaded,
        };
        let words = match active {
            "" => return None,
            "failed" if !["", "success"].contains(&result) => format!("failed ({result})"),
            // Of one that was never started it is not known.
            "inactive"
                if property("ConditionResult") == "no"
                    && !["", "0"].contains(&property("ConditionTimestampMonotonic")) =>
            {
                "inactive, and a condition of its unit was not met when it was last started".to_owned()
            }
            "inactive" | "failed" => active.to_owned(),
            _ => format!("{active} ({sub})"),
        };
        Some(Activity {
            load,
            active: match active {
                "active" | "reloading" | "refreshing" => Active::Yes,
                "activating" => Active::Activating,
                "failed" => Active::Failed,
                "deactivating" => Active::Deactivating,
                _ => Active::No,
            },
            words,
            needs_reload: property("NeedDaemonReload") == "yes",
            is_limited: result.ends_with("start-limit-hit"),
            is_unproved: ["simple", "exec", "idle"].contains(&property("Type")),
            restarts: property("NRestarts").parse().unwrap_or(0),
            triggers: property("Triggers").split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// Whether there is anything to stop.
    pub(super) fn is_to_be_stopped(&self) -> bool {
        matches!(self.active, Active::Yes | Active::Activating | Active::Deactivating)
    }

    pub(super) fn is_running(&self) -> bool {
        self.active == Active::Yes
    }
}

/// `LoadError` is the name of an error on the bus and its text.
fn complaint(word: &str, error: &str) -> String {
    let text = error.split_once(' ').map_or("", |(_, text)| text).trim_matches('"');
    if text.is_empty() { word.to_owned() } else { format!("{word}: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read() {
        let failed = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=start-limit-hit\nNeedDaemonReload=no\n\
                      Type=simple\nNRestarts=5\nTriggers=a.service b.service\n";
        let activity = Activity::read(failed).unwrap();
        assert_eq!(activity.words, "failed (start-limit-hit)");
        assert!(activity.is_limited && activity.is_unproved && activity.active == Active::Failed);
        assert_eq!((activity.restarts, activity.triggers.len()), (5, 2));

        let bad = "LoadState=bad-setting\nLoadError=org.freedesktop.systemd1.BadUnitSetting \"Unit has a bad setting.\"\n\
                   ActiveState=inactive\nSubState=dead\nConditionResult=no\nConditionTimestampMonotonic=7\n";
        let activity = Activity::read(bad).unwrap();
        assert_eq!(activity.load, Load::Bad("bad-setting: Unit has a bad setting.".to_owned()));
        assert!(activity.words.contains("condition"));
        assert_eq!(Activity::read(""), None);
    }
}
