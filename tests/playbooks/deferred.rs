//! Values that come later: secrets, results and elements, on their way into arguments and out of messages.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use dojob::playbook::{Playbook, Registry};
use dojob::{Console, Context, Engine, Event, Journal, Report, Result, Retry, RunOnlyJob};
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use tempfile::TempDir;

use crate::printed::Printed;

/// Moves into a house, and out again when it is over.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lodger {
    /// The file in which everybody writes down what they do.
    book: PathBuf,
    /// Who it is.
    name: String,
    /// What they open the door with.
    #[serde(default)]
    key: String,
}

impl Lodger {
    fn note(&self, what: &str) -> Result<()> {
        let mut text = fs::read_to_string(&self.book).unwrap_or_default();
        text.push_str(&format!("{} {what} with {}\n", self.name, self.key));
        Ok(fs::write(&self.book, text)?)
    }
}

impl RunOnlyJob for Lodger {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.note("in")?;
        cx.set_result(&self.name)?;
        ensure!(self.name != "nobody", "there is nobody");
        Ok(())
    }

    fn cleanup(&mut self, _: &mut Context) -> Result<()> {
        self.note("out")
    }
}

dojob::task_type!(Lodger);

/// Writes words into a file; it takes a number for a word.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Words {
    /// The file.
    file: PathBuf,
    /// One word or several.
    #[serde(default, deserialize_with = "words")]
    #[schemars(with = "OneOrMore")]
    words: Vec<String>,
    /// More of them.
    #[serde(default)]
    more: Vec<String>,
    /// How many letters each has at most.
    #[serde(default)]
    most: Option<u8>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Whole(i64),
    Broken(f64),
}

impl Word {
    fn text(self) -> String {
        match self {
            Word::Text(text) => text,
            Word::Whole(number) => number.to_string(),
            Word::Broken(number) => number.to_string(),
        }
    }
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a word, or several")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Vec<String>, E> {
            Ok(vec![number.to_string()])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Vec<String>, A::Error> {
            let mut words = Vec::new();
            while let Some(word) = seq.next_element::<Word>()? {
                words.push(word.text());
            }
            Ok(words)
        }
    }
    deserializer.deserialize_any(Reader)
}

impl RunOnlyJob for Words {
    fn retry(&self) -> Retry {
        Retry::tries(1)
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        let words: Vec<&str> = self.words.iter().chain(&self.more).map(String::as_str).collect();
        let mut text = fs::read_to_string(&self.file).unwrap_or_default();
        text.push_str(&format!("{}\n", words.join(" ")));
        Ok(fs::write(&self.file, text)?)
    }
}

dojob::task_type!(Words);

fn registry() -> Registry {
    Registry::linked().unwrap()
}

/// A playbook in a directory of its own, which it knows as `${vars.here}`.
fn playbook(text: &str) -> (TempDir, Playbook) {
    let home = tempfile::tempdir().unwrap();
    let site = again(&home, text);
    (home, site)
}

fn again(home: &TempDir, text: &str) -> Playbook {
    let path = home.path().join("site.conf");
    fs::write(&path, text).unwrap();
    let loaded = Playbook::options().set("vars.here", home.path()).load(&path);
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

fn engine(site: &Playbook) -> Engine {
    let built = site.engine(&registry());
    built.unwrap_or_else(|problems| panic!("{problems}")).retry_delay(Duration::ZERO)
}

fn names(site: &Playbook) -> Vec<String> {
    let graph = site.outline(&registry()).unwrap_or_else(|problems| panic!("{problems}"));
    graph.iter().map(|job| job.name().to_owned()).collect()
}

fn text(home: &TempDir, name: &str) -> String {
    fs::read_to_string(home.path().join(name)).unwrap_or_default()
}

fn reason(report: &Report, job: &str) -> String {
    report.job(job).reason().map(str::to_owned).unwrap_or_default()
}

/// Secrets that a message might quote, cut or escape.
fn hard_to_hide() -> Vec<String> {
    vec![
        "-----BEGIN KEY-----\nfirst-line-of-it\nother-line-of-it\n-----END KEY-----".to_owned(),
        format!("long-{}", "0123456789".repeat(30)),
        "quo\"ted \\ and `ticked` and 'single'".to_owned(),
        "con\u{1b}[31mtrol\u{7}\tled\r\nsecond".to_owned(),
        "runnin".to_owned(),
    ]
}

/// What of a secret must not be seen.
fn pieces(secret: &str) -> Vec<String> {
    let letters: Vec<char> = secret.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let words = secret.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| word.len() > 4);
    let pieces = words.map(|word| word.chars().take(10).collect());
    pieces.chain([letters.iter().take(6).collect()]).collect()
}

