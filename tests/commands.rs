//! Commands of jobs, with real processes: output, timeouts, whole process groups, signals, gigabytes.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use dojob::{CommandError, Context, Engine, Event, JobGraph, Result, Stream};

/// Runs `body` as the run of a job and returns what it printed; a failure of `body` is one of the test.
fn in_a_job(body: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static) -> Vec<(Stream, String)> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let hears = lines.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("job", body);
    let report = Engine::with_graph(graph.build().unwrap())
        .tries(1)
        .observe(move |event: &Event| {
            if let Event::Output { stream, line, .. } = event {
                hears.lock().unwrap().push((*stream, line.clone()));
            }
        })
        .converge();
    assert!(report.success(), "{:?}", report.job("job").failures());
    drop(report);
    let lines = lines.lock().unwrap();
    lines.clone()
}

/// The processes of a group that are at work, zombies not counted.
fn members(group: u32) -> Vec<u32> {
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after_name = stat.rsplit_once(") ")?.1.to_owned();
        let fields: Vec<&str> = after_name.split(' ').collect();
        (fields[0] != "Z" && fields[2].parse() == Ok(group)).then_some(pid)
    });
    stats.collect()
}

#[test]
fn output_is_handed_on_line_by_line_and_captured() {
    let lines = in_a_job(|cx| {
        let output = cx.shell("printf 'one\\ntwo'; printf '\\377\\r\\n' >&2").run()?;
        ensure!(output.text() == "one\ntwo" && output.stderr.bytes() == b"\xff\r\n", "{output:?}");
        cx.shell("echo unseen").quiet().run()?;
        Ok(())
    });
    let of = |stream| {
        lines.iter().filter(|(s, _)| *s == stream).map(|(_, line)| line.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of(Stream::Stdout), of(Stream::Stderr)), (vec!["one", "two"], vec!["\u{fffd}"]));
}

#[test]
fn environment_directory_and_standard_input() {
    in_a_job(|cx| {
        let output = cx.shell("echo $GREETING ${HOME-unset} $(pwd) $(cat)");
        let output = output.env("GREETING", "hi").env_remove("HOME").directory("/").stdin("in").run()?;
        ensure!(output.text() == "hi unset / in", "{}", output.text());
        let nothing = cx.command("cat").run()?;
        ensure!(nothing.text().is_empty(), "nothing on standard input");
        Ok(())
    });
}

#[test]
fn both_sides_of_a_pipe_may_be_full_at_once() {
    in_a_job(|cx| {
        let bytes = vec![b'x'; 3_000_000];
        let output = cx.command("cat").stdin(bytes.clone()).keep(4_000_000).quiet().run()?;
        ensure!(output.stdout.bytes() == bytes, "{} bytes came back", output.stdout.bytes().len());
        // One that does not read what it is given is no reason to wait or to fail.
        cx.command("true").stdin(bytes).run()?;
        Ok(())
    });
}

#[test]
fn exit_codes_and_messages() {
    in_a_job(|cx| {
        let failed = |line: &str| cx.shell(line).run().unwrap_err();
        let says = |error: CommandError, message: &str| {
            let text = error.to_string();
            ensure!(text == message, "{text}");
            Ok(())
        };
        says(
            failed("echo first >&2; echo 'no space' >&2; exit 3"),
            "`echo first >&2; echo 'no space' >&2; exit 3` failed with exit status 3: first; no space",
        )?;
        says(failed("kill -9 $$"), "`kill -9 $$` was ended by signal 9")?;
        says(
            cx.command("no-such-program").arg("a b").run().unwrap_err(),
            "failed to run `no-such-program 'a b'`: there is no program `no-such-program`; install it or set PATH",
        )?;
        says(
            cx.command("true").directory("no/such/place").run().unwrap_err(),
            &format!(
                "failed to run `true`: there is no directory {}",
                cx.working_directory().join("no/such/place").display()
            ),
        )?;
        ensure!(cx.shell("exit 3").accept([0, 3]).run()?.status.code() == Some(3), "accepted");
        ensure!(!cx.shell("exit 3").output()?.success(), "no error");
        says(
            failed("printf '%s\\n' first $(seq -f %0300g 1 9) last; exit 1"),
            &format!(
                "`printf '%s\\n' first $(seq -f %0300g 1 9) last; exit 1` failed with exit status 1: {}",
                format_args!("{} … {}", format_args!("{:0>133}…", ""), "last")
            ),
        )?;
        let error = anyhow::Error::from(failed("seq 1 30; exit 1"));
        let tail = error.chain().nth(1).unwrap().to_string();
        ensure!(tail.starts_with("its last lines were\n21\n") && tail.ends_with("\n30"), "{tail}");
        Ok(())
    });
}

