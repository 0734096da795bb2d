//! Input that is meant to do harm, or is no text: an error in bounded time and memory.

use std::fs;

use dojob::playbook::hocon_for_tests::{Input, Settings, Step, load};

mod support {
    pub(crate) mod hocon;
}
use support::hocon::{library, text};

/// The first problem's message.
fn said(source: &str) -> String {
    said_of(&text(source))
}

fn said_of(entry: &Input) -> String {
    load(entry, &Settings::default())
        .err()
        .map_or_else(|| "nothing".to_owned(), |problems| problems.0[0].message.clone())
}

fn bytes(bytes: &[u8]) -> Input {
    Input::Text { name: "playbook".to_owned(), text: bytes.to_vec() }
}

#[test]
fn the_parser_is_used_as_a_library() {
    assert!(library("a = 1", &Default::default()).is_some());
}

#[test]
fn a_hundred_thousand_brackets() {
    let deep = "brackets are nested more than 100 deep here";
    assert_eq!(said(&format!("a = {}", "[".repeat(100_000))), deep);
    assert_eq!(said(&"{".repeat(100_000)), deep);
    assert_eq!(said(&"a {".repeat(100_000)), deep);
    assert_eq!(said(&format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000))), deep);
    assert_eq!(said(&"a = [{".repeat(100_000)), deep);
    assert_eq!(said(&"]".repeat(100_000)), "`]` closes nothing");
}

#[test]
fn depth_by_other_ways() {
    let long = vec!["a"; 3_000].join(".");
    assert_eq!(said(&format!("{long} = 1")), "this path has more than 64 names");
    assert_eq!(said(&format!("b = ${{{long}}}")), "this path has more than 64 names");
    let keys = format!("{}x = 1{}", "a.b.c.d.e {".repeat(30), "}".repeat(30));
    assert_eq!(said(&keys), "values are nested more than 100 deep here");
    let objects: String = (1..300).map(|n| format!("a{n} = {{ x = ${{a{}}} }}\n", n - 1)).collect();
    assert_eq!(said(&format!("a0 = 1\n{objects}")), "values are nested more than 100 deep here");
}

/// Each walk over what is open on the way to a value counts as work, not only the values.
#[test]
fn optional_circles_that_are_written_again_and_again() {
    assert_eq!(said(&"a=${?b}\nb=${?a}\n".repeat(300)), "this takes more than 2000000 steps to work out");
}

#[test]
fn chains_of_substitutions() {
    let chain = |length: usize| -> String {
        (0..length).map(|n| format!("a{n} = ${{a{}}}\n", n + 1)).collect::<String>()
            + &format!("a{length} = 1\n")
    };
    assert_eq!(said(&chain(900)), "nothing");
    assert_eq!(said(&chain(20_000)), "substitutions lead to each other more than 1000 deep");
    let grows: String = (0..10_000).map(|_| "a = ${?a}x\n").collect();
    assert_eq!(said(&grows), "substitutions lead to each other more than 1000 deep");
    let circle: String = (0..20_000).map(|n| format!("a{n} = ${{a{}}}\n", (n + 1) % 20_000)).collect();
    assert_eq!(said(&circle), "substitutions lead to each other more than 1000 deep");
}

#[test]
fn every_variable_by_every_other() {
    let all: String = (0..40).map(|n| format!("${{?a{n}}}")).collect();
    let web: String = (0..40).map(|n| format!("a{n} = {all}\n")).collect();
    assert_eq!(said(&web), "this takes more than 2000000 steps to work out");
}

#[test]
fn a_billion_laughs() {
    let much = "with all substitutions this would be more than 128 MiB";
    let laughs = |form: fn(usize) -> String| -> String {
        (1..40).map(|n| format!("a{n} = {}\n", form(n - 1))).collect()
    };
    assert_eq!(
        said(&format!("a0 = lol\n{}", laughs(|n| format!("[{}]", format!("${{a{n}}},").repeat(10))))),
        much
    );
    assert_eq!(said(&format!("a0 = [lol]\n{}", laughs(|n| format!("${{a{n}}} ").repeat(10)))), much);
    assert_eq!(said(&format!("a0 = lol\n{}", laughs(|n| format!("${{a{n}}}").repeat(10)))), much);
    assert_eq!(
        said(&format!("a0 = lol\n{}", laughs(|n| format!("{{ x = ${{a{n}}}, y = ${{a{n}}} }}")))),
        much
    );
}

#[test]
fn many_of_everything_in_time() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    assert_eq!(said(&many(10_000, &|n| format!("a += {n}\n"))), "nothing");
    assert_eq!(said(&many(10_000, &|n| format!("a += {{ x = {n} }}\n"))), "nothing");
    assert_eq!(said(&many(10_000, &|n| format!("a {{ x{n} = 1 }}\n"))), "nothing");
    assert_eq!(said(&many(10_000, &|_| "a = 1\n".to_owned())), "nothing");
    assert_eq!(said(&many(500, &|n| format!("a.b.c.d.e.f{n} = ${{?a.b.c.d.e.f{}}}\n", n + 1))), "nothing");
    let unknown =
        load(&text(&many(10_000, &|n| format!("x{n} = ${{y{n}}}\n"))), &Settings::default()).unwrap_err();
    assert_eq!(unknown.0.len(), 1_000);
    assert!(unknown.to_string().ends_with("\n\nand 900 more"));
}

