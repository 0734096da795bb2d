use std::fs;
use std::path::Path;

use dojob::{Engine, IntoJob};
use dojob_jobs::Template;
use serde_json::json;

use crate::support::*;

const HOSTS: &str = "\
{# who is who #}
{% for host in hosts %}
{{ host.address }} {{ host.name }}
{% endfor %}
";

fn hosts(root: &Path) -> Template {
    let hosts = json!([{ "name": "db", "address": "10.0.0.7" }, { "name": "web", "address": "10.0.0.8" }]);
    Template::new(root.join("hosts"), HOSTS).var("hosts", hosts)
}

fn rendered(template: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    let job = Template::new(root.path().join("x.html"), template).var("a", "<b>").var("n", 3);
    let report = converge(job);
    assert!(report.success(), "{}", failures(&report, root.path()));
    read(&root.path().join("x.html"))
}

/// Why nothing can be made of a template.
fn error(template: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    let text =
        unknown(Template::new(root.path().join("x"), template).var("a", json!({ "b": 1 })), root.path());
    text.strip_prefix("could not find out what ROOT/x is to say: ").unwrap_or(&text).to_owned()
}

#[test]
fn a_file_is_made_from_a_template() {
    let root = prove(|_| {}, |root| hosts(root).mode(0o640).into_job());
    assert_eq!(read(&root.path().join("hosts")), "10.0.0.7 db\n10.0.0.8 web\n");
    assert_eq!(mode(&root.path().join("hosts")), 0o640);
    fs::write(root.path().join("hosts"), "10.0.0.7 db\n").unwrap();
    assert_eq!(
        would(hosts(root.path()), root.path()),
        (
            "ROOT/hosts differs".into(),
            "--- ROOT/hosts\n+++ ROOT/hosts (wanted)\n@@ -1 +1,2 @@\n 10.0.0.7 db\n+10.0.0.8 web\n".into()
        )
    );
}

#[test]
fn where_it_is_is_handed_on() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let report = converge(hosts(root.path()));
        let wanted = json!({ "path": root.path().join("hosts") });
        assert_eq!(report.jobs().last().unwrap().result(), Some(&wanted));
    }
}

#[test]
fn what_is_written_is_plain_text() {
    assert_eq!(rendered("{{ a }}\n"), "<b>\n");
    assert_eq!(rendered("{% if n > 2 %}\nmany\n{% endif %}\nend"), "many\nend");
    assert_eq!(rendered("{{ b | default('none') }} {{ n + 1 }} {{ a | upper }}"), "none 4 <B>");
    assert_eq!(rendered("no tags\n\n"), "no tags\n\n");
}

#[test]
fn what_is_not_there_is_an_error_with_its_line() {
    assert_eq!(error("one\ntwo {{ who }}\n"), "undefined value: `who` is undefined (in template:2)");
    assert!(error("{{ a.c }}").contains("(in template:1)"), "{}", error("{{ a.c }}"));
    assert!(error("\n{% for x in xs %}{% endfor %}").contains("(in template:2)"));
    assert!(error("{% if who %}{% endif %}").contains("undefined value"));
    assert!(error("{{ a | nothing }}").contains("filter nothing is unknown (in template:1)"));
    let endless = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
    assert!(error(endless).contains("fuel"), "{}", error(endless));
    assert!(error("{% include 'other' %}").contains("non-existing template 'other'"));
}

#[test]
fn a_template_in_a_file_may_include_others() {
    let prepare = |root: &Path| {
        fs::create_dir(root.join("templates")).unwrap();
        fs::write(root.join("templates/motd"), "Hi {{ who }}\n{% include 'rest' %}\n").unwrap();
        fs::write(root.join("templates/rest"), "Bye {{ who }}\n").unwrap();
    };
    let job = |root: &Path| Template::from_file(root.join("motd"), root.join("templates/motd"));
    let root = prove(prepare, |root| job(root).var("who", "you").into_job());
    assert_eq!(read(&root.path().join("motd")), "Hi you\nBye you\n");
    fs::write(root.path().join("templates/rest"), "\n{{ whom }}\n").unwrap();
    let text = unknown(job(root.path()).var("who", "you"), root.path());
    assert!(text.contains("`whom` is undefined (in rest:2)"), "{text}");
    fs::write(root.path().join("templates/motd"), "{% include '../motd' %}").unwrap();
    let text = unknown(job(root.path()), root.path());
    assert!(text.contains("non-existing template '../motd'"), "{text}");
    fs::write(root.path().join("templates/motd"), "\n{% if %}\n").unwrap();
    let text = unknown(job(root.path()), root.path());
    assert!(text.contains("syntax error") && text.contains("ROOT/templates/motd:2)"), "{text}");
    fs::remove_file(root.path().join("templates/motd")).unwrap();
    assert_eq!(
        unknown(job(root.path()), root.path()),
        "could not find out what ROOT/motd is to say: there is no template ROOT/templates/motd"
    );
    fs::write(root.path().join("templates/motd"), b"\xff").unwrap();
    let text = unknown(job(root.path()), root.path());
    let wanted = "what ROOT/templates/motd says: it is not UTF-8: line 1, offset 0: the byte 0xff";
    assert!(text.ends_with(wanted), "{text}");
}

