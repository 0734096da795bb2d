//! Every ready-made job once: what a configuration calls it, what it needs, what its fields are, and how it is used.
//!
//! The page `jobs/README.md` is made of it.

use dojob::{AnyJob, IntoJob};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::*;

/// What a group of jobs is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Area {
    /// Files, directories and links.
    Files,
    /// Parts of files, all else in them kept.
    PartsOfFiles,
    /// Archives.
    Archives,
    /// What is elsewhere on the net.
    Net,
    /// Programs and what they come to.
    Commands,
    /// Users, packages, services and the rest of a system.
    System,
}

/// What a job needs beside the right to write what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The rights of root.
    Root,
    /// Somebody on the net who answers.
    Net,
    /// One of these programs.
    Program(&'static str),
}

/// A type of jobs.
#[derive(Clone, Copy)]
pub struct CatalogueEntry {
    type_name: &'static str,
    area: Area,
    needs: &'static [Need],
    example: &'static str,
    schema: fn() -> Schema,
    read: fn(Value) -> serde_json::Result<AnyJob>,
}

impl CatalogueEntry {
    const fn of<T: IntoJob<M> + DeserializeOwned + JsonSchema, M>(
        type_name: &'static str,
        area: Area,
        needs: &'static [Need],
        example: &'static str,
    ) -> Self {
        CatalogueEntry { type_name, area, needs, example, schema: schema::<T>, read: read::<T, M> }
    }

    /// What a configuration calls it: `git_checkout`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for letter in self.type_name.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }

    /// What it is called in Rust: `GitCheckout`.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// What it is about.
    pub fn area(&self) -> Area {
        self.area
    }

    /// What it needs beside the right to write what it is about.
    pub fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// A task in HOCON that shows how it is used: `{ name: file, args: { … } }`.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// The JSON Schema of its arguments, with all that is said about them.
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// The job with these arguments.
    ///
    /// # Errors
    /// When they are not those of this type, or are known to be wrong without looking at any machine.
    pub fn job(&self, args: Value) -> serde_json::Result<AnyJob> {
        (self.read)(args)
    }
}

impl std::fmt::Debug for CatalogueEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogueEntry").field("type_name", &self.type_name).finish_non_exhaustive()
    }
}

fn schema<T: JsonSchema>() -> Schema {
    schemars::schema_for!(T)
}

fn read<T: IntoJob<M> + DeserializeOwned, M>(args: Value) -> serde_json::Result<AnyJob> {
    Ok(serde_json::from_value::<T>(args)?.into_job())
}

/// All types of jobs that this build has, ordered by area and name.
pub fn entries() -> &'static [CatalogueEntry] {
    ENTRIES
}

