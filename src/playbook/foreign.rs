//! What other tools call things, and what is written here instead.
//!
//! Data: one table for the keys of a task, one for the keys of a playbook and one for task types, with the words of
//! Ansible, Salt and Puppet.

/// A word of other tools and what to write instead.
struct Advice {
    /// The words, as the other tools have them.
    words: &'static [&'static str],
    /// The task types that the advice is about; without them in a program there is no such advice.
    types: &'static [&'static str],
    /// What to write.
    advice: &'static str,
}

const fn entry(
    words: &'static [&'static str],
    types: &'static [&'static str],
    advice: &'static str,
) -> Advice {
    Advice { words, types, advice }
}

/// Keys of a task.
const TASK_KEYS: &[Advice] = &[
    entry(
        &["when", "onlyif", "only_if", "unless", "not_if", "if"],
        &[],
        "there are no conditions: a task's check decides; choose tasks with `tags`, elements with `for_each`, or make the list or value depend on a variable",
    ),
    entry(&["register_as", "set_fact"], &[], "write `register: NAME`, and use it as `${results.NAME}`"),
    entry(
        &["notify", "listen", "watch", "watch_in", "onchanges", "onchanges_in", "subscribe"],
        &["service"],
        "a `service` names what it follows: `restart_on: [ID]` or `reload_on: [ID]` in its `args`",
    ),
    entry(
        &["notify", "listen", "watch", "onchanges", "subscribe"],
        &[],
        "what follows on a change names the tasks that it follows, by their `id`, in its `args`",
    ),
    entry(
        &[
            "with_items",
            "loop",
            "with_list",
            "with_flattened",
            "with_indexed_items",
            "with_sequence",
            "with_subelements",
            "foreach",
            "items",
        ],
        &[],
        "write `for_each: [ … ]`, and `${item}` in `args`",
    ),
    entry(
        &["with_dict", "with_nested", "with_together", "with_cartesian", "with_random_choice"],
        &[],
        "write `for_each` with a list of objects, and `${item.NAME}` in `args`",
    ),
    entry(
        &["with_fileglob", "with_first_found", "with_filetree", "with_lines"],
        &[],
        "write `for_each` with a list; it has to be known before the run",
    ),
    entry(
        &["loop_control", "loop_var", "label"],
        &[],
        "the element of `for_each` is always `${item}`; a job is named after its `id` and the element's `name`, `id`, `key` or `path`",
    ),
    entry(
        &["until", "retries", "attempts", "retry"],
        &[],
        "write `tries: N`; whether it is done is what the task's check says",
    ),
    entry(&["delay", "try_sleep", "interval"], &[], "write `retry_delay: 5s`"),
    entry(
        &["changed_when", "failed_when", "check_cmd", "creates", "removes"],
        &["command"],
        "a `command` has `check` or `creates` in its `args`, which say whether it is in place",
    ),
    entry(
        &["ignore_errors", "ignore_unreachable", "failhard", "any_errors_fatal", "max_fail_percentage"],
        &[],
        "there is none: a task that fails keeps back those that wait for it, and in `order: graph` no others",
    ),
    entry(&["become_user", "runas", "user", "remote_user", "sudo", "sudo_user"], &[], "write `become: USER`"),
    entry(
        &["become_method", "become_flags", "become_exe"],
        &[],
        "write `become { user: USER, method: sudo }`",
    ),
    entry(
        &["block", "rescue", "always"],
        &[],
        "write a group, whose tasks are reverted when one of them fails: `{ group { name: NAME, on_failure: revert, tasks: [ … ] } }`",
    ),
    entry(
        &["handlers", "handler"],
        &["service"],
        "there are no handlers: a `service` has `restart_on` and `reload_on` in its `args`",
    ),
    entry(
        &["vars", "vars_files", "vars_prompt", "module_defaults", "defaults"],
        &[],
        "variables are below `vars` at the root of the playbook; share arguments by `args: ${vars.NAME} { … }`",
    ),
    entry(
        &["environment", "env"],
        &["command"],
        "write `env { NAME: value }` among the `args` of a `command`",
    ),
    entry(
        &["no_log", "diff"],
        &[],
        "take what is secret from `${secrets.NAME}`, which is masked in all that is shown; types that show differences have `hide`",
    ),
    entry(
        &["check_mode", "noop"],
        &[],
        "`dojob plan` and `--no-act` change nothing; a single task cannot be a dry run",
    ),
    entry(
        &[
            "delegate_to",
            "delegate_facts",
            "local_action",
            "connection",
            "run_once",
            "hosts",
            "throttle",
            "serial",
            "strategy",
        ],
        &[],
        "a playbook is about the machine on which it runs",
    ),
    entry(
        &["async", "poll"],
        &[],
        "write `timeout: 10 min`; tasks of `order: graph` run at the same time with `--jobs`",
    ),
    entry(
        &["require", "requires", "require_in", "before", "depends_on", "needs", "after_task"],
        &[],
        "write `order: graph` at the root of the playbook, and `after: [ID]` in the task",
    ),
    entry(&["description", "title", "desc", "comment"], &[], "write `id`: what the task is called"),
    entry(
        &["type", "module", "action", "state"],
        &[],
        "the task type is its `name`, and what is wanted of it in `args`",
    ),
    entry(&["params", "arguments", "with", "parameters", "options"], &[], "write `args { … }`"),
    entry(&["tag"], &[], "write `tags`"),
];