#[test]
fn what_is_included_has_to_be_a_file() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("templates/directory")).unwrap();
    let pipe = root.path().join("templates/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    fs::File::create(root.path().join("templates/large")).unwrap().set_len(2 * 1024 * 1024).unwrap();
    std::os::unix::fs::symlink("/dev/zero", root.path().join("templates/zero")).unwrap();
    for (name, wanted) in [
        ("pipe", "it is a named pipe"),
        ("directory", "it is a directory"),
        ("zero", "it is a device"),
        ("large", "it has more than 1048576 bytes"),
    ] {
        let source = root.path().join("templates/motd");
        fs::write(&source, format!("{{% include '{name}' %}}\n")).unwrap();
        let text = unknown(Template::from_file(root.path().join("motd"), &source), root.path());
        assert!(text.contains(&format!("what ROOT/templates/{name} says: {wanted}")), "{text}");
    }
}

#[test]
fn lines_stay_lines() {
    let made = |template: &str| {
        let template = template.to_owned();
        let root = prove(
            |_| {},
            move |root| Template::new(root.join("file"), template.clone()).var("x", true).into_job(),
        );
        read(&root.path().join("file"))
    };
    assert_eq!(made("A {% if x %}yes{% else %}no{% endif %}\nB\n"), "A yes\nB\n");
    assert_eq!(made("a:\n  {% if x %}b: 1{% endif %}\nc: 2\n"), "a:\n  b: 1\nc: 2\n");
    assert_eq!(made("A {# c #}\r\nB\r\n"), "A \r\nB\r\n");
    assert_eq!(made("{% if x %}\r\nA\r\n  {% endif %}\r\nB"), "A\r\nB");
    assert_eq!(made("{% if x %} {# c #}  \nA\n{% endif %}"), "A\n");
    assert_eq!(made("\u{feff}{% if x %}\nA\n{% endif %}\n"), "\u{feff}A\n");
}

#[test]
fn numbers_are_written_as_they_stand_or_refused() {
    let template =
        |number: serde_json::Value| json!({ "path": "/a", "template": "{{ v }}", "vars": { "v": number } });
    for fine in [json!(1), json!(1.5), json!(-3), json!(u64::MAX)] {
        serde_json::from_value::<Template>(template(fine)).unwrap();
    }
    for (written, value) in [("1.10", "1.1"), ("1e3", "1000.0"), ("007", "7"), ("-0", "0")] {
        let error = refused::<Template>(template(json!({ "\0number": written })));
        let wanted = format!(
            "bad variable `v`: a template would write the number {written} as {value}; put it in quotes to keep it"
        );
        assert_eq!(error, wanted);
    }
    serde_json::from_value::<Template>(template(json!({ "\0number": "18446744073709551616" }))).unwrap();
}

#[test]
fn secrets_are_not_shown() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("conf");
    fs::write(&path, "").unwrap();
    let job = || Template::new(&path, "password = {{ password }}\n").secret("password", "hunter2".to_owned());
    assert_eq!(would(job(), root.path()), ("ROOT/conf differs".into(), String::new()));
    assert!(!format!("{:?}", job()).contains("hunter2"));
    assert!(converge(job()).success());
    assert_eq!(read(&path), "password = hunter2\n");
    let text = unknown(
        Template::new(&path, "{{ password.x.y }}").secret("password", "hunter2".to_owned()),
        root.path(),
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_rest_is_as_with_a_file() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("x")).unwrap();
    let text = failed(Template::new(root.path().join("x"), ""), root.path());
    assert!(text.contains("ROOT/x is a directory, not a file; `force` would remove it"), "{text}");
    let prepare = |root: &Path| fs::write(root.join("x"), "old").unwrap();
    let root = prove(prepare, |root| Template::new(root.join("x"), "new").backup().into_job());
    assert_eq!(read(&root.path().join("x.dojob-old")), "old");
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let template = |more: serde_json::Value| {
        let mut value = json!({ "path": "/a", "template": "b" });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused::<Template>(value)
    };
    assert_eq!(
        refused::<Template>(json!({ "path": "/a" })),
        "either `template` or `source` is needed, and not both"
    );
    assert_eq!(template(json!({ "source": "/b" })), "either `template` or `source` is needed, and not both");
    assert_eq!(template(json!({ "path": "" })), "a path must not be empty");
    assert!(template(json!({ "template": "\n{{ a" })).contains("(in template:2)"));
    assert_eq!(
        template(json!({ "vars": { "a": 1 }, "secrets": { "a": "b" } })),
        "`a` is in `vars` and in `secrets`"
    );
    assert!(template(json!({ "variables": {} })).starts_with("unknown field `variables`"));
    let fields = [
        "template", "source", "vars", "secrets", "mode", "owner", "group", "backup", "follow", "force",
        "hide",
    ];
    for field in fields {
        assert!(template(json!({ field: [1] })).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Template>("Template", &["path"]);
}

/// How often a job is tried that never converges.
fn tries(job: Template) -> u32 {
    let report = Engine::new(job).unwrap().retry_delay(std::time::Duration::ZERO).converge();
    assert!(!report.success());
    report.jobs().last().unwrap().tries()
}

#[test]
fn what_is_wrong_with_the_template_itself_is_tried_once() {
    let root = tempfile::tempdir().unwrap();
    for wrong in
        ["{{ a.nowhere() }}", "{{ a | nothing }}", "{{ nobody }}", "{{ nothing() }}", "{% include 'gone' %}"]
    {
        let job = Template::new(root.path().join("x"), wrong).var("a", json!({ "b": 1 }));
        assert_eq!(tries(job), 1, "{wrong}");
    }
    let job = Template::new(root.path().join("x"), "{{ facts.nothing }}");
    assert_eq!(tries(job), 3, "facts may be other ones in a while");
}