#[test]
fn a_hundred_million_characters_on_one_line() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("long.conf");
    fs::write(&path, vec![b'x'; 100 << 20]).unwrap();
    let message = format!("{} is larger than 16 MiB, which is the limit", path.display());
    assert_eq!(said_of(&Input::File(path)), message);
    assert_eq!(
        said_of(&Input::File("/dev/zero".into())),
        "/dev/zero is larger than 16 MiB, which is the limit"
    );
    assert_eq!(said_of(&bytes(&vec![b'['; 100 << 20])), "playbook is larger than 16 MiB, which is the limit");
    assert_eq!(said(&"[,".repeat(5 << 20)), "playbook has more than 4000000 words and signs");
}

#[test]
fn places_on_one_long_line() {
    let tasks: Vec<String> = (0..40_000).map(|n| format!("{{ \"näme\": \"job {n}\" }}")).collect();
    let line = format!("{{ \"tasks\": [{}] }}", tasks.join(", "));
    let loaded = load(&text(&line), &Settings::default()).unwrap();
    let before = line.split("\"job 39999\"").next().unwrap();
    let mut last = 0;
    for index in 0..40_000 {
        let place = loaded.places.of(&[Step::Key("tasks"), Step::Index(index), Step::Key("näme")]).unwrap();
        assert!(place.column > last);
        last = place.column;
        assert_eq!(place.length, format!("\"job {index}\"").len());
    }
    assert_eq!(last, before.chars().count() + 1);
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let long = format!("a = {} @ {}", "x".repeat(5 << 20), "y".repeat(5 << 20));
    let problems = load(&text(&long), &Settings::default()).unwrap_err().to_string();
    assert!(problems.len() < 1_000, "{}", problems.len());
    assert_eq!(problems.lines().count(), 6, "{problems}");
}

#[test]
fn what_is_no_text() {
    let shown = |input: &[u8]| load(&bytes(input), &Settings::default()).unwrap_err().to_string();
    assert_eq!(
        shown(b"a = 1\nb = \xff\xfe\n"),
        "error: this is not UTF-8\n --> playbook:2:5\n  |\n2 | b = \u{fffd}\u{fffd}\n  |     ^\nhint: save the file in the encoding UTF-8"
    );
    assert_eq!(
        shown(b"a = x\0y\n"),
        "error: there is a NUL character here\n --> playbook:1:6\n  |\n1 | a = x\\0y\n  |      ^^\nhint: is this a text file?"
    );
    let mut noise = 1_u32;
    for length in 0..2_000 {
        let noise: Vec<u8> = (0..length % 97)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        let _ = load(&bytes(&noise), &Settings::default());
    }
}

#[test]
fn includes_without_end() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    let of = |name: &str| said_of(&Input::File(path(name)));
    write("self.conf", "include \"self.conf\"");
    write("one.conf", "x = 1\ninclude \"two.conf\"\n");
    write("two.conf", "include \"sub/../one.conf\"\n");
    fs::create_dir(path("sub")).unwrap();
    assert!(of("self.conf").starts_with("this include leads back to itself: "), "{}", of("self.conf"));
    let message = load(&Input::File(path("one.conf")), &Settings::default()).unwrap_err().to_string();
    let here = scratch.path().canonicalize().unwrap().display().to_string();
    let shown =
        message.replace(&format!("{here}/"), "").replace(&format!("{}/", scratch.path().display()), "");
    assert_eq!(
        shown,
        "error: this include leads back to itself: one.conf -> two.conf -> one.conf\n --> two.conf:1:9\n  |\n1 | include \"sub/../one.conf\"\n  |         ^^^^^^^^^^^^^^^^^\nhint: included at one.conf:2:9"
    );
    for n in 0..40 {
        write(&format!("deep{n}.conf"), &format!("include \"deep{}.conf\"", n + 1));
        write(
            &format!("wide{n}.conf"),
            &format!("include \"wide{0}.conf\"\ninclude \"wide{0}.conf\"\n", n + 1),
        );
    }
    write("wide20.conf", "x = 1");
    assert_eq!(of("deep0.conf"), "files include each other more than 32 deep");
    assert_eq!(of("wide0.conf"), "files are included more than 1000 times");
    write("directory.conf", "include \"sub\"");
    assert!(of("directory.conf").ends_with("sub is a directory"), "{}", of("directory.conf"));
    write("device.conf", "include \"/dev/zero\"");
    assert_eq!(of("device.conf"), "/dev/zero is not a regular file");
    write("brace.conf", "include \"bad.conf\"\n");
    write("bad.conf", "a = 1 }\nb = 2\n");
    assert_eq!(of("brace.conf"), "`}` closes nothing");
}

#[test]
fn four_lines_that_overflow_the_stack_of_the_parsers_own_resolver() {
    let source = "a = ${?c.a.b} [5]\nc = ${?a} [5]\na.b = [${?nothing}, x]\nc.a.b = ${?c.a.b}";
    assert_eq!(said(source), "an object and a list cannot be joined");
}
