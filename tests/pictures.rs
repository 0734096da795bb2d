//! The pictures in `graphs/` are those of the examples as they are now.
//!
//! When this fails: `RENEW=1 cargo test --test pictures` writes them anew. Look at them before you commit them.

use std::path::{Path, PathBuf};

use dojob::{Engine, VirtualClock};

#[path = "../examples/mirrors.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, reason = "an example, of which only the jobs are used")]
mod mirrors;

#[path = "../examples/movie_night.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, reason = "an example, of which only the jobs are used")]
mod movie_night;

#[path = "../examples/site.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, reason = "an example, of which only the jobs are used")]
mod site;

fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs")
}

/// Compares a picture with the file of that name, or renews the file.
fn is_current(name: &str, picture: &str) {
    let path = graphs().join(name);
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(&path, picture).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == picture,
        "graphs/{name} is stale; `RENEW=1 cargo test --test pictures` renews it\n--- it should be\n{picture}"
    );
}

fn movie_night() -> Engine {
    let args = serde_json::json!({
        "movie": "Brazil", "battery_state": "dead", "couch_space": false,
        "pizza_success_try": 3, "pop_success_try": 5, "bowl_success_try": 8,
    });
    // A clock that stands still, so that the picture after a run is always the same.
    Engine::new(movie_night::WatchMovie).unwrap().args(&args).unwrap().clock(VirtualClock::new())
}

#[test]
fn site_before_a_run() {
    let site = Engine::new(site::Site).unwrap();
    is_current("site.dot", &site.graph().to_dot());
    is_current("site.svg", &site.graph().to_svg());
}

#[test]
fn movie_night_before_a_run() {
    is_current("movie_night.dot", &movie_night().graph().to_dot());
    is_current("movie_night.svg", &movie_night().graph().to_svg());
}

#[test]
fn movie_night_after_a_run() {
    is_current("movie_night-after.dot", &movie_night().converge().to_dot());
    is_current("movie_night-after.svg", &movie_night().converge().to_svg());
}

#[test]
fn movie_night_after_a_dry_run() {
    is_current("movie_night-no-act.dot", &movie_night().no_act(true).converge().to_dot());
    is_current("movie_night-no-act.svg", &movie_night().no_act(true).converge().to_svg());
}

#[test]
fn mirrors_after_a_run_in_which_the_first_one_lacks_a_package() {
    let home = tempfile::tempdir().unwrap();
    let mirror = |name: &str, packages: &[&str]| {
        let directory = home.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        packages.iter().for_each(|package| std::fs::write(directory.join(package), name).unwrap());
        directory
    };
    let mirrors = vec![mirror("first", &["app"]), mirror("second", &["app", "lib"])];
    let args = serde_json::json!({ "mirrors": mirrors });
    let packages = ["app", "lib"].map(str::to_owned).to_vec();
    let index = mirrors::Index { root: home.path().join("root"), packages, mirrors };
    // One job at a time, so that the tries of the first attempt are always the same.
    let mut engine = Engine::new(index).unwrap().args(&args).unwrap().workers(1).clock(VirtualClock::new());
    let report = engine.converge();
    assert!(report.success(), "{report:?}");
    let without_home = |picture: String| picture.replace(home.path().to_str().unwrap(), "/srv");
    is_current("mirrors-after.dot", &without_home(report.to_dot()));
    is_current("mirrors-after.svg", &without_home(report.to_svg()));
}
