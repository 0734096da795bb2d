//! Gets friends together to watch a movie, and shows every kind of job: jobs created at run time, local and global storage,
//! a cleanup, and interleaved retries.
//!
//! ```text
//! cargo run --example movie_night -- -v
//! cargo run --example movie_night -- --battery-state charged --couch-space
//! cargo run --example movie_night -- --no-act
//! cargo run --example movie_night -- --list --graph -
//! ```
//!
//! The world is simulated in the global storage, so every run starts from scratch.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{Parser, ValueEnum};
use dojob::{Context, Deps, DummyJob, Engine, Job, Result, Retry, RunOnlyJob, cli::Flags, deps};
use serde::{Deserialize, Serialize};

/// Gets friends together to watch a movie.
#[derive(Parser, Serialize)]
struct Cli {
    /// Which movie to watch
    #[arg(long, default_value = "Brazil")]
    movie: String,

    /// The state of the batteries in the remote
    #[arg(long, value_enum, default_value = "dead")]
    battery_state: BatteryState,

    /// There is space on the couch
    #[arg(long)]
    couch_space: bool,

    /// The try at which the pizza arrives
    #[arg(long, value_name = "N", default_value_t = 3)]
    pizza_success_try: u32,

    /// The try at which the popcorn is done
    #[arg(long, value_name = "N", default_value_t = 5)]
    pop_success_try: u32,

    /// The try at which there is a clean bowl
    #[arg(long, value_name = "N", default_value_t = 8)]
    bowl_success_try: u32,

    /// Let every piece of work take this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pace: f64,

    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum BatteryState {
    Dead,
    Charged,
}

const FRIENDS: [&str; 4] = ["Ana", "Bilal", "Chiyo", "Dan"];
const MOVIES: [&str; 4] = ["Brazil", "Metropolis", "Stalker", "Paprika"];

/// The delay between tries of jobs that set none themselves.
const RETRY_DELAY: Duration = Duration::ZERO;

/// Whether `what` is true in the simulated world.
fn is(cx: &Context, what: &str) -> Result<bool> {
    Ok(cx.global().get(what)?.unwrap_or(false))
}

fn make(cx: &Context, what: &str) -> Result<()> {
    take_time(cx)?;
    Ok(cx.global().set(what, true)?)
}

fn take_time(cx: &Context) -> Result<()> {
    match cx.arg_opt::<f64>("pace")? {
        Some(pace) if pace > 0.0 => Ok(cx.command("sleep").arg(pace.to_string()).run().map(drop)?),
        _ => Ok(()),
    }
}

/// Makes `what` true, beginning with the try given by the argument `at`.
fn make_at_try(cx: &Context, what: &str, at: &str) -> Result<()> {
    if cx.try_number() >= cx.arg::<u32>(at)? { make(cx, what) } else { take_time(cx) }
}

/// Lights off, everybody quiet.
#[derive(Clone, PartialEq)]
pub struct WatchMovie;

impl Job for WatchMovie {
    fn deps(&self) -> Deps {
        deps![StartMovie]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "everybody watches")?, "Nobody is watching.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        cx.log(format_args!("{} begins", cx.result::<String>("ValidateMovie")?));
        make(cx, "everybody watches")
    }
}

#[derive(Clone, PartialEq)]
struct StartMovie;

impl Job for StartMovie {
    fn deps(&self) -> Deps {
        deps![FriendsArrive, PrepareRoom, TurnOnTv, InsertDvd, SitOnCouch, Food]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "the movie plays")?, "The movie does not play.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        make(cx, "the movie plays")
    }
}

#[derive(Clone, PartialEq)]
struct FriendsArrive;

impl Job for FriendsArrive {
    fn deps(&self) -> Deps {
        deps![InviteFriends]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let arrived: Vec<String> = cx.global().get("arrived")?.unwrap_or_default();
        let missing = FRIENDS.into_iter().find(|friend| !arrived.iter().any(|name| name == friend));
        match missing {
            Some(friend) => bail!("{friend} is not there yet."),
            None => Ok(()),
        }
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        Ok(cx.global().set("arrived", FRIENDS)?)
    }
}

/// One invitation per friend: jobs created while the graph is built.
#[derive(Clone, PartialEq)]
struct InviteFriends;

impl DummyJob for InviteFriends {
    fn deps(&self) -> Deps {
        let mut deps = deps![DetermineDetails];
        deps.extend(FRIENDS.map(|friend| SendInvite { friend }));
        deps
    }
}

#[derive(Clone, PartialEq)]
struct SendInvite {
    friend: &'static str,
}

impl Job for SendInvite {
    fn name(&self) -> String {
        format!("SendInvite {}", self.friend)
    }
    fn deps(&self) -> Deps {
        deps![DetermineDetails]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, &format!("{} is invited", self.friend))?, "{} knows nothing yet.", self.friend);
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let (movie, when): (String, String) = (cx.result("ValidateMovie")?, cx.result("PickTimeAndDate")?);
        cx.log(format_args!("Dear {}, {movie} {when}?", self.friend));
        make(cx, &format!("{} is invited", self.friend))
    }
}