fn assert_hidden(shown: &str, secret: &str) {
    for piece in pieces(secret) {
        // What is known of the type itself is no secret.
        let shown = shown.replace("running", "");
        assert!(!shown.contains(&piece), "{piece:?} of {secret:?} is in\n{shown}");
    }
}

const REFUSING: [&str; 7] = [
    "port: ${secrets.t}",
    "port: 1${secrets.t}",
    "port: 1, state: ${secrets.t}",
    "port: 1, patience: ${secrets.t}",
    "port: 1, share: ${secrets.t}",
    "port: 1, public: ${secrets.t}",
    "port: 1, guests: [ { name: a, age: ${secrets.t} } ]",
];

#[test]
fn a_secret_that_does_not_fit_is_not_told() {
    for secret in hard_to_hide() {
        for args in REFUSING {
            for each in ["", "for_each: [${secrets.t}],"] {
                let args = if each.is_empty() { args.to_owned() } else { args.replace("secrets.t", "item") };
                let (home, site) = playbook(&format!(
                    "secrets {{ t {{ file: key }} }}
                    tasks: [ {{ name: http_server, {each} args {{ name: web, {args} }} }} ]"
                ));
                let text = fs::read_to_string(home.path().join("site.conf")).unwrap();
                let key = home.path().join("key").display().to_string();
                let site_text = text.replace("file: key", &format!("file: {key:?}"));
                drop(site);
                let site = again(&home, &site_text);
                fs::write(home.path().join("key"), &secret).unwrap();
                site.validate(&registry()).unwrap_or_else(|problems| panic!("{args}: {problems}"));
                let problems = site.engine(&registry()).unwrap_err();
                assert_hidden(&problems.to_string(), &secret);
                assert_hidden(&format!("{problems:?}").replace(&site_text, ""), &secret);
                assert!(problems.to_string().contains("the secret `t`"), "{problems}");
            }
        }
    }
}

#[test]
fn what_a_secret_should_be_is_told() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("key"), "one\ntwo\n").unwrap();
    let site = again(
        &home,
        &format!(
            "secrets {{ t {{ file: {:?} }} }}
tasks: [
  {{ name: http_server, args {{ name: web, port: ${{secrets.t}}, patience: ${{secrets.t}} }} }}
  {{ name: choosy, args {{ text: ${{secrets.t}}, list: [a] }} }}
]",
            home.path().join("key")
        ),
    );
    let problems = site.engine(&registry()).unwrap_err().to_string();
    let messages: Vec<&str> =
        problems.lines().filter(|line| line.starts_with("error") || line.starts_with("hint")).collect();
    assert_eq!(
        messages,
        [
            "error: `port` is invalid: the value of the secret `t` is not a whole number from 0 to 65535",
            "hint: `port`: The port that it listens on",
            "error: `patience` does not accept the value of the secret `t`",
            "hint: `patience`: How long it may take to start",
            "error: `choosy` does not accept these arguments; with the secret `t` among them, the reason is not shown",
        ]
    );
}

#[test]
fn a_secret_that_does_not_fit_a_late_task_is_not_told() {
    for secret in hard_to_hide() {
        for args in REFUSING {
            // Only the run has all of it.
            let args = args.replace("${secrets.t}", "${?results.web.none}${secrets.t}");
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("key"), &secret).unwrap();
            let site = again(
                &home,
                &format!(
                    "secrets {{ t {{ file: {key:?} }} }}
                    tasks: [
                        {{ name: sh, register: web, args {{ line: echo web }} }}
                        {{ name: http_server, id: late, tries: 1, args {{ name: ${{results.web}}, {args} }} }}
                        {{ name: sh, register: key, args {{ line: cat {key} }} }}
                    ]",
                    key = home.path().join("key").display().to_string()
                ),
            );
            let printed = Printed::default();
            let report = engine(&site).observe(Console::debug().to(printed.clone())).converge();
            assert!(!report.success());
            let said = reason(&report, "http_server late");
            assert!(said.contains("the secret `t`") && said.contains("site.conf:4:"), "{said}");
            assert_hidden(&said, &secret);
            assert_hidden(&printed.text(), &secret);
        }
    }
}

