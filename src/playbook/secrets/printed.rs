//! What a command prints that is asked for a secret, within a time.
//!
//! The command shares the terminal, at which it may ask for a passphrase, so it stays in this process's group and is no
//! command of a job.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::clock::{Clock, SystemClock};
use crate::context::process::pause;
use crate::secret::withheld;

/// How often an end is looked for while there is nothing to read.
const GLANCE: Duration = Duration::from_millis(5);

/// The text that a program prints on its standard output, at most `longest` bytes of it and no longer than `time` takes.
/// Its standard input and standard error are those of this process.
///
/// # Errors
/// In words for people, when it does not start, fails, takes too long, or prints too much or something else than text.
pub(super) fn text(words: &[String], longest: u64, time: Duration) -> Result<String, String> {
    let (program, args) = words.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::inherit()).stderr(Stdio::inherit()).stdout(Stdio::piped());
    withheld(&mut command);
    let mut child = command.spawn().map_err(|error| format!("`{program}` does not start: {error}"))?;
    let watched = watch(&mut child, longest, time);
    if !matches!(watched, Ok(Printed { is_over: true, .. })) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("failed to wait for `{program}`: {error}"))?;
    let seen = watched.map_err(|error| format!("failed to read what `{program}` prints: {error}"))?;
    if seen.printed.len() as u64 > longest {
        return Err(format!("what `{program}` prints is too long for a secret"));
    }
    if !seen.is_over {
        return Err(format!("`{program}` did not end within {time:?}; set `timeout` beside `command`"));
    }
    if !status.success() {
        return Err(format!("`{program}` ended with {status}"));
    }
    String::from_utf8(seen.printed).map_err(|_| format!("what `{program}` printed is not UTF-8"))
}

struct Printed {
    printed: Vec<u8>,
    /// It has ended by itself.
    is_over: bool,
}

fn watch(child: &mut Child, longest: u64, time: Duration) -> io::Result<Printed> {
    let clock = SystemClock::new();
    let until = clock.now().saturating_add(time);
    let left = || until.checked_sub(clock.now()).filter(|left| !left.is_zero());
    let mut printed = Vec::new();
    let mut stdout = child.stdout.take();
    while let Some(left) = left() {
        let Some(open) = &mut stdout else {
            if child.try_wait()?.is_some() {
                return Ok(Printed { printed, is_over: true });
            }
            pause(&mut [], Some(GLANCE.min(left)))?;
            continue;
        };
        let mut polled = [PollFd::new(open, PollFlags::IN)];
        pause(&mut polled, Some(GLANCE.min(left)))?;
        if polled[0].revents().is_empty() {
            // What it has left in the background may hold on to the pipe.
            if child.try_wait()?.is_some() {
                return Ok(Printed { printed, is_over: true });
            }
            continue;
        }
        let mut bytes = [0; 4096];
        match open.read(&mut bytes)? {
            0 => stdout = None,
            count => printed.extend_from_slice(&bytes[..count]),
        }
        if printed.len() as u64 > longest {
            break;
        }
    }
    Ok(Printed { printed, is_over: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str, time: Duration) -> Result<String, String> {
        text(&["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()], 1_000, time)
    }

    #[test]
    fn what_is_printed_is_read_to_its_end() {
        assert_eq!(asked("printf a; printf b", Duration::from_secs(60)), Ok("ab".to_owned()));
        assert_eq!(asked("exec >&-; exit 0", Duration::from_secs(60)), Ok(String::new()));
        // One that stays behind holds on to the pipe for longer than there is time.
        let left_behind = asked("sleep 20 2> /dev/null & echo a", Duration::from_secs(10));
        assert_eq!(left_behind, Ok("a\n".to_owned()));
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let said = "`/bin/sh` did not end within 50ms; set `timeout` beside `command`";
        assert_eq!(asked("exec sleep 1000", Duration::from_millis(50)), Err(said.to_owned()));
        assert_eq!(asked("exec >&-; exec sleep 1000", Duration::from_millis(50)), Err(said.to_owned()));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let minute = Duration::from_secs(60);
        assert_eq!(asked("exit 3", minute), Err("`/bin/sh` ended with exit status: 3".to_owned()));
        assert_eq!(asked("yes", minute), Err("what `/bin/sh` prints is too long for a secret".to_owned()));
        assert_eq!(asked("printf '\\377'", minute), Err("what `/bin/sh` printed is not UTF-8".to_owned()));
    }
}
