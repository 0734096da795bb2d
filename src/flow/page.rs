//! Keeps the tables of `docs/flow.md` as the code has them.

/// Compares the part of the page between two marks of this name with `current`, or, with `RENEW=1`, writes it there.
pub(super) fn keeps(mark: &str, current: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flow.md");
    let mark = format!("<!-- {mark} -->\n");
    let _one_at_a_time = PAGE.lock();
    let page = std::fs::read_to_string(path).expect("docs/flow.md");
    let parts: Vec<&str> = page.split(&mark).collect();
    let [head, _, tail] = parts[..] else { panic!("docs/flow.md has not two marks {mark}") };
    let renewed = format!("{head}{mark}{current}\n{mark}{tail}");
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(path, &renewed).expect("docs/flow.md");
    } else {
        assert!(page == renewed, "docs/flow.md is stale: run this test with RENEW=1");
    }
}

static PAGE: std::sync::Mutex<()> = std::sync::Mutex::new(());