#[test]
fn a_script_without_its_interpreter() {
    let scratch = tempfile::tempdir().unwrap();
    let script = scratch.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    Process::new("chmod").arg("+x").arg(&script).status().unwrap();
    in_a_job(move |cx| {
        let error = cx.command(&script).run().unwrap_err();
        ensure!(matches!(error, CommandError::NoInterpreter { .. }), "{error}");
        Ok(())
    });
}

/// A shell line whose grandchildren ignore TERM; it prints its own process id, which is that of its group.
const STUBBORN: &str = "(trap '' TERM; while :; do sleep 1000; done) & sleep 1000 & echo $$; wait";

#[test]
fn a_timeout_ends_those_too_that_have_left_the_group() {
    let lines = in_a_job(|cx| {
        // Shells that begin sessions of their own; one of them does not hear TERM.
        let line =
            "setsid sh -c 'echo $$; sleep 1000' & setsid sh -c 'trap \"\" TERM; echo $$; sleep 1000' & wait";
        let error = cx
            .shell(line)
            .timeout(Duration::from_secs(2))
            .grace(Duration::from_millis(100))
            .run()
            .unwrap_err();
        ensure!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        Ok(())
    });
    assert_eq!(lines.len(), 2);
    for (_, pid) in lines {
        assert_eq!(members(pid.parse().unwrap()), Vec::<u32>::new(), "survivors of a session of its own");
    }
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let lines = in_a_job(|cx| {
        let line = cx.shell(STUBBORN).timeout(Duration::from_millis(300)).grace(Duration::from_millis(100));
        let error = line.run().unwrap_err();
        ensure!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        ensure!(!error.output().unwrap().text().is_empty(), "what it printed is kept");
        Ok(())
    });
    let group: u32 = lines[0].1.parse().unwrap();
    assert_eq!(members(group), Vec::<u32>::new(), "survivors");
}

#[test]
fn a_command_that_hears_term_may_end_in_its_own_way() {
    in_a_job(|cx| {
        let line = "trap 'echo bye; exit 0' TERM; sleep 1000 & wait";
        let error = cx
            .shell(line)
            .timeout(Duration::from_millis(200))
            .grace(Duration::from_secs(60))
            .run()
            .unwrap_err();
        ensure!(error.output().unwrap().text() == "bye", "{error:?}");
        Ok(())
    });
}

#[test]
fn a_process_left_in_the_background_holds_nobody_up() {
    let lines = in_a_job(|cx| {
        // It keeps both pipes open for much longer than this test may take.
        ensure!(cx.shell("sleep 1000 & echo $!").run()?.success(), "it ended by itself");
        Ok(())
    });
    let left = rustix::process::Pid::from_raw(lines[0].1.parse().unwrap()).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it was left alone");
}

#[test]
fn a_detached_process_outlives_its_job() {
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log");
    let path = log.clone();
    let pid = Arc::new(Mutex::new(0));
    let tells = pid.clone();
    in_a_job(move |cx| {
        let child = cx.shell("echo started; exec sleep 1000");
        *tells.lock().unwrap() = child.detach(&path)?;
        let error = cx.command("no-such-program").detach(&path).unwrap_err();
        ensure!(matches!(error, CommandError::NotFound { .. }), "{error}");
        Ok(())
    });
    let pid = *pid.lock().unwrap();
    assert_eq!(members(pid), [pid], "at work, in a group of its own");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert!(log.exists());
}

#[test]
fn a_gigabyte_of_output_takes_no_memory() {
    fn peak() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
    let lines = Arc::new(Mutex::new((0_u64, 0_u64)));
    let counts = lines.clone();
    let before = peak();
    let mut graph = JobGraph::builder();
    graph.run_only("lines", |cx| {
        let output = cx.shell("yes 'a line that is printed again and again' | head -c 500000000").run()?;
        ensure!(output.stdout.dropped() + output.stdout.bytes().len() as u64 == 500_000_000, "lost");
        Ok(())
    });
    graph.run_only("one line", |cx| {
        cx.shell("head -c 500000000 /dev/zero").run()?;
        Ok(())
    });
    let report = Engine::with_graph(graph.build().unwrap())
        .observe(move |event: &Event| {
            if let Event::Output { line, .. } = event {
                let mut counts = counts.lock().unwrap();
                *counts = (counts.0 + 1, counts.1 + line.len() as u64);
            }
        })
        .converge();
    assert!(report.success());
    let (count, bytes) = *lines.lock().unwrap();
    assert!(count > 12_000_000 && bytes > 980_000_000, "{count} lines, {bytes} bytes");
    let grown = peak() - before;
    // Other tests of this process use some, too.
    assert!(grown < 128, "{grown} MiB more");
}

