//! What jobs are called: the same in every run, and so that people know which is meant.

use dojob::playbook::{Options, Playbook, Registry};

fn names_of(options: Options, text: &str) -> Vec<String> {
    let playbook = options.load_text("names", text).unwrap();
    let graph = playbook.outline(&Registry::linked().unwrap()).unwrap();
    graph.iter().map(|job| job.name().to_owned()).collect()
}

fn names(text: &str) -> Vec<String> {
    names_of(Playbook::options(), text)
}

#[test]
fn an_element_is_named_where_the_subject_does_not_tell_it_from_others() {
    let found = names(
        "tasks: [
            { name: add_line, for_each: [one, two], args { file: /tmp/log, line: ${item} } }
            { name: add_line, for_each: [{ name: a }, { name: b }], args { file: /tmp/${item.name}, line: x } }
            { name: sh, for_each: [1, 2], args { line: date } }
        ]",
    );
    assert_eq!(
        found,
        [
            "add_line /tmp/log (one)",
            "add_line /tmp/log (two)",
            "add_line /tmp/a",
            "add_line /tmp/b",
            "sh date (1)",
            "sh date (2)",
        ]
    );
}

#[test]
fn elements_that_are_told_alike_are_numbered() {
    let found = names("tasks: [ { name: sh, for_each: [x, x], args { line: date } } ]");
    assert_eq!(found, ["sh date (x)", "sh date (x) #2"]);
}

#[test]
fn the_day_is_no_part_of_an_id_in_a_name() {
    let text = "tasks: [ { name: sh, id: backup ${TODAY}, args { line: date } }, { name: sh, args { line: a ${TODAY} } } ]";
    assert_eq!(names(text), ["sh backup TODAY", "sh a TODAY"]);
    let other_day = Playbook::options().set_text("TODAY=1999-12-31");
    assert_eq!(names_of(other_day, text), ["sh backup TODAY", "sh a TODAY"]);
    let no_day = Playbook::options().set_text("TODAY=a");
    assert_eq!(names_of(no_day, text), ["sh backup a", "sh a a"]);
}
