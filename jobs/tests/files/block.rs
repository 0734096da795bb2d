use std::fs;
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Block;
use serde_json::json;

use crate::support::*;

fn made(text: &str, job: impl Fn(Block) -> Block) -> String {
    let prepare = |root: &Path| fs::write(root.join("file"), text).unwrap();
    let root = prove(prepare, |root| job(Block::new(root.join("file"), "site", "one\ntwo\n")).into_job());
    assert_eq!(names(root.path()), ["file"]);
    read(&root.path().join("file"))
}

fn error(text: &str, job: impl Fn(Block) -> Block) -> String {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), text).unwrap();
    failed(job(Block::new(root.path().join("file"), "site", "one\ntwo")), root.path())
}

#[test]
fn a_block_is_added_and_changed() {
    const BLOCK: &str = "# begin site\none\ntwo\n# end site\n";
    assert_eq!(made("", |block| block), BLOCK);
    assert_eq!(made("a\nb", |block| block), format!("a\nb\n{BLOCK}"));
    assert_eq!(made("a\nb\n", |block| block.before("^b")), format!("a\n{BLOCK}b\n"));
    assert_eq!(made("a\nb\n", |block| block.after("^a")), format!("a\n{BLOCK}b\n"));
    assert_eq!(made("a\n# begin site\n# end site\nb", |block| block), format!("a\n{BLOCK}b"));
    assert_eq!(made("# begin site\none\ntwo\nthree\n# end site", |block| block), BLOCK);
    assert_eq!(made("a\r\n", |block| block), "a\r\n# begin site\r\none\r\ntwo\r\n# end site\r\n");
    assert_eq!(
        made("<a>\n</a>\n", |block| block.markers("<!-- site -->", "<!-- /site -->").before("^</a>")),
        "<a>\n<!-- site -->\none\ntwo\n<!-- /site -->\n</a>\n"
    );
}

#[test]
fn a_block_is_removed() {
    let none = |block: Block| Block::none(block.path, block.name);
    assert_eq!(made("a\n# begin site\none\n# end site\nb\n", none), "a\nb\n");
    let root = tempfile::tempdir().unwrap();
    assert_eq!(converge(Block::none(root.path().join("none"), "site")).counts().in_place, 1);
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("hosts");
    fs::write(&path, "a\n").unwrap();
    let job = || Block::new(&path, "site", "one");
    assert_eq!(
        would(job(), root.path()),
        (
            "ROOT/hosts lacks the block site".into(),
            "--- ROOT/hosts\n+++ ROOT/hosts (wanted)\n@@ -1 +1,4 @@\n a\n+# begin site\n+one\n+# end site\n"
                .into()
        )
    );
    assert!(converge(job()).success());
    let differs = "the block site of ROOT/hosts differs".to_owned();
    assert_eq!(would(Block::new(&path, "site", "two").hide(), root.path()), (differs, String::new()));
    let removed = would(Block::none(&path, "site"), root.path()).0;
    assert_eq!(removed, "the block site of ROOT/hosts is to be removed");
    assert_eq!(
        would(Block::new(root.path().join("none"), "a", "").create(), root.path()).0,
        "ROOT/none does not exist"
    );
}

#[test]
fn what_cannot_be_done_is_told() {
    let text = error("# begin site\none\n", |block| block);
    assert!(
        text.contains(
            "the markers in ROOT/file are no pair: \"# begin site\" on line 1, \"# end site\" on no line; mend it by hand"
        ),
        "{text}"
    );
    for broken in ["# end site\n# begin site\n", "# begin site\n# begin site\n# end site\n", "# end site\n"] {
        assert!(error(broken, |block| block).contains("are no pair"), "{broken}");
        assert!(
            error(broken, |block| Block::none(block.path, block.name)).contains("are no pair"),
            "{broken}"
        );
    }
    let text = error("a\n", |block| block.after("b"));
    assert!(
        text.contains("ROOT/file has no place for the block site: no line fits `after`, \"b\""),
        "{text}"
    );
    let root = tempfile::tempdir().unwrap();
    assert!(
        failed(Block::new(root.path().join("none"), "a", ""), root.path())
            .contains("ROOT/none does not exist")
    );
}

#[test]
fn the_old_file_is_kept() {
    let prepare = |root: &Path| fs::write(root.join("hosts"), "a\n").unwrap();
    let root = prove(prepare, |root| Block::new(root.join("hosts"), "site", "").backup().into_job());
    assert_eq!(read(&root.path().join("hosts.dojob-old")), "a\n");
    assert_eq!(read(&root.path().join("hosts")), "a\n# begin site\n# end site\n");
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let block = |more: serde_json::Value| {
        let mut value = json!({ "path": "/a", "name": "site", "content": "one" });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused::<Block>(value)
    };
    assert_eq!(refused::<Block>(json!({ "path": "/a" })), "missing field `name`");
    assert_eq!(
        refused::<Block>(json!({ "path": "/a", "name": "b" })),
        "`content` is needed, unless `absent`"
    );
    assert_eq!(block(json!({ "path": "" })), "a path must not be empty");
    assert_eq!(block(json!({ "name": " " })), "`name` must not be empty");
    assert_eq!(block(json!({ "name": "a\nb" })), "`name` must be one line, without a NUL byte");
    assert_eq!(block(json!({ "begin": "a\nb" })), "`begin` must be one line, without a NUL byte");
    assert_eq!(block(json!({ "end": "a\u{0}" })), "`end` must be one line, without a NUL byte");
    assert_eq!(
        block(json!({ "begin": "x", "end": "x" })),
        "`begin` and `end` must not be empty, nor be the same"
    );
    assert_eq!(block(json!({ "begin": "" })), "`begin` and `end` must not be empty, nor be the same");
    assert_eq!(
        block(json!({ "content": "a\n# end site\nb" })),
        "`content` must not have a line that is `begin` or `end`"
    );
    assert_eq!(
        block(json!({ "absent": true })),
        "`absent` goes with none of `content`, `after`, `before` and `create`"
    );
    assert!(block(json!({ "after": "(" })).starts_with("`after` is no regular expression"));
    assert!(block(json!({ "marker": "x" })).starts_with("unknown field `marker`"));
    for field in ["name", "content", "begin", "end", "after", "before", "absent", "create", "backup", "hide"]
    {
        assert!(block(json!({ field: [1] })).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Block>("Block", &["path", "name"]);
}
