//! What pictures cost: the layout of large graphs, beside Graphviz's where it is installed and done within a minute.
//!
//! `cargo bench --bench pictures` prints a table; nothing is asserted. With `-- DIRECTORY` it leaves the pictures there, for
//! looking at: ours, and those of Graphviz for graphs that are small enough.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench asks the machine for the time")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dojob::{GraphBuilder, JobGraph};

const ROUNDS: usize = 5;
/// Graphviz is not waited for any longer, in seconds.
const PATIENCE: &str = "60";
/// Above this Graphviz has one round.
const SLOW: Duration = Duration::from_secs(5);

/// The name of a file, what it is, and the graph.
type Shape = (&'static str, &'static str, fn() -> JobGraph);

fn job(graph: &mut GraphBuilder, name: String, needs: impl IntoIterator<Item = String>) {
    graph.job(name, |_| Ok(()), |_| Ok(())).after(needs);
}

/// Each job needs two that are close to it on the layer below, and every other one a third, anywhere two layers below.
fn layers(deep: u32, broad: u32) -> JobGraph {
    let mut graph = JobGraph::builder();
    let mut state = 7_u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let name = |layer: u32, place: u32| format!("job {layer}.{place}");
    for layer in 0..deep {
        for place in 0..broad {
            let mut needs: Vec<String> = Vec::new();
            if let Some(below) = layer.checked_sub(1) {
                let first = (place + broad - random(3)) % broad;
                needs.extend([first, (first + 1 + random(2)) % broad].map(|place| name(below, place)));
            }
            if let Some(below) = layer.checked_sub(2).filter(|_| place % 2 == 0) {
                needs.push(name(below, random(broad)));
            }
            job(&mut graph, name(layer, place), needs);
        }
    }
    graph.build().expect("a good graph")
}

/// A host with a web site, as one would provision it: groups of jobs, held together by dummies.
fn host() -> JobGraph {
    const HOST: &str = "\
Repositories
PackageIndex: Repositories
Package nginx: PackageIndex
Package postgresql-16: PackageIndex
Package redis-server: PackageIndex
Package certbot: PackageIndex
Package nftables: PackageIndex
Package prometheus-node-exporter: PackageIndex
Package restic: PackageIndex
Package unattended-upgrades: PackageIndex
*Packages: Package nginx, Package postgresql-16, Package redis-server, Package certbot, Package nftables, Package prometheus-node-exporter, Package restic, Package unattended-upgrades
Timezone Europe/London
Locale en_GB.UTF-8
Hostname www1.example.org
Sysctl vm.overcommit_memory
ConfigFile /etc/apt/apt.conf.d/50unattended-upgrades: Package unattended-upgrades
*Base: Timezone Europe/London, Locale en_GB.UTF-8, Hostname www1.example.org, Sysctl vm.overcommit_memory, ConfigFile /etc/apt/apt.conf.d/50unattended-upgrades, Packages
Group deploy
User deploy: Group deploy
User shop: Group deploy
AuthorizedKeys deploy: User deploy
ConfigFile /etc/sudoers.d/deploy: User deploy
ConfigFile /etc/ssh/sshd_config.d/hardened.conf: AuthorizedKeys deploy
Reload ssh: ConfigFile /etc/ssh/sshd_config.d/hardened.conf
*Users: User deploy, User shop, AuthorizedKeys deploy, ConfigFile /etc/sudoers.d/deploy, Reload ssh
ConfigFile /etc/nftables.conf: Package nftables
Service nftables: ConfigFile /etc/nftables.conf
Port 443: Service nftables
Port 80: Service nftables
*Firewall: Service nftables, Port 80, Port 443
Volume /dev/vdb
Mount /var/lib/postgresql: Volume /dev/vdb
ConfigFile /etc/postgresql/16/main/conf.d/tuning.conf: Package postgresql-16
Service postgresql: Mount /var/lib/postgresql, ConfigFile /etc/postgresql/16/main/conf.d/tuning.conf, Package postgresql-16
Role shop: Service postgresql
Database shop: Role shop
Extension pg_trgm: Database shop
*Databases: Database shop, Extension pg_trgm, Service redis-server
ConfigFile /etc/redis/redis.conf: Package redis-server, Sysctl vm.overcommit_memory
Service redis-server: ConfigFile /etc/redis/redis.conf
Directory /srv/shop: User shop
Secret /etc/shop/environment: User shop, Role shop
Release shop 4.2.1: Directory /srv/shop
Migrations: Release shop 4.2.1, Databases, Secret /etc/shop/environment
ConfigFile /etc/systemd/system/shop.service: Release shop 4.2.1
Service shop: ConfigFile /etc/systemd/system/shop.service, Migrations, Secret /etc/shop/environment
Healthy http://localhost:8000/health: Service shop
Dns www.example.org
Certificate www.example.org: Package certbot, Dns www.example.org, Port 80
ConfigFile /etc/nginx/sites-enabled/shop.conf: Package nginx, Certificate www.example.org
Service nginx: ConfigFile /etc/nginx/sites-enabled/shop.conf, Port 443
Healthy https://www.example.org/: Service nginx, Healthy http://localhost:8000/health
*Site: Healthy https://www.example.org/
ConfigFile /etc/default/prometheus-node-exporter: Package prometheus-node-exporter
Service prometheus-node-exporter: ConfigFile /etc/default/prometheus-node-exporter
Bucket backups-www1
Secret /etc/restic/password
Timer restic-backup: Package restic, Bucket backups-www1, Secret /etc/restic/password, Databases
*Operations: Service prometheus-node-exporter, Timer restic-backup
*Host: Base, Users, Firewall, Site, Operations";
    let mut graph = JobGraph::builder();
    for line in HOST.lines() {
        let (name, needs) = line.split_once(": ").unwrap_or((line, ""));
        let needs = needs.split(", ").filter(|need| !need.is_empty()).map(str::to_owned);
        match name.strip_prefix('*') {
            Some(name) => drop(graph.dummy(name).after(needs)),
            None => job(&mut graph, name.to_owned(), needs),
        }
    }
    graph.build().expect("a good graph")
}

