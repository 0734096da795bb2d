//! The example of friends watching a movie, as a user sees it: whole outputs, exit codes, flags.

mod support;

use std::path::Path;

use support::{Ran, lines_with, run};

/// The failed rechecks of a verbose run.
fn failed_rechecks(args: &[&str]) -> Vec<String> {
    let ran = run("movie_night", &[args, &["-v"]].concat());
    lines_with(&ran.stderr, "recheck: fail").into_iter().map(str::to_owned).collect()
}

const TV: &str = "TurnOnTv.recheck: fail \"Remote batteries are dead.\"";
const COUCH: &str = "SitOnCouch.recheck: fail \"No space on couch.\"";
const BOWL: &str = "PopcornBowl.recheck: fail \"Dishwasher cycle not done yet.\"";
const PIZZA: &str = "Pizza.recheck: fail \"Giordano's did not arrive yet.\"";
const POPCORN: &str = "Popcorn.recheck: fail \"Still popping...\"";

const FIRST_ELEVEN: [&str; 11] = [TV, COUCH, BOWL, PIZZA, TV, COUCH, BOWL, PIZZA, TV, COUCH, BOWL];

#[test]
fn retries_take_turns() {
    let mut expected = FIRST_ELEVEN.to_vec();
    expected.extend([BOWL; 4]);
    expected.extend([POPCORN; 4]);
    assert_eq!(failed_rechecks(&[]), expected);
    assert_eq!(expected.len(), 19);
}

#[test]
fn the_fifteen_lines_of_the_original() {
    let mut expected = FIRST_ELEVEN.to_vec();
    expected.extend([BOWL; 2]);
    expected.extend([POPCORN; 2]);
    assert_eq!(failed_rechecks(&["--bowl-success-try", "6", "--pop-success-try", "3"]), expected);
    assert_eq!(expected.len(), 15);
}

#[test]
fn failed_runs_give_their_reason() {
    let ran = run("movie_night", &["--only", "Pizza", "-v"]);
    let runs = lines_with(&ran.stderr, "Pizza.run: fail");
    assert_eq!(runs, ["Pizza.run: fail \"Giordano's did not arrive yet.\""; 2]);
}

#[test]
fn what_it_says_by_default() {
    let ran = run("movie_night", &[]);
    let stderr = "\
changed PickTimeAndDate: No evening is agreed on.
changed SendInvite Ana: Ana knows nothing yet.
changed SendInvite Bilal: Bilal knows nothing yet.
changed SendInvite Chiyo: Chiyo knows nothing yet.
changed SendInvite Dan: Dan knows nothing yet.
changed FriendsArrive: Ana is not there yet.
changed CleanCouch: There are crumbs on the couch.
changed FluffPillows
changed FindTvRemote: The remote is not where it was.
changed InsertDvd: Brazil is not in the player.
failed TurnOnTv: Remote batteries are dead. (3 tries)
failed SitOnCouch: No space on couch. (3 tries)
changed Pizza (3 tries)
changed PopcornBowl: Dishwasher cycle not done yet. (8 tries)
changed Popcorn: Still popping... (5 tries)
blocked StartMovie by TurnOnTv, SitOnCouch
blocked WatchMovie by StartMovie
not converged: 22 jobs, 5 in place, 13 changed, 2 failed, 2 blocked (TIME)
";
    assert_eq!(ran, Ran { code: Some(1), stdout: String::new(), stderr: stderr.to_owned() });
}