/// Keys of a playbook.
const PLAYBOOK_KEYS: &[Advice] = &[
    entry(
        &["hosts", "connection", "serial", "strategy", "gather_facts", "remote_user"],
        &[],
        "a playbook is about the machine on which it runs; leave it out",
    ),
    entry(
        &["handlers"],
        &["service"],
        "there are no handlers: a `service` has `restart_on` and `reload_on` in its `args`",
    ),
    entry(
        &["roles", "include", "import_playbook", "imports", "collections", "includes", "vars_files"],
        &[],
        "write `include \"FILE\"` on a line of its own; `dojob run DIRECTORY` takes several files as one",
    ),
    entry(
        &["pre_tasks", "post_tasks", "steps", "jobs", "resources", "states"],
        &[],
        "all tasks are in `tasks`, in their order",
    ),
    entry(
        &["become", "become_user", "environment", "tags"],
        &[],
        "it is set on each task; share it by `${vars.NAME} { … }`",
    ),
    entry(
        &["variables", "defaults", "vars_prompt", "params", "parameters"],
        &[],
        "write `vars { … }`; `--vars` and `--set` put something over them",
    ),
    entry(&["name", "description", "title"], &[], "a playbook has no name; write a comment: `# …`"),
];

/// Task types.
const TYPES: &[Advice] = &[
    entry(
        &["copy", "assemble", "managed", "slurp", "file_managed"],
        &["file"],
        "write `file` with `content` or `source`",
    ),
    entry(
        &[
            "command",
            "shell",
            "raw",
            "exec",
            "cmd",
            "expect",
            "win_command",
            "win_shell",
            "run",
            "cmd_run",
            "execute",
        ],
        &["command"],
        "write `command` with `run`, and `check` or `creates`",
    ),
    entry(&["script", "bash"], &["shell_script"], "write `shell_script` with `script_path`"),
    entry(
        &["stat"],
        &["assert"],
        "a check looks for itself; to insist on a file, write `assert` with `exists: [PATH]`",
    ),
    entry(&["fail", "validate_argument_spec", "test"], &["assert"], "write `assert`, with what has to be so"),
    entry(
        &[
            "debug",
            "pause",
            "meta",
            "notify",
            "echo",
            "setup",
            "gather_facts",
            "service_facts",
            "package_facts",
            "ceph_key_info",
            "getent",
            "find",
            "fetch",
            "tempfile",
        ],
        &[],
        "there is none: a task makes something so, and its results are shown with `-v`; facts of the machine are `${facts.NAME}`",
    ),
    entry(
        &["set_fact", "include_vars", "var", "variable"],
        &[],
        "variables are below `vars` at the root of the playbook; what another task has found out is `${results.NAME}`",
    ),
    entry(
        &["include_tasks", "import_tasks", "import_role", "include_role", "import_playbook", "include"],
        &[],
        "write `include \"FILE\"` at the root of the playbook; `tasks` of several files are joined by `dojob run DIRECTORY`, or with `tasks: ${tasks} [ … ]`",
    ),
    entry(
        &[
            "apt",
            "yum",
            "dnf",
            "dnf5",
            "pacman",
            "apk",
            "zypper",
            "homebrew",
            "homebrew_cask",
            "pkg",
            "pkgng",
            "apt_pkg",
            "aptpkg",
            "portage",
            "package_manager",
            "installed",
            "pkg_installed",
        ],
        &["package"],
        "write `package` with `names` and `state`",
    ),
    entry(
        &["apt_repository", "apt_key", "rpm_key", "yum_repository", "deb822_repository", "pkgrepo"],
        &["file", "download", "package"],
        "write the key with `download`, the source list with `file`, and a `package` with `update_cache: 0s`",
    ),
    entry(
        &["dpkg_divert", "dpkg_selections", "debconf", "alternatives", "modprobe", "kernel_module"],
        &["command"],
        "there is none; write `command` with `run` and a `check` that says whether it is so",
    ),
    entry(
        &["systemd", "systemd_service", "sysvinit", "service_running", "svc", "openrc", "runit"],
        &["service"],
        "write `service`; units are reloaded automatically",
    ),
    entry(
        &["get_url", "wget", "curl", "remote_file", "fetch_url"],
        &["download"],
        "write `download` with `url` and `path`",
    ),
    entry(&["uri", "http", "url"], &["http_request"], "write `http_request`"),
    entry(
        &["lineinfile", "file_line", "win_lineinfile", "line_in_file", "append"],
        &["line"],
        "write `line` with `path`, `line` and `regex`",
    ),
    entry(
        &["blockinfile", "block_in_file", "blockreplace"],
        &["block"],
        "write `block` with `path`, `name` and `content`",
    ),
    entry(
        &[
            "ini_file",
            "ini_setting",
            "xml",
            "json_file",
            "yaml_file",
            "toml_file",
            "config_template",
            "git_config",
            "pam_limits",
        ],
        &["setting"],
        "write `setting` with `path`, `key` and `value`, for INI, TOML, JSON and YAML",
    ),
    entry(&["regexp", "sed"], &["replace"], "write `replace` with `regex` and `replacement`"),
    entry(
        &["sysctl"],
        &["setting", "command"],
        "write `setting` for the file below /etc/sysctl.d, and `command` with `run: [sysctl, --system]`",
    ),
    entry(
        &["unpack", "extract", "tar", "unzip", "archive_extracted"],
        &["unarchive"],
        "write `unarchive` with `source` and `dest`; a URL is fetched by a `download` before it",
    ),
    entry(
        &["zip", "tarball", "community_archive"],
        &["archive"],
        "write `archive` with `input_directory_path` and `target_file_path`",
    ),
    entry(
        &["git", "vcsrepo", "subversion", "hg", "checkout"],
        &["git_checkout"],
        "write `git_checkout` with `repo`, `dest` and `version`",
    ),
    entry(
        &["cron", "crontab", "cron_d", "cronjob"],
        &["cron_entry"],
        "write `cron_entry` with `name`, `schedule` and `command`",
    ),
    entry(
        &["authorized_keys", "ssh_authorized_key", "ssh_key", "ssh_auth"],
        &["authorized_key"],
        "write `authorized_key` with `user` and `key`",
    ),
    entry(&["useradd", "account", "win_user"], &["user"], "write `user`"),
    entry(&["groupadd"], &["group"], "write `group`"),
    entry(
        &["hostsfile", "host", "etc_hosts", "add_host"],
        &["hosts"],
        "write `hosts` with `ip` and `names`, for /etc/hosts",
    ),
    entry(
        &["link", "ln", "file_link", "file_symlink"],
        &["symlink"],
        "write `symlink` with `path` and `target`",
    ),
    entry(&["mkdir", "dir", "file_directory", "folder"], &["directory"], "write `directory` with `path`"),
    entry(&["rm", "remove", "delete", "file_absent", "unlink"], &["absent"], "write `absent` with `path`"),
    entry(
        &["synchronize", "rsync", "file_recurse"],
        &["command", "unarchive"],
        "there is none; write `unarchive` or `git_checkout`, or `command` with `run: [rsync, …]` and a `check` with `--dry-run`",
    ),
    entry(
        &["mount", "filesystem", "lvol", "lvg", "parted", "swap"],
        &["line", "command"],
        "there is none; write `line` for /etc/fstab, and `command` with a `check` such as `findmnt PATH`",
    ),
    entry(
        &[
            "docker_container",
            "docker_network",
            "docker_image_pull",
            "docker_image_build",
            "docker_image",
            "docker_compose",
            "docker_compose_v2",
            "podman_container",
            "kube",
            "kubernetes",
            "k8s",
            "helm",
        ],
        &["command"],
        "there is none; write the configuration with `template`, and `command` with `run` and a `check` that asks the tool",
    ),
    entry(
        &["ufw", "firewalld", "iptables", "nftables", "firewall"],
        &["template", "command"],
        "there is none; write the rules with `template`, and `command` with `run` and `check`",
    ),
    entry(
        &[
            "mysql_db",
            "mysql_user",
            "postgresql_db",
            "postgresql_user",
            "run_occ",
            "composer",
            "npm",
            "pip",
            "gem",
            "ceph_key",
            "ceph_volume",
            "ceph_pool",
            "gce_net",
            "yarn",
            "cargo",
        ],
        &["command"],
        "there is none; write `command` with `run` and a `check` that says whether it is so",
    ),
    entry(
        &["wait_for_connection", "wait", "sleep", "reboot"],
        &["wait_for"],
        "write `wait_for` with what has to be so; nothing waits for a machine to start again",
    ),
    entry(
        &["hostname", "timezone", "locale_gen", "locale"],
        &["file", "command"],
        "write `file` for its file below /etc, or `command` with `run` and `check`",
    ),
    entry(&["known_hosts"], &["line"], "write `line` for the file known_hosts"),
    entry(
        &[
            "acl",
            "selinux",
            "seboolean",
            "capabilities",
            "setcap",
            "openssl_privatekey",
            "openssl_csr",
            "x509_certificate",
        ],
        &["command"],
        "there is none; write `command` with `run` and a `check` that says whether it is so",
    ),
];

