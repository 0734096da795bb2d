//! "Did you mean …?": the known name that is nearest to one that is not known.
//!
//! Knows nothing of what the names stand for.

/// The nearest of `known` to `name`, unless none is near enough to be a slip of the pen.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Comparing is quadratic in the length of a name; a longer one is no slip of the pen.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST && *candidate != name)
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        // Equal likeness: the first in the order given, so that a message is always the same.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

/// Whether `name` is `known` but for a slip or two of the pen: letters left out, added, exchanged or swapped.
#[cfg(feature = "playbook")]
pub(crate) fn is_slip(name: &str, known: &str) -> bool {
    let most = match known.len() {
        ..5 => return name == known,
        5..8 => 1,
        _ => 2,
    };
    name.len().abs_diff(known.len()) <= most && strsim::osa_distance(name, known) <= most
}

/// The hint itself, to be put behind a message; empty where nothing is near.
pub(crate) fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        let known = ["TurnOnTv", "FindTvRemote", "Pizza"];
        assert_eq!(nearest("turnontv", known), Some("TurnOnTv"));
        assert_eq!(nearest("TurnOnTV", known), Some("TurnOnTv"));
        assert_eq!(nearest("Piza", known), Some("Pizza"));
        assert_eq!(nearest("Couch", known), None);
        assert_eq!(hint("Piza", known), "; did you mean `Pizza`?");
    }
}