fn chain(length: u32) -> JobGraph {
    let mut graph = JobGraph::builder();
    let name = |at: u32| format!("link {at}");
    for at in 0..length {
        job(&mut graph, name(at), at.checked_sub(1).map(name));
    }
    graph.build().expect("a good graph")
}

/// One job that all others need.
fn needed_by(many: u32) -> JobGraph {
    let mut graph = JobGraph::builder();
    job(&mut graph, "hub".to_owned(), []);
    (0..many).for_each(|at| job(&mut graph, format!("job {at}"), ["hub".to_owned()]));
    graph.build().expect("a good graph")
}

/// One job that needs all others.
fn needing(many: u32) -> JobGraph {
    let mut graph = JobGraph::builder();
    let name = |at: u32| format!("job {at}");
    (0..many).for_each(|at| job(&mut graph, name(at), []));
    job(&mut graph, "hub".to_owned(), (0..many).map(name));
    graph.build().expect("a good graph")
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What `dot` makes of the text, unless that takes too long.
fn graphviz(dot: &str, format: &str) -> Option<Vec<u8>> {
    let mut child = Command::new("timeout")
        .args([PATIENCE, "dot", format])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // One that has ended reads no more.
    let _ = child.stdin.take()?.write_all(dot.as_bytes());
    let output = child.wait_with_output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// How long `dot` takes; nothing where it is not there or takes too long.
fn graphviz_time(dot: &str) -> Option<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let (time, svg) = timed(|| graphviz(dot, "-Tsvg"));
        svg?;
        times.push(time);
        if time > SLOW {
            break;
        }
    }
    Some(median(times))
}

fn main() {
    // Cargo itself adds `--bench`.
    let directory = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let shapes: [Shape; 8] = [
        ("layers-60", "60 in 6 layers", || layers(6, 10)),
        ("host-60", "60 that provision a host", host),
        ("layers-300", "300 in 10 layers", || layers(10, 30)),
        ("layers-2000", "2,000 in 20 layers", || layers(20, 100)),
        ("layers-10000", "10,000 in 50 layers", || layers(50, 200)),
        ("chain-10000", "a chain of 10,000", || chain(10_000)),
        ("needed-10000", "one that 10,000 need", || needed_by(10_000)),
        ("needing-10000", "one that needs 10,000", || needing(10_000)),
    ];
    println!("{:<26} {:>6} {:>6} {:>10} {:>10} {:>10}", "", "jobs", "wires", "ours", "size", "Graphviz");
    for (file, what, graph) in shapes {
        let graph = graph();
        let times = (0..ROUNDS).map(|_| timed(|| graph.to_svg()).0).collect();
        let (svg, dot) = (graph.to_svg(), graph.to_dot());
        let theirs = graphviz_time(&dot);
        println!(
            "{what:<26} {:>6} {:>6} {:>7.1} ms {:>7} kB {:>10}",
            graph.len(),
            graph.dependency_count(),
            median(times).as_secs_f64() * 1e3,
            svg.len() / 1000,
            theirs.map_or("-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3)),
        );
        if let Some(directory) = &directory {
            let path = |ending: &str| Path::new(directory).join(format!("{file}{ending}"));
            fs::write(path(".svg"), svg).expect("a directory to write to");
            if let Some(png) = (graph.len() <= 300).then(|| graphviz(&dot, "-Tpng")).flatten() {
                fs::write(path("-graphviz.png"), png).expect("a directory to write to");
            }
        }
    }
}
