//! Generated documents, read by dojob and by the reference implementation of HOCON, which is written in Java.
//!
//! Not part of the usual tests, since it needs a JDK and the library. With Debian's `default-jdk-headless` and
//! `libtypesafe-config-java`: `HOCON_JAR=/usr/share/java/typesafe-config.jar HOCON_DOCUMENTS=100000 cargo test
//! --all-features --test hocon_reference -- --ignored --nocapture`; `HOCON_SEED` is 1 unless set.

use std::io::Write as _;
use std::process::{Command, Stdio};

use dojob::playbook::hocon_for_tests::{Input, Settings, load};
use serde_json::Value;

/// A sequence of numbers that a seed determines (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn path(&mut self) -> String {
        let name = |random: &mut Random| {
            random.of(&[
                "a",
                "b",
                "c",
                "a",
                "b",
                "c",
                "a",
                "b",
                "c",
                "0",
                "1",
                "\"d e\"",
                "d e",
                "\"\"\"x\"\"\"",
                "a\"y\"",
            ])
        };
        match self.below(8) {
            0..5 => name(self).to_owned(),
            5 | 6 => format!("{}.{}", name(self), name(self)),
            _ => format!("{}. {}", name(self), name(self)),
        }
    }

    fn substitution(&mut self) -> String {
        let optional = self.of(&["", "?", "?"]);
        format!("${{{optional}{}}}", self.path())
    }

    fn plain(&mut self) -> &'static str {
        self.of(&[
            "1",
            "2",
            "null",
            "true",
            "word",
            "two words",
            "\"q\"",
            "1.5",
            "true1e+2",
            "-x",
            "\"\"\"t\"\"\"",
            "x\u{A0}y",
            "\u{85}",
            "1e3",
            "01",
            "[]",
            "{}",
            "\"\\u00e4\"",
        ])
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 8 } else { 13 }) {
            0..3 => self.plain().to_owned(),
            3..6 => self.substitution(),
            6 => format!("{}{}{}", self.substitution(), self.of(&["", " "]), self.plain()),
            7 => format!("{} {}", self.substitution(), self.substitution()),
            8 => format!("{} {{ {} }}", self.substitution(), self.fields(depth - 1)),
            9 => {
                let items: Vec<String> = (0..self.below(3)).map(|_| self.value(depth - 1)).collect();
                format!("[ {} ]", items.join(self.of(&[", ", "\n", " // c\n"])))
            }
            10 => format!("{} [ {} ]", self.substitution(), self.value(depth - 1)),
            _ => format!("{{ {} }}", self.fields(depth - 1)),
        }
    }

    fn fields(&mut self, depth: usize) -> String {
        let fields: Vec<String> = (0..=self.below(3)).map(|_| self.field(depth)).collect();
        fields.join(self.of(&[", ", "\n", " # c\n"]))
    }

    fn field(&mut self, depth: usize) -> String {
        let path = self.path();
        match self.below(10) {
            0 => format!("{path} += {}", self.value(depth)),
            1 => format!("{path} {{ {} }}", self.fields(depth.saturating_sub(1))),
            2 => format!("{path} : {}", self.value(depth)),
            _ => format!("{path} = {}", self.value(depth)),
        }
    }

    fn document(&mut self) -> String {
        let fields: Vec<String> = (0..1 + self.below(5)).map(|_| self.field(2)).collect();
        fields.join("\n")
    }
}

fn ours(text: &str) -> Option<Value> {
    let entry = Input::Text { name: "text".to_owned(), text: text.as_bytes().to_vec() };
    load(&entry, &Settings::default()).ok().map(|loaded| loaded.value.to_json())
}

/// Numbers by what they are, since the reference writes `1.0` as `1`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

#[allow(clippy::print_stdout, reason = "it is run for what it prints")]
#[test]
#[ignore = "needs Java and the reference implementation"]
fn documents_have_the_value_that_the_reference_gives_them() {
    let variable = |name: &str| std::env::var(name).ok();
    let jar = variable("HOCON_JAR").unwrap_or_else(|| "/usr/share/java/typesafe-config.jar".to_owned());
    let count: usize = variable("HOCON_DOCUMENTS").map_or(1_000, |count| count.parse().unwrap());
    let seed: u64 = variable("HOCON_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    let documents: Vec<String> = (0..count).map(|_| random.document()).collect();
    let mut different = Vec::new();
    let mut refused = 0;
    for documents in documents.chunks(5_000) {
        let mut java = Command::new("java")
            .args(["-Xss8m", "-cp", &jar, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/Reference.java")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let encode = |text: &String| {
            let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            bytes + "\n"
        };
        let input: String = documents.iter().map(encode).collect();
        let mut stdin = java.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = java.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let values = String::from_utf8(output.stdout).unwrap();
        assert_eq!(values.lines().count(), documents.len());
        for (document, theirs) in documents.iter().zip(values.lines()) {
            let theirs = (theirs != "error").then(|| serde_json::from_str::<Value>(theirs).unwrap());
            let ours = ours(document);
            refused += usize::from(theirs.is_none());
            let is_same = match (&ours, &theirs) {
                (Some(ours), Some(theirs)) => same(ours, theirs),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                let shown =
                    |value: &Option<Value>| value.as_ref().map_or("error".to_owned(), Value::to_string);
                different.push(format!("{document}\nours   {}\ntheirs {}\n", shown(&ours), shown(&theirs)));
            }
        }
    }
    println!(
        "{count} documents of seed {seed}, {refused} of them refused by the reference; {} differ",
        different.len()
    );
    different.sort_by_key(String::len);
    if let Some(path) = variable("HOCON_DIFFERENT") {
        std::fs::write(path, different.join("\n")).unwrap();
    }
}