/// What to write instead of a key of a task; `has`: whether the program has a task type.
pub(super) fn task_key(key: &str, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let known = find(TASK_KEYS, key, has);
    let loops = || key.strip_prefix("with_").and_then(|_| find(TASK_KEYS, "loop", has));
    known.or_else(loops).or_else(|| {
        // A task in the form `module: { … }`.
        let word = last(key);
        if has(word) {
            return Some(format!("the task type is its `name`: `{{ name: {word}, args {{ … }} }}`"));
        }
        let advice = find(TYPES, word, has)?;
        Some(format!("the task type is its `name`, with `args {{ … }}` beside it; for `{word}` {advice}"))
    })
}

/// What to write instead of a key of a playbook.
pub(super) fn playbook_key(key: &str) -> Option<String> {
    find(PLAYBOOK_KEYS, key, &|_| true)
}

/// What to write instead of a task type.
pub(super) fn task_type(name: &str, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let word = last(name.trim());
    if word.contains(char::is_whitespace) {
        return Some("the `name` of a task is its type; what it is called by people is its `id`".to_owned());
    }
    if word != name && has(word) {
        return Some(format!("write `{word}`"));
    }
    find(TYPES, &word.to_lowercase(), has)
}

/// The word without the collection that it is from: `ansible.builtin.copy`, `file.managed`.
fn last(word: &str) -> &str {
    word.rsplit(['.', ':']).next().unwrap_or(word)
}