#[test]
fn a_result_with_a_secret_in_it_is_not_told() {
    for secret in hard_to_hide() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("key"), &secret).unwrap();
        let key = home.path().join("key").display().to_string();
        let site = again(
            &home,
            &format!(
                "secrets {{ t {{ file: {key:?} }} }}
                tasks: [
                    {{ name: lodger, register: key, args {{ book: {key}.book, name: ${{secrets.t}} }} }}
                    {{ name: http_server, id: late, tries: 1, args {{ name: web, port: ${{results.key}} }} }}
                ]"
            ),
        );
        let report = engine(&site).converge();
        let said = reason(&report, "http_server late");
        assert!(said.contains("the value of a secret is not a whole number from 0 to 65535"), "{said}");
        assert_hidden(&said, &secret);
    }
}

#[test]
fn elements_may_come_later() {
    let (home, site) = playbook(
        r#"secrets { t { command: "printf sesame" }, unused { env: NOBODY_SETS_THIS } }
        order: graph
        tasks: [
            { name: words, for_each: [plain, ${secrets.t}, ${results.two}, x-${results.two}-${secrets.t}]
              args { file: ${vars.here}/words, words: [said, ${item}], more: [] }, tags: no }
            { name: lodger, id: each, for_each: [${results.two}, ${secrets.t}, a-${results.two}-${secrets.t}]
              args { book: ${vars.here}/book, name: is-${item} } }
            { name: lodger, id: part, for_each: [${results.both}], args { book: ${vars.here}/part, name: ${item.1} } }
            { name: sh, register: two, args { line: echo two } }
            { name: sh, register: both, for_each: [one, two], args { line: echo ${item} } }
        ]"#,
    );
    let site = site.skip_tags(["no"]);
    let graph = site.outline(&registry()).unwrap();
    let each = graph.iter().find(|job| job.name() == "lodger each (${results.two})").unwrap();
    assert_eq!(each.dependencies().map(|job| job.name().to_owned()).collect::<Vec<_>>(), ["sh echo two"]);
    let report = engine(&site).workers(1).converge();
    assert!(report.success(), "{report:?}");
    let mut book: Vec<String> = text(&home, "book").lines().map(str::to_owned).collect();
    book.sort();
    assert_eq!(book.iter().filter(|line| line.contains(" in ")).count(), 3);
    assert_eq!(book[0], "is-a-two-sesame in with ");
    assert!(text(&home, "part").starts_with("two in with"), "{}", text(&home, "part"));
}

#[test]
fn a_user_may_be_a_result_and_is_waited_for() {
    let (_home, site) = playbook(
        "order: graph
        tasks: [
            { name: http_server, become: ${results.who}, args { name: web, port: 80 } }
            { name: sh, register: who, args { line: echo www } }
        ]",
    );
    let graph = site.outline(&registry()).unwrap();
    let web = graph.iter().find(|job| job.name() == "http_server web").unwrap();
    assert_eq!(web.dependencies().len(), 1);
    assert!(engine(&site).converge().success());
}

#[test]
fn the_cleanup_of_a_task_that_never_began_is_nothing() {
    const RESULT: &str = "tasks: [
        { name: add_line, register: r, args { file: ${vars.here}/log, line: x } }
        { name: lodger, id: l, args { book: ${vars.here}/book, name: ${results.r.KEY} } }
    ]";
    let (home, site) = playbook(&RESULT.replace("KEY", "last.nothing"));
    let journal = |name: &str| Journal::open(home.path().join(name)).unwrap();
    let report = engine(&site).journal(journal("state")).converge();
    assert_eq!(report.counts().failed, 1);
    assert!(report.cleanups().iter().all(|cleanup| cleanup.failure.is_none()), "{report:?}");
    let site = again(&home, &RESULT.replace("KEY", "last"));
    let report = engine(&site).journal(journal("state")).converge();
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!(text(&home, "book"), "x in with \nx out with \n");
}

