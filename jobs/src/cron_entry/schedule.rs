//! When cron starts something: the rules for the five fields and the words with `@`.
//!
//! Pure, and strict: what one cron understands and another does not is refused.

use anyhow::{Context as _, Result, bail, ensure};

const WORDS: [&str; 8] =
    ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The most days that each month has.
const DAYS_OF_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A field of a schedule.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Names that stand for numbers, the first for `names_from`.
    names: &'static [&'static str],
    names_from: u32,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[], names_from: 0 },
    Field { name: "hour", first: 0, last: 23, names: &[], names_from: 0 },
    Field { name: "day of the month", first: 1, last: 31, names: &[], names_from: 0 },
    Field { name: "month", first: 1, last: 12, names: &MONTHS, names_from: 1 },
    Field { name: "day of the week", first: 0, last: 7, names: &DAYS, names_from: 0 },
];

/// Says what is wrong with a schedule, where something is.
pub(super) fn validate(schedule: &str) -> Result<()> {
    check(schedule).with_context(|| format!("`schedule` is `{}`", schedule.escape_debug()))
}

fn check(schedule: &str) -> Result<()> {
    if schedule.starts_with('@') {
        ensure!(WORDS.contains(&schedule), "there are only {}", WORDS.join(", "));
        return Ok(());
    }
    let texts: Vec<&str> = schedule.split([' ', '\t']).filter(|text| !text.is_empty()).collect();
    let [_, _, day, month, weekday] = texts.as_slice() else {
        bail!(
            "it has {} fields: minute, hour, day of the month, month and day of the week are wanted, or a word such as \
             `@daily`",
            texts.len()
        )
    };
    let mut numbers = Vec::with_capacity(FIELDS.len());
    for (field, text) in FIELDS.iter().zip(&texts) {
        let wrong = || format!("the {} is `{}`", field.name, text.escape_debug());
        numbers.push(field.numbers(text).with_context(wrong)?);
    }
    let (days, months) = (&numbers[2], &numbers[3]);
    // With both given, cron takes either.
    let comes = months
        .iter()
        .any(|month| days.first().is_some_and(|day| *day <= DAYS_OF_MONTHS[*month as usize - 1]));
    ensure!(comes || !weekday.starts_with('*'), "the day {day} never comes in the month {month}");
    Ok(())
}

impl Field {
    /// All numbers that the text stands for, in ascending order.
    fn numbers(&self, text: &str) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for part in text.split(',') {
            all.extend(self.part(part)?);
        }
        all.sort_unstable();
        Ok(all)
    }

    fn part(&self, part: &str) -> Result<Vec<u32>> {
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => (range, digits(step).with_context(|| format!("`{step}` is no step"))?),
        };
        ensure!(step > 0, "a step of 0 never gets on");
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range != part => bail!("a step needs a range or `*` before it"),
            None => (self.number(range)?, self.number(range)?),
        };
        ensure!(first <= last, "the range {range} ends before it begins");
        Ok((first..=last).step_by(step as usize).collect())
    }

    fn number(&self, text: &str) -> Result<u32> {
        if let Some(place) =
            self.names.iter().zip(self.names_from..).find(|(name, _)| name.eq_ignore_ascii_case(text))
        {
            return Ok(place.1);
        }
        match digits(text) {
            Some(number) if (self.first..=self.last).contains(&number) => Ok(number),
            _ => bail!("`{text}` is no number from {} to {}", self.first, self.last),
        }
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_that_every_cron_knows() {
        for schedule in [
            "* * * * *",
            "*/5 0-6,22,23 1-31/2 * mon-fri",
            "0  3\t1 JAN,dec 7",
            "0 0 29 2 *",
            "0 0 31 2 mon",
            "@daily",
            "@reboot",
        ] {
            assert!(validate(schedule).is_ok(), "{schedule}: {:?}", validate(schedule));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        for (schedule, why) in [
            ("", "it has 0 fields"),
            ("0 3 * *", "it has 4 fields"),
            ("0 0 3 * * *", "it has 6 fields"),
            ("60 * * * *", "the minute is `60`: `60` is no number from 0 to 59"),
            ("* 24 * * *", "the hour is `24`: `24` is no number from 0 to 23"),
            ("* * 0 * *", "the day of the month is `0`: `0` is no number from 1 to 31"),
            ("* * * 13 *", "the month is `13`: `13` is no number from 1 to 12"),
            ("* * * * 8", "the day of the week is `8`: `8` is no number from 0 to 7"),
            ("* * * * mo", "the day of the week is `mo`: `mo` is no number from 0 to 7"),
            ("*/0 * * * *", "the minute is `*/0`: a step of 0 never gets on"),
            ("5/2 * * * *", "the minute is `5/2`: a step needs a range or `*` before it"),
            ("*/x * * * *", "the minute is `*/x`: `x` is no step"),
            ("9-5 * * * *", "the minute is `9-5`: the range 9-5 ends before it begins"),
            ("1,,2 * * * *", "the minute is `1,,2`: `` is no number from 0 to 59"),
            ("+1 * * * *", "the minute is `+1`: `+1` is no number from 0 to 59"),
            ("* * L * *", "the day of the month is `L`: `L` is no number from 1 to 31"),
            ("0 0 30 2 *", "the day 30 never comes in the month 2"),
            ("0 0 31 4,6 *", "the day 31 never comes in the month 4,6"),
            ("@noon", "there are only @reboot, "),
        ] {
            let error = format!("{:#}", validate(schedule).unwrap_err());
            assert!(error.contains(why), "{schedule}: {error}");
        }
    }
}