/// One line a type: `Type: Area, [needs], "example";`.
macro_rules! catalogue {
    ($($(#[$cfg:meta])? $Type:ident: $area:ident, [$($need:expr),*], $example:literal;)*) => {
        const ENTRIES: &[CatalogueEntry] = &[$(
            $(#[$cfg])?
            CatalogueEntry::of::<$Type, _>(stringify!($Type), Area::$area, &[$($need),*], $example),
        )*];

        $(
            #[cfg(feature = "playbook")]
            $(#[$cfg])?
            dojob::task_type!($Type, example = $example);
        )*
    };
}

catalogue! {
    Absent: Files, [], "{ name: absent, args: { path: /etc/nginx/sites-enabled/default } }";
    Directory: Files, [], r#"{ name: directory, args: { path: /srv/site, mode: "0750", owner: www-data } }"#;
    File: Files, [], r#"{ name: file, args: { path: /etc/motd, content: "Welcome!\n", mode: "0644" } }"#;
    Prune: Files, [], r#"{ name: prune, args: { path: /var/backups, keep: 7, patterns: ["*.tar.gz"] } }"#;
    Symlink: Files, [], "{ name: symlink, args: { path: /srv/site/current, target: releases/42 } }";
    Template: Files, [], r#"{ name: template, args: {
  path: /etc/motd
  template: "Welcome to {{ host }}!\n"
  vars: { host: athena }
} }"#;

    Block: PartsOfFiles, [], r#"{ name: block, args: {
  path: /etc/hosts
  name: site
  content: """10.0.0.7 db
10.0.0.8 web"""
} }"#;
    Line: PartsOfFiles, [], r#"{ name: line, args: {
  path: /etc/ssh/sshd_config
  line: PermitRootLogin no
  regex: "^#?PermitRootLogin "
  validate: [sshd, -t, -f, "{}"]
} }"#;
    Replace: PartsOfFiles, [], r#"{ name: replace, args: {
  path: /etc/apt/sources.list
  regex: "http://old\\.example/"
  replacement: "https://new.example/"
} }"#;
    Setting: PartsOfFiles, [], r#"{ name: setting, args: { path: /etc/app/config.toml, key: server.port, value: 8080 } }"#;

    #[cfg(feature = "archive")]
    Archive: Archives, [], r#"{ name: archive, args: {
  input_directory_path: /srv/site
  target_file_path: /var/backups/site.tar.gz
  exclude: ["*.log", /cache]
} }"#;
    #[cfg(feature = "archive")]
    Unarchive: Archives, [], r#"{ name: unarchive, args: {
  source: /var/cache/node.tar.gz
  dest: /opt/node
  strip_components: 1
} }"#;

    #[cfg(feature = "http")]
    Download: Net, [Need::Net], r#"{ name: download, args: {
  url: "https://example.org/app-1.2.tar.gz"
  path: /var/cache/app-1.2.tar.gz
  sha256: 8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8
} }"#;
    GitCheckout: Net, [Need::Net, Need::Program("git")], r#"{ name: git_checkout, args: {
  repo: "https://git.example.com/app.git"
  dest: /srv/app
  version: v1.2
} }"#;
    #[cfg(feature = "http")]
    HttpRequest: Net, [Need::Net], r#"{ name: http_request, args: {
  url: "https://grafana.example/api/teams/7"
  expect: { json: { "/name": ops } }
  send: { method: PUT, json: { name: ops } }
} }"#;
    #[cfg(feature = "http")]
    Upload: Net, [Need::Net], r#"{ name: upload, args: {
  path: /var/backups/site.tar.gz
  url: "https://store.example/site.tar.gz"
} }"#;

    Assert: Commands, [], r#"{ name: assert, args: {
  message: "this is for Debian on two processors or more"
  facts: { os.family: debian, hardware.cpus: { min: 2 } }
  exists: [/etc/debian_version]
} }"#;
    Command: Commands, [], r#"{ name: command, args: {
  run: [make, -C, /srv/app]
  check: [make, -q, -C, /srv/app]
  timeout: 10 min
} }"#;
    ShellScript: Commands, [], r#"{ name: shell_script, args: { script_path: /srv/app/deploy.sh, script_args: [--now] } }"#;
    WaitFor: Commands, [], r#"{ name: wait_for, args: { until: { port_open: "127.0.0.1:5432" }, timeout: 2 min } }"#;

    AuthorizedKey: System, [], r#"{ name: authorized_key, args: {
  user: rosa
  key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Pq0zQw0dM3k0kNnCq2Qv6wJq0m7s1Yl0T8bU3xHcE rosa@laptop"
} }"#;
    CronEntry: System, [], r#"{ name: cron_entry, args: {
  name: backup
  schedule: "30 3 * * *"
  command: /usr/local/bin/backup --all
  user: rosa
} }"#;
    Group: System, [Need::Root], r#"{ name: group, args: { name: deploy, gid: 990 } }"#;
    Hosts: System, [Need::Root], r#"{ name: hosts, args: { ip: "10.0.0.7", names: [db.internal, db] } }"#;
    Package: System, [Need::Root, Need::Program("apt-get")], r#"{ name: package, args: { names: [git, curl], update_cache: 1 day } }"#;
    Service: System, [Need::Root, Need::Program("systemctl")], r#"{ name: service, args: {
  name: nginx
  state: running
  enabled: true
  reload_on: [nginx-conf]
} }"#;
    User: System, [Need::Root], r#"{ name: user, args: { name: rosa, shell: /bin/bash, groups: [docker, adm] } }"#;
}
