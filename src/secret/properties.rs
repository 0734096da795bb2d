//! Properties of masking: whatever the secret, and however its text is written down or cut, nothing of it is shown that the
//! page of playbooks says is masked.

use proptest::prelude::*;
use serde_json::Value;

use super::Redactor;

/// Characters of secrets that text around them does not have, so that what is shown of one is no accident.
const OF_SECRETS: &str = "[A-Za-z0-9+/=_.:@\"'\\\\ $%&ü€-]{6,60}";
const AROUND: &str = "[~^|<>,;()\\[\\] \t]{0,40}";

fn secret() -> impl Strategy<Value = String> {
    let line = OF_SECRETS.prop_filter("more than white space", |line| line.trim().len() >= 6);
    prop::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n"))
}

/// The ways in which a text is written that the page names.
fn written(secret: &str, way: usize) -> String {
    match way {
        0 => secret.to_owned(),
        1 => secret.trim().to_owned(),
        2 => secret.lines().map(|line| format!("    {line}\n")).collect(),
        3 => secret.lines().map(|line| format!("| {}\n", line.trim())).collect(),
        4 => Value::from(secret).to_string(),
        5 => format!("{secret:?}"),
        6 => secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        7 => secret.bytes().map(percent_encoded).collect(),
        _ => secret.replace('\'', r"'\''"),
    }
}

/// A byte as in RFC 3986, where only what is not unreserved is encoded.
fn percent_encoded(byte: u8) -> String {
    match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// What must not be seen: the lines of the secret, as they are in that way.
fn forbidden(secret: &str, way: usize) -> Vec<String> {
    match way {
        0..=3 => secret.lines().map(|line| line.trim().to_owned()).collect(),
        way => vec![written(secret.trim(), way).trim_matches('"').to_owned()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_form_of_a_secret_is_shown(
        secret in secret(), way in 0..9_usize, before in AROUND, after in AROUND, others in prop::collection::vec(secret(), 0..3),
    ) {
        let redactor = Redactor::default();
        others.iter().for_each(|other| redactor.add(other));
        redactor.add(&secret);
        let text = format!("{before}{}{after}", written(&secret, way));
        let shown = redactor.mask(&text);
        for form in forbidden(&secret, way) {
            prop_assert!(!shown.contains(&form), "{form:?} is shown in {shown:?}");
        }
        prop_assert_eq!(redactor.mask(&shown), shown.clone(), "masked twice");
    }

    /// A text that comes in pieces, as long lines do, is masked as it is in one.
    #[test]
    fn a_text_in_pieces_is_masked_as_a_whole(
        secret in secret(), before in AROUND, after in AROUND, cuts in prop::collection::vec(1..30_usize, 1..6),
    ) {
        let redactor = Redactor::default();
        redactor.add(&secret);
        let text = format!("{before}{secret}{after}");
        let (mut shown, mut from) = (Vec::new(), 0);
        for cut in cuts {
            let to = (from + cut).min(text.len());
            shown.extend(redactor.mask_part(text.as_bytes(), from..to));
            from = to;
        }
        shown.extend(redactor.mask_part(text.as_bytes(), from..text.len()));
        let shown = String::from_utf8_lossy(&shown);
        for line in secret.lines() {
            prop_assert!(!shown.contains(line.trim()), "{line:?} is shown in {shown:?}");
        }
    }

    /// Where the rest of a text is lost, what is left of a secret at the cut goes with it.
    #[test]
    fn nothing_recognisable_is_left_at_a_cut(secret in secret(), before in AROUND, cut in 0..100_usize) {
        let redactor = Redactor::default();
        redactor.add(&secret);
        let text = format!("{before}{secret}");
        let cut = text.floor_char_boundary(cut.min(text.len()));
        let head = &text[..cut];
        let left = &head.as_bytes()[..head.len() - redactor.loose_end(head.as_bytes())];
        let shown = redactor.mask(&String::from_utf8_lossy(left)).into_owned();
        let begun = cut.saturating_sub(before.len());
        prop_assert!(begun < 6 || !shown.contains(&secret[..secret.floor_char_boundary(begun)]), "{shown:?}");
    }
}

/// The cost of many secrets, and of long ones, grows as they do: a test that would not end if each were compared with all.
#[test]
fn many_lines_and_many_secrets_are_added_and_found() {
    let redactor = Redactor::default();
    let lines: Vec<String> = (0..20_000).map(|n| format!("line {n:08} of a secret of many lines")).collect();
    redactor.add(&lines.join("\n"));
    let long = |n: u32| format!("{n:08}{}", "x".repeat(4_000));
    (0..500).for_each(|n| redactor.add(&long(n)));
    let text = format!("{} and {} and {}", lines[17_777], long(499), lines[5]);
    assert_eq!(redactor.mask(&text), "*** and *** and ***");
}