#[test]
fn a_cleanup_in_a_later_start_has_the_arguments_of_its_run() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("secret");
    let site = |line: &str| {
        again(
            &home,
            &format!(
                r#"secrets {{ t {{ file: "{}" }} }}
                tasks: [
                    {{ name: sh, register: r, args {{ line: {line} }} }}
                    {{ name: lodger, id: l
                      args {{ book: ${{vars.here}}/book, name: "of "${{results.r}}, key: ${{secrets.t}}"-"${{results.r}} }} }}
                ]"#,
                key.display()
            ),
        )
    };
    fs::write(&key, "old-sesame").unwrap();
    let journal = || Journal::open(home.path().join("state")).unwrap();
    assert!(engine(&site("echo one")).journal(journal()).cleanup(false).converge().success());
    assert_eq!(text(&home, "book"), "of one in with old-sesame-one\n");
    let state = walk(&home.path().join("state"));
    assert!(!state.contains("old-sesame") && state.contains("of one"), "{state}");
    fs::write(&key, "new-sesame").unwrap();
    let report = engine(&site("echo two")).journal(journal()).call_pending(true);
    assert!(report.cleanups().iter().all(|cleanup| cleanup.failure.is_none()), "{report:?}");
    assert_eq!(
        text(&home, "book"),
        "of one in with old-sesame-one\nof one out with new-sesame-one\n",
        "the results are those of the run, the secrets those of the start"
    );
}

fn walk(directory: &std::path::Path) -> String {
    let mut all = String::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
    all
}

#[test]
fn what_fits_without_a_late_argument_fits_beside_one() {
    let (home, site) = playbook(
        r#"secrets { t { command: "printf sesame" } }
        tasks: [
            { name: words, id: a, args { file: ${vars.here}/a, words: [5, ${secrets.t}] } }
            { name: sh, register: r, args { line: echo one } }
            { name: words, id: b, args { file: ${vars.here}/b, words: [5, x], more: [${results.r}, 6] } }
            { name: http_server, args { name: ${results.r}, port: 8, patience: ${results.r}0s } }
        ]"#,
    );
    site.validate(&registry()).unwrap_or_else(|problems| panic!("{problems}"));
    let site = again(
        &home,
        &fs::read_to_string(home.path().join("site.conf")).unwrap().replace("${results.r}0s", "5s"),
    );
    assert!(engine(&site).converge().success());
    assert_eq!((text(&home, "a").as_str(), text(&home, "b").as_str()), ("5 sesame\n", "5 x one 6\n"));
}

#[test]
fn a_late_job_is_tried_as_often_as_its_type_says() {
    let (_home, site) = playbook(
        "tasks: [
            { name: sh, register: r, args { line: echo web } }
            { name: http_server, args { name: ${results.r}, port: 80 } }
            { name: words, tries: 4, args { file: x, words: ${results.r} } }
        ]",
    );
    let graph = site.graph(&registry()).unwrap();
    let tries: Vec<_> = graph.iter().map(|job| job.retry().max_tries()).collect();
    assert_eq!(tries, [Some(1), Some(2), Some(4)]);
}

#[test]
fn numbers_that_are_texts_stay_as_they_were_written() {
    let (home, site) = playbook(
        "vars { version: 1.10 }
        tasks: [
            { name: words, id: 1.10, args { file: ${vars.here}/plain, words: [1.10, 0755, 1e3, 123456789012345678901234567890, 7] } }
            { name: words, args { file: ${vars.here}/plain, words: 1.10, more: [${vars.version}, 0644, 1.0] } }
            { name: text_file, for_each: [1.10, 0644, 1.0, 1e3], args { path: ${vars.here}/out-${item}, text: ${item} } }
            { name: words, id: e, for_each: [{ n: 1.10 }, { n: 007 }]
              args { file: ${vars.here}/each, words: [${item.n}, x${item.n}], more: [${?item.no}, ${item.n}] } }
            { name: sh, register: r, args { line: echo 1.50 } }
            { name: words, id: late, args { file: ${vars.here}/late, words: [1.10, ${results.r}], more: [0755, ${results.r}, 1e3] } }
            { name: words, id: shifted, args { file: ${vars.here}/shifted, more: [${?results.r.none}, 1.10] } }
        ]",
    );
    assert_eq!(
        names(&site)[2..9],
        [
            "text_file HERE/out-1.10",
            "text_file HERE/out-0644",
            "text_file HERE/out-1.0",
            "text_file HERE/out-1e3",
            "words e (1.10)",
            "words e (007)",
            "sh echo 1.50",
        ]
        .map(|name| name.replace("HERE", &home.path().display().to_string()))
        .map(|name| if name.chars().count() > 70 { names(&site)[2].clone() } else { name })
    );
    assert_eq!(names(&site)[0], "words 1.10");
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "plain"), "1.10 0755 1e3 123456789012345678901234567890 7\n1.10 1.10 0644 1.0\n");
    for number in ["1.10", "0644", "1.0", "1e3"] {
        assert_eq!(text(&home, &format!("out-{number}")), number);
    }
    assert_eq!(text(&home, "each"), "1.10 x1.10 1.10\n007 x007 007\n");
    assert_eq!(text(&home, "late"), "1.10 1.50 0755 1.50 1e3\n");
    assert_eq!(text(&home, "shifted"), "1.10\n");
}