/// A shell line that prints without end.
const FLOOD: &str = "exec yes";

/// A command line without flags of its own.
#[derive(Default, clap::Parser, serde::Serialize)]
struct NoFlags {}

/// What the process that is sent a signal does: the command line of a binary with a job that takes for ever.
fn interrupted_binary(scratch: &str) -> std::process::ExitCode {
    let mut graph = JobGraph::builder();
    let cleaned = std::path::Path::new(scratch).join("cleaned");
    let line = if std::path::Path::new(scratch).join("flood").exists() { FLOOD } else { STUBBORN };
    let directory = scratch.to_owned();
    graph.run_only("stubborn", move |cx| {
        cx.shell(line).directory(&directory).grace(Duration::from_millis(200)).run()?;
        Ok(())
    });
    graph.run_only("first", |_| Ok(())).cleanup(move |cx| {
        // The first signal does not touch cleanups; the second ends this one.
        cx.shell("echo cleaning $$; test ! -e slow || sleep 1000")
            .directory(cleaned.parent().unwrap())
            .run()?;
        Ok(std::fs::write(&cleaned, "")?)
    });
    graph.root("first").root("stubborn");
    let mut flags = dojob::cli::Flags::default();
    flags.verbose = true;
    flags.main(&NoFlags::default(), || Ok(Engine::with_graph(graph.build()?)))
}

const SCRATCH: &str = "DOJOB_TEST_SCRATCH";

/// Not a test by itself: the process that [`interrupt`] starts.
#[test]
fn interrupted_process() {
    if let Ok(scratch) = std::env::var(SCRATCH) {
        let code = interrupted_binary(&scratch);
        std::process::exit(if code == std::process::ExitCode::from(130) { 130 } else { 99 });
    }
}

fn interruptible(scratch: &tempfile::TempDir) -> std::process::Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "interrupted_process", "--nocapture"])
        .env(SCRATCH, scratch.path())
        .env("DOJOB_STATE_DIR", scratch.path().join("state"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_stop_does_not_wait_for_a_reader_that_does_not_read() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("flood"), "").unwrap();
    let mut child = interruptible(&scratch);
    let unread = child.stderr.take().unwrap();
    // Half of what a pipe holds: the rest follows at once, and then nothing goes on.
    let half = rustix::pipe::fcntl_getpipe_size(&unread).unwrap() as u64 / 2;
    while rustix::io::ioctl_fionread(&unread).unwrap() < half {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::yield_now();
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(scratch.path().join("cleaned").exists());
    drop(unread);
}

/// Starts that process, sends it `signal` whenever it prints a line that `send_at` wants, and returns its exit status
/// and the process groups that it told of.
fn interrupt(
    scratch: &tempfile::TempDir,
    signal: rustix::process::Signal,
    send_at: impl Fn(&str) -> bool,
) -> (std::process::ExitStatus, Vec<u32>) {
    let mut child = interruptible(scratch);
    let pid = rustix::process::Pid::from_child(&child);
    let mut groups = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(" | ") {
            groups.push(line.rsplit(' ').next().unwrap().parse().unwrap());
        }
        if send_at(&line) {
            rustix::process::kill_process(pid, signal).unwrap();
        }
    }
    (child.wait().unwrap(), groups)
}

#[test]
fn the_first_signal_ends_commands_with_their_grandchildren_and_cleans_up() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let scratch = tempfile::tempdir().unwrap();
        let (status, groups) = interrupt(&scratch, signal, |line| line.starts_with("stubborn | "));
        assert_eq!(status.code(), Some(130));
        assert_eq!(groups.len(), 2, "the job and the cleanup");
        for group in groups {
            assert_eq!(members(group), Vec::<u32>::new(), "survivors");
        }
        assert!(scratch.path().join("cleaned").exists());
    }
}

#[test]
fn the_second_signal_ends_everything_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("slow"), "").unwrap();
    let (status, groups) = interrupt(&scratch, rustix::process::Signal::INT, |line| line.contains(" | "));
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    for group in groups {
        // Killed all the same; the kernel may still be at it. A survivor would be there for ever.
        while !members(group).is_empty() {
            std::thread::yield_now();
        }
    }
    assert!(!scratch.path().join("cleaned").exists(), "it did not come to that");
}
