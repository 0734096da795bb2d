//! Tests of how Git is called.

use super::*;

#[test]
fn another_commit_of_a_submodule_is_a_modification_when_it_is_about_to_be_committed() {
    let [a, b] = ["a".repeat(40), "b".repeat(40)];
    let entry = |what: &str| format!("1 {what} {a} {b} a file");
    assert_eq!(modification(&entry(".M N... 100644 100644 100644")), Some("a file"));
    assert_eq!(modification(&entry(".M SC.. 160000 160000 160000")), None);
    assert_eq!(modification(&entry("M. SC.. 160000 160000 160000")), Some("a file"));
    let conflict = format!("u UU N... 100644 100644 100644 100644 {a} {a} {b} a file");
    assert_eq!(modification(&conflict), Some("a file"));
    assert_eq!(modification(""), None);
}

#[test]
fn locks_are_found_wherever_they_are_and_objects_are_not_looked_through() {
    let root = tempfile::tempdir().unwrap();
    let locks = |git: &Path| {
        let mut found = Vec::new();
        for_each_lock(git, |lock| {
            found.push(lock.path.display().to_string());
            Ok(())
        })
        .unwrap();
        found.sort();
        found
    };
    assert!(locks(&root.path().join("gone")).is_empty());
    for file in ["index.lock", "refs/heads/a.lock", "objects/b.lock", "config"] {
        let file = root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    std::os::unix::fs::symlink("refs", root.path().join("link")).unwrap();
    assert_eq!(locks(root.path()), ["index.lock", "refs/heads/a.lock"]);
}
