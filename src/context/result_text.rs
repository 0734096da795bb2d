//! A text that a job hands on, or why there is none: bytes that are not UTF-8 do not pass for a text.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::context::output::Captured;

/// The only key of the object that stands for a text that there is not; its value says why.
pub(crate) const NOT_TEXT: &str = "dojob.not_text";

/// Text for a job's [result](crate::Context::set_result). Where the bytes are not UTF-8, the result says so in the place of the text,
/// and a task of a playbook that uses it fails: it would get another text than was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultText(Result<String, String>);

impl ResultText {
    /// The bytes as a text.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        ResultText(text(bytes.into(), 0))
    }

    /// The text, or why there is none.
    ///
    /// # Errors
    /// Which byte is not UTF-8, and where.
    pub fn get(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(String::as_str)
    }
}

/// What a command printed, as a shell's `$(…)` has it: without the line breaks at its end.
impl From<&Captured> for ResultText {
    fn from(captured: &Captured) -> Self {
        let mut whole = captured.pieces().map(|(bytes, offset)| text(bytes, offset));
        let first = whole.next().unwrap_or_else(|| Ok(String::new()));
        let text = match (first, whole.next()) {
            (Ok(head), Some(Ok(tail))) => Ok(captured.join_pieces(&head, &tail)),
            (Err(why), _) | (_, Some(Err(why))) => Err(why),
            (Ok(text), None) => Ok(text),
        };
        ResultText(text.map(|mut text| {
            text.truncate(text.trim_end_matches('\n').len());
            text
        }))
    }
}

impl Default for ResultText {
    /// An empty text.
    fn default() -> Self {
        ResultText(Ok(String::new()))
    }
}

impl Serialize for ResultText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(text) => serializer.serialize_str(text),
            Err(why) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(NOT_TEXT, why)?;
                map.end()
            }
        }
    }
}

/// The bytes as a text, of which the first stands at `offset`.
fn text(bytes: Vec<u8>, offset: u64) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        format!("it is not UTF-8: offset {}, the byte 0x{byte:02x}", offset + at as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(bound: usize, bytes: &[u8]) -> ResultText {
        let mut captured = Captured::new(bound);
        captured.push(bytes);
        ResultText::from(&captured)
    }

    #[test]
    fn only_line_breaks_are_taken_off_what_is_handed_on() {
        assert_eq!(of(8, b"\na \t\n\n").get(), Ok("\na \t"));
        assert_eq!(of(8, b"\n\n").get(), Ok(""));
        assert_eq!(of(8, b"").get(), Ok(""));
        assert_eq!(of(8, b"a\r\n").get(), Ok("a\r"));
        assert_eq!(of(8, b"abcdefghij \n").get(), Ok("abcd\n[4 bytes left out]\nij "));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_no_text() {
        assert_eq!(of(8, b"M\xfcller\n").get(), Err("it is not UTF-8: offset 1, the byte 0xfc"));
        assert_eq!(of(8, b"abcdefghij\xfc\n").get(), Err("it is not UTF-8: offset 10, the byte 0xfc"));
        let cut = "\u{e4}".repeat(8);
        assert_eq!(
            of(6, cut.as_bytes()).get(),
            Ok("\u{e4}\n[12 bytes left out]\n\u{e4}"),
            "characters that were cut"
        );
        let printed = serde_json::to_value(of(8, b"\xff")).unwrap();
        assert_eq!(printed, json!({ "dojob.not_text": "it is not UTF-8: offset 0, the byte 0xff" }));
        assert_eq!(serde_json::to_value(ResultText::from_bytes("a\n")).unwrap(), json!("a\n"));
    }
}