#[test]
fn everything_converges_with_batteries_and_space() {
    let ran = run("movie_night", &["--battery-state", "charged", "--couch-space"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stderr.lines().last(), Some("converged: 22 jobs, 5 in place, 17 changed (TIME)"));
}

#[test]
fn a_dry_run_says_what_would_run_and_ends_with_3() {
    let ran = run("movie_night", &["--no-act", "--no-look-ahead"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(lines_with(&ran.stderr, "would run TurnOnTv").len(), 0, "its check was not called");
    assert_eq!(lines_with(&ran.stderr, "unknown TurnOnTv until FindTvRemote").len(), 1);
    assert_eq!(
        ran.stderr.lines().last(),
        Some("dry run: 22 jobs, 1 in place, 7 would run, 14 unknown (TIME)")
    );
}

#[test]
fn a_dry_run_looks_ahead() {
    let ran = run("movie_night", &["--no-act"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(
        lines_with(&ran.stderr, " TurnOnTv"),
        [
            "would run TurnOnTv: Remote batteries are dead. (after FindTvRemote)",
            "would run StartMovie: The movie does not play. (after FriendsArrive, CleanCouch, TurnOnTv, InsertDvd, SitOnCouch, Popcorn)"
        ]
    );
    assert_eq!(lines_with(&ran.stderr, "in place Food"), ["in place Food (may change after Popcorn, Pizza)"]);
    assert_eq!(ran.stderr.lines().last(), Some("dry run: 22 jobs, 5 in place, 17 would run (TIME)"));
    let refused = run("movie_night", &["--no-look-ahead"]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(refused.stderr, "error: --no-look-ahead requires --no-act, since only dry runs look ahead\n");
}

#[test]
fn only_some_jobs_and_what_they_need() {
    let ran = run("movie_night", &["--only", "SitOnCouch", "Pizza", "--couch-space", "-v"]);
    assert_eq!(ran.code, Some(0));
    let checks: Vec<&str> = lines_with(&ran.stderr, ".check: ");
    assert_eq!(
        checks,
        [
            "CleanCouch.check: fail",
            "FluffPillows.check: fail",
            "PrepareRoom.check: pass",
            "SitOnCouch.check: fail",
            "Pizza.check: fail",
            "Pizza.check: fail",
            "Pizza.check: fail",
        ]
    );
    assert_eq!(lines_with(&ran.stderr, "CleanCouch.cleanup: pass").len(), 1);
    assert_eq!(lines_with(&ran.stderr, "putting back the duster").len(), 1);

    let ran = run("movie_night", &["--only", "TurnOnTV", "Nobody"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: the job graph has 2 mistakes:\n  - there is no job `TurnOnTV`; did you mean `TurnOnTv`?\n  - there is no job `Nobody`\n"
    );
}

#[test]
fn no_cleanup_leaves_the_duster() {
    let ran = run("movie_night", &["--no-cleanup", "-v"]);
    assert_eq!(lines_with(&ran.stderr, "cleanup").len(), 0);
}

#[test]
fn the_list_is_on_standard_output() {
    let ran = run("movie_night", &["--list", "--only", "TurnOnTv", "Food"]);
    let stdout = "\
FindTvRemote
TurnOnTv      needs FindTvRemote
PopcornBowl
Popcorn       needs PopcornBowl
Pizza         (runs every time)
Food          needs Popcorn, Pizza (dependencies only)
";
    assert_eq!(ran, Ran { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() });

    let ran = run("movie_night", &["--list", "--format", "json", "--only", "Popcorn"]);
    let list: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list[1]["name"], "Popcorn");
    assert_eq!(list[1]["needs"], serde_json::json!(["PopcornBowl"]));
    assert_eq!(list[1]["tries"], 5);
}

#[test]
fn a_graph_goes_to_standard_output_before_and_after_a_run() {
    let plain = run("movie_night", &["--list", "--graph", "-"]);
    assert!(plain.stdout.starts_with("digraph {") && plain.stderr.is_empty());
    assert_eq!(plain, run("movie_night", &["--list", "--graph", "-"]), "byte for byte");
    let after = run("movie_night", &["--graph", "-"]);
    assert_eq!(after.code, Some(1));
    assert!(after.stdout.contains("8 tries") && after.stdout.contains("#c93c37"));
}

#[test]
fn pictures_of_unknown_kinds_are_refused_before_anything_runs() {
    let ran = run("movie_night", &["--graph", "movie.jpeg"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: failed to draw movie.jpeg: its name has to end in .svg, .dot, .mmd, .png or .pdf, or be - for DOT on \
         standard output\n"
    );
    let ran = without_programs(&["--graph", "movie.pdf"], |_| ());
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: failed to draw movie.pdf: Graphviz's program `dot` is not installed; install the package graphviz, or \
         write an .svg file, which needs nothing\n"
    );
}

/// Runs the example where no other program is installed; `look` may look at what it has left there.
fn without_programs(args: &[&str], look: impl FnOnce(&Path)) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command = support::command("movie_night", &home);
    let ran = command.env("PATH", home.path()).args(args).output().unwrap().into();
    look(home.path());
    ran
}

#[test]
#[cfg(not(feature = "png"))]
fn what_draws_pixels_is_named_where_nothing_does() {
    let ran = without_programs(&["--graph", "movie.png"], |_| ());
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: failed to draw movie.png: Graphviz's program `dot` is not installed; install the package graphviz, build \
         this program with dojob's feature `png`, or write an .svg file, which needs nothing\n"
    );
}

#[test]
#[cfg(feature = "png")]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn pixels_are_drawn_without_another_program() {
    let mut png = Vec::new();
    let ran = without_programs(&["--list", "--graph", "movie.png"], |home| {
        png = std::fs::read(home.join("movie.png")).unwrap_or_default();
    });
    if ran.stderr.contains("no font is installed") && std::env::var_os("CI").is_none() {
        return println!("skipped: {}", ran.stderr);
    }
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{} bytes", png.len());
}

#[test]
fn a_picture_that_cannot_be_written_does_not_hide_the_run() {
    let ran = run(
        "movie_night",
        &["--graph", "no/such/directory/movie.dot", "--battery-state=charged", "--couch-space"],
    );
    assert_eq!(ran.code, Some(1));
    let last: Vec<&str> = ran.stderr.lines().rev().take(2).collect();
    assert!(last[0].starts_with("error: failed to write no/such/directory/movie.dot: "), "{last:?}");
    assert!(last[1].starts_with("converged: 22 jobs"), "{last:?}");
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for args in [["--tries", "0"], ["--retry-delay", "-1"], ["--retry-delay", "soon"], ["-j", "0"]] {
        let ran = run("movie_night", &args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.stderr.starts_with(&format!("error: invalid value '{}' for", args[1])), "{}", ran.stderr);
    }
    for args in [["--retry-delay", "20ms"], ["--retry-delay", "0.02"], ["-j", "2"], ["--tries", "1"]] {
        let ran = run(
            "movie_night",
            &[&args[..], &["--battery-state=charged", "--couch-space", "--list"]].concat(),
        );
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn flags_that_would_say_nothing_are_refused() {
    for args in [["--format=json", "-v"], ["--format=json", "-d"], ["--format=json", "--graph=-"]] {
        let ran = run("movie_night", &args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn one_worker_per_cpu_ends_the_same() {
    let ran = run("movie_night", &["-j"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr.lines().last(),
        Some("not converged: 22 jobs, 5 in place, 13 changed, 2 failed, 2 blocked (TIME)")
    );
}

#[test]
fn events_are_lines_of_json_on_standard_output() {
    let ran = run("movie_night", &["--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let events: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["v"] == 2));
    assert_eq!(events.first().unwrap()["event"], "run_started");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["counts"]["blocked"]), (&"run_ended".into(), &2.into()));
    let blocked =
        events.iter().find(|event| event["event"] == "job_settled" && event["job"] == "StartMovie").unwrap();
    assert_eq!(blocked["because_of"], serde_json::json!(["TurnOnTv", "SitOnCouch"]));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let coded = |args: &[&str]| run("movie_night", args).stderr.contains('\u{1b}');
    assert!(!coded(&["-d"]) && !coded(&[]) && !coded(&["--color", "never"]));
    assert!(coded(&["--color", "always"]));
}

#[test]
fn the_log_shows_how_the_graph_was_found_and_why_a_job_waits() {
    let home = tempfile::tempdir().unwrap();
    let log = |filter: &str| -> Ran {
        let mut command = support::command("movie_night", &home);
        command.env("DOJOB_LOG", filter).args(["--retry-delay", "1ms"]).output().unwrap().into()
    };
    let ran = log("debug");
    for part in ["waits for PopcornBowl", "try 2 of 3", "found the graph", "blocked: TurnOnTv, SitOnCouch"] {
        assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
    }
    assert!(log("trace").stderr.contains("needed_by=\"Food\""));
    let ran = log("dojob=loud");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with("error: failed to understand DOJOB_LOG, which is `dojob=loud`: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_closed_pipe_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = support::command("movie_night", &home);
    let mut child = command
        .args(["-v", "--battery-state=charged", "--couch-space"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "it went on to the end");
}

#[test]
fn an_unknown_movie_is_told_by_its_check() {
    let ran = run("movie_night", &["--movie", "Cats"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("failed ValidateMovie: its run said: No shop is open.; and after it: Nobody has Cats;")
    );
}
