//! Names in archives, for people.

/// A name for people: what is no text, and what a terminal might take for a command, is escaped.
pub(crate) fn show(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_commands_for_a_terminal() {
        assert_eq!(show("süß/a b".as_bytes()), "süß/a b");
        assert_eq!(show(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\\xff");
    }
}