fn find(table: &[Advice], word: &str, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut entries = table.iter().filter(|entry| entry.words.contains(&word));
    let found = entries.find(|entry| entry.types.iter().all(|name| has(name)))?;
    Some(found.advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_people_write_often_has_its_advice() {
        let all = |_: &str| true;
        let keys = "when register_as with_items with_foo changed_when notify loop become_user block failed_when \
            delegate_to until no_log loop_control check_mode vars run_once environment retries delay ignore_errors \
            listen with_dict with_together rescue delegate_facts user with_nested async poll with_first_found hosts \
            handlers always";
        for key in keys.split_whitespace() {
            assert!(task_key(key, &all).is_some(), "{key}");
        }
        let modules = "command set_fact include_tasks import_role fail copy stat shell import_tasks lineinfile \
            systemd apt debug docker_container meta include_role get_url git uri pause find include_vars dpkg_divert \
            ufw dnf docker_network docker_image_pull pacman kube apt_repository systemd_service sysctl cron raw slurp \
            mount homebrew win_lineinfile docker_image_build setup firewalld apt_key pip modprobe blockinfile ini_file \
            fetch git_config mysql_db iptables mysql_user yum run_occ getent";
        for module in modules.split_whitespace() {
            assert!(task_type(module, &all).is_some(), "{module}");
        }
    }

    #[test]
    fn advice_names_only_types_that_the_program_has() {
        let none = |_: &str| false;
        assert_eq!(task_type("copy", &none), None);
        assert!(task_key("notify", &none).is_some_and(|advice| !advice.contains("service")));
        let no_copy = |name: &str| name != "copy";
        assert!(task_type("ansible.builtin.copy", &no_copy).is_some_and(|advice| advice.contains("`file`")));
        assert_eq!(task_type("ansible.builtin.user", &|_| true).as_deref(), Some("write `user`"));
    }
}