#[derive(Clone, PartialEq)]
struct DetermineDetails;

impl DummyJob for DetermineDetails {
    fn deps(&self) -> Deps {
        deps![ValidateMovie, PickTimeAndDate]
    }
}

/// Its result is the title as spelled in the catalogue.
#[derive(Clone, PartialEq)]
struct ValidateMovie;

impl Job for ValidateMovie {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let wanted: String = cx.arg("movie")?;
        match MOVIES.into_iter().find(|movie| movie.eq_ignore_ascii_case(wanted.trim())) {
            Some(movie) => Ok(cx.set_result(movie)?),
            None => bail!("Nobody has {wanted}; there are {}.", MOVIES.join(", ")),
        }
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        bail!("No shop is open.")
    }
}

#[derive(Clone, PartialEq)]
struct PickTimeAndDate;

impl Job for PickTimeAndDate {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        match cx.global().get::<String>("when")? {
            Some(when) => Ok(cx.set_result(when)?),
            None => bail!("No evening is agreed on."),
        }
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        Ok(cx.global().set("when", "on Friday at eight")?)
    }
}

#[derive(Clone, PartialEq)]
struct PrepareRoom;

impl DummyJob for PrepareRoom {
    fn deps(&self) -> Deps {
        deps![CleanCouch, FluffPillows]
    }
}

/// Borrows the duster, and puts it back at the end.
#[derive(Clone, PartialEq)]
struct CleanCouch;

impl Job for CleanCouch {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "the couch is clean")?, "There are crumbs on the couch.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let duster = "the duster from the closet";
        cx.local().set("borrowed", duster)?;
        cx.log(format_args!("using {duster}"));
        make(cx, "the couch is clean")
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        let borrowed: String = cx.local().require("borrowed")?;
        cx.log(format_args!("putting back {borrowed}"));
        Ok(())
    }
    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }
}

#[derive(Clone, PartialEq)]
struct FluffPillows;

impl RunOnlyJob for FluffPillows {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct TurnOnTv;

impl Job for TurnOnTv {
    fn deps(&self) -> Deps {
        deps![FindTvRemote]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        // Look the batteries up once per try; the recheck uses the stored value.
        if cx.local().get::<BatteryState>("batteries")?.is_none() {
            let batteries: BatteryState = cx.arg("battery_state")?;
            cx.local().set("batteries", batteries)?;
        }
        ensure!(is(cx, "the tv is on")?, "Remote batteries are dead.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        match cx.local().require("batteries")? {
            BatteryState::Charged => make(cx, "the tv is on"),
            BatteryState::Dead => Ok(()),
        }
    }
}

#[derive(Clone, PartialEq)]
struct FindTvRemote;

impl Job for FindTvRemote {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "the remote is here")?, "The remote is not where it was.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        make(cx, "the remote is here")
    }
}

#[derive(Clone, PartialEq)]
struct InsertDvd;

impl Job for InsertDvd {
    fn deps(&self) -> Deps {
        deps![ValidateMovie]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let movie: String = cx.result("ValidateMovie")?;
        let inside: Option<String> = cx.global().get("dvd")?;
        ensure!(inside.as_deref() == Some(&movie), "{movie} is not in the player.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let movie: String = cx.result("ValidateMovie")?;
        Ok(cx.global().set("dvd", movie)?)
    }
}

#[derive(Clone, PartialEq)]
struct SitOnCouch;

impl Job for SitOnCouch {
    fn deps(&self) -> Deps {
        deps![PrepareRoom]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "everybody sits")?, "No space on couch.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        if cx.arg("couch_space")? { make(cx, "everybody sits") } else { Ok(()) }
    }
}

#[derive(Clone, PartialEq)]
struct Food;

impl DummyJob for Food {
    fn deps(&self) -> Deps {
        deps![Popcorn, Pizza]
    }
}

#[derive(Clone, PartialEq)]
struct Popcorn;

impl Job for Popcorn {
    fn deps(&self) -> Deps {
        deps![PopcornBowl]
    }
    fn retry(&self) -> Retry {
        Retry::tries(5)
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "there is popcorn")?, "Still popping...");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        make_at_try(cx, "there is popcorn", "pop_success_try")
    }
}

#[derive(Clone, PartialEq)]
struct PopcornBowl;

impl Job for PopcornBowl {
    fn retry(&self) -> Retry {
        Retry::tries(8)
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(is(cx, "a bowl is clean")?, "Dishwasher cycle not done yet.");
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        make_at_try(cx, "a bowl is clean", "bowl_success_try")
    }
}

#[derive(Clone, PartialEq)]
struct Pizza;

impl RunOnlyJob for Pizza {
    fn retry(&self) -> Retry {
        Retry::tries(3)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(cx.try_number() >= cx.arg("pizza_success_try")?, "Giordano's did not arrive yet.");
        Ok(())
    }
}

#[allow(dead_code, reason = "the test of the pictures uses the jobs alone")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.flags.main(&cli, || Ok(Engine::new(WatchMovie)?.retry_delay(RETRY_DELAY)))
}