#[test]
fn a_number_where_a_number_is_wanted_is_one() {
    let (_home, site) = playbook(
        "tasks: [ { name: http_server, for_each: [0080], args { name: ${item}, port: ${item}, share: 1.10 } } ]",
    );
    assert_eq!(names(&site), ["http_server 0080"]);
    assert!(engine(&site).converge().success());
}

#[test]
fn what_a_task_hands_on_is_not_taken_for_what_comes_later() {
    let (home, site) = playbook(
        r#"secrets { t { command: "printf sesame" } }
        tasks: [
            { name: sh, register: r, args { line: "cat "${vars.here}/evil } }
            { name: words, args { file: ${vars.here}/words, words: [${results.r}, ${secrets.t}] } }
            { name: words, args { file: ${vars.here}/words, words: ["a"${results.r}] } }
        ]"#,
    );
    let evil = "\u{F0000}secrets\u{F0002}t\u{F0001} \u{F0000}results\u{F0002}r\u{F0001} \u{F0000}b";
    fs::write(home.path().join("evil"), evil).unwrap();
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "words"), format!("{evil} sesame\na{evil}\n"));
}

#[test]
fn a_secret_is_not_taken_for_another() {
    let home = tempfile::tempdir().unwrap();
    let evil = "\u{F0000}secrets\u{F0002}u\u{F0001}\u{F0000}item\u{F0001}";
    fs::write(home.path().join("key"), evil).unwrap();
    let site = again(
        &home,
        &format!(
            r#"secrets {{ t {{ file: {:?} }}, u {{ command: "printf sesame" }} }}
            tasks: [ {{ name: words, args {{ file: ${{vars.here}}/words, words: [${{secrets.t}}, ${{secrets.u}}] }} }} ]"#,
            home.path().join("key")
        ),
    );
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "words"), format!("{evil} sesame\n"));
}

#[test]
fn of_many_results_one_is_taken() {
    let (home, site) = playbook(
        "tasks: [
            { name: sh, register: r, for_each: [a, b, c], args { line: echo ${item} } }
            { name: words, args { file: ${vars.here}/words, words: [${results.r.1}, ${?results.r.7}, ${results.r.2}] } }
        ]",
    );
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "words"), "b c\n");
}

#[test]
fn what_a_type_takes_is_not_told_beside_what_it_does_not() {
    let (_home, site) = playbook("tasks: [ { name: words, args { file: x, words: [5, 6], most: 700 } } ]");
    let problems = site.validate(&registry()).unwrap_err();
    let messages: Vec<&str> = problems.0.iter().map(|problem| &*problem.message).collect();
    assert_eq!(messages, ["`most` is 700, expected a whole number from 0 to 255"]);
}

#[test]
fn a_part_of_a_number_may_come_later() {
    let (_home, site) = playbook(
        "tasks: [
            { name: sh, register: r, args { line: echo 80 } }
            { name: http_server, args { name: web, port: ${results.r}80 } }
        ]",
    );
    assert!(engine(&site).converge().success());
}

#[test]
fn what_a_result_is_no_good_for_is_not_tried_again() {
    let (_home, site) = playbook(
        "tasks: [
            { name: sh, register: r, args { line: echo eighty } }
            { name: http_server, id: web, tries: 3, args { name: web, port: ${results.r} } }
        ]",
    );
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    let report = engine(&site)
        .observe(move |event: &Event| {
            *counted.lock().unwrap() += usize::from(matches!(event, Event::TryStarted { .. }));
        })
        .converge();
    assert!(reason(&report, "http_server web").contains("`port` is the string `eighty`"));
    assert_eq!(*tries.lock().unwrap(), 2);
}
