//! Values that must never be seen: [`Secret`] hides one where it is printed, the [`Redactor`] wherever its text turns up
//! again (the output of a command, an error, a diff).
//!
//! Knows nothing of jobs, and does not protect memory: a secret is an ordinary string there.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

mod forms;
mod mask;
mod matcher;
mod plain;
#[cfg(test)]
mod properties;
mod redactor;
mod userinfo;
mod withheld;

pub use mask::MASK;
#[cfg(feature = "cli")]
pub(crate) use redactor::IN_LOGS;
pub(crate) use redactor::Redactor;
#[cfg(feature = "playbook")]
pub(crate) use userinfo::in_urls;
pub(crate) use userinfo::without_passwords;
pub(crate) use withheld::withheld;
#[cfg(feature = "playbook")]
pub(crate) use withheld::withhold;

/// A value that is never shown: its `Debug`, `Display` and `Serialize` give `***`.
///
/// As an argument of the jobs (a field of the struct given to [`Engine::args`](crate::Engine::args)) it reaches the jobs
/// unmasked, and its text is masked in every event, report and picture of the run. What the run was not told of cannot be masked: a diff shows the
/// password that a file had before, for one. With `clap`, a field of this type
/// parses like its content.
///
/// ```
/// let token = dojob::Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{token} {token:?}"), "*** ***");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself; the name is meant to be noticed where this is called.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Secret(value)
    }
}

impl<T: FromStr> FromStr for Secret<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Secret)
    }
}

thread_local! {
    /// Where secrets are collected while [`reveal`] serializes arguments; `None` the rest of the time.
    static REVEALED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

impl<T: Serialize> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let revealing = REVEALED.with_borrow(Option::is_some);
        if !revealing {
            return serializer.serialize_str(MASK);
        }
        let value = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
        REVEALED.with_borrow_mut(|found| texts(&value, found.get_or_insert_default()));
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Secret)
    }
}

/// The schema of what is hidden, marked as `writeOnly`: by this the arguments of a task type are known whose values are not shown.
#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = generator.subschema_for::<T>();
        schema.insert("writeOnly".to_owned(), Value::Bool(true));
        schema
    }
}

/// Every text in `value` that could be printed.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => found.push(number.to_string()),
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
    }
}

/// Serializes `value` with its secrets as they are, and says which texts they were.
pub(crate) fn reveal(value: &impl Serialize) -> serde_json::Result<(Value, Vec<String>)> {
    /// Hides secrets again, also when a user's `Serialize` panics.
    struct Hide(Option<Vec<String>>);
    impl Drop for Hide {
        fn drop(&mut self) {
            REVEALED.set(self.0.take());
        }
    }
    let hide = Hide(REVEALED.replace(Some(Vec::new())));
    let revealed = serde_json::to_value(value);
    let found = REVEALED.take().unwrap_or_default();
    drop(hide);
    Ok((revealed?, found))
}

/// `revealed` with the mask wherever `hidden`, the same value serialized with its secrets hidden, has it.
pub(crate) fn hide_again(revealed: &mut Value, hidden: &Value) {
    match (revealed, hidden) {
        (revealed, Value::String(mask)) if mask == MASK => *revealed = Value::String(MASK.to_owned()),
        (Value::Array(revealed), Value::Array(hidden)) => {
            revealed.iter_mut().zip(hidden).for_each(|(revealed, hidden)| hide_again(revealed, hidden));
        }
        (Value::Object(revealed), Value::Object(hidden)) => {
            for (key, value) in revealed {
                hidden.get(key).into_iter().for_each(|hidden| hide_again(value, hidden));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_secret_is_masked_when_serialized_and_revealed_for_arguments() {
        #[derive(Serialize)]
        struct Args {
            user: &'static str,
            password: Secret,
        }
        let args = Args { user: "me", password: Secret::from("hunter2".to_owned()) };
        assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"user":"me","password":"***"}"#);
        let (value, found) = reveal(&args).unwrap();
        assert_eq!(value["password"], "hunter2");
        assert_eq!(found, ["hunter2"]);
        assert!(serde_json::to_string(&args).unwrap().contains(MASK), "hidden again afterwards");
    }

    #[test]
    fn the_longest_secret_is_masked_first_and_lines_on_their_own() {
        let redactor = Redactor::default();
        assert!(matches!(redactor.mask("nothing to hide"), Cow::Borrowed(_)));
        redactor.add("abc");
        redactor.add("abcdef");
        redactor.add("-----BEGIN\nKEY-----");
        assert_eq!(redactor.mask("abcdef abc"), "*** ***");
        assert_eq!(redactor.mask("a line: KEY-----"), "a line: ***");
        redactor.add("bcd");
        assert_eq!(redactor.mask("xabcdx"), "x***x", "overlapping secrets leave no tail");
    }

    #[test]
    fn escaped_forms_are_masked_and_punctuation_is_not() {
        let redactor = Redactor::default();
        redactor.add("say \"hi\"\\");
        assert_eq!(redactor.mask(&format!("{:?}", "say \"hi\"\\")), "\"***\"");
        redactor.add("{\nlong enough\n}");
        assert_eq!(redactor.mask("{ long enough }"), "{ *** }");
    }

    #[test]
    fn a_secret_is_masked_around_the_control_codes_in_it() {
        let redactor = Redactor::default();
        redactor.add("Zq7xWhunter2TokenABC");
        let coloured = "it is Zq7xW\x1b[01;31m\x1b[Khunter2\x1b[m\x1b[KTokenABC.";
        assert_eq!(redactor.mask(coloured), "it is ***.");
        assert_eq!(redactor.mask("Zq7xWhunter2\0TokenABC\r\n"), "***\r\n");
        assert_eq!(redactor.mask("Zq7xWhunter2Token\u{202e}ABC"), "***");
        assert_eq!(redactor.mask("\x1b[1mnothing\x1b[m to hide"), "\x1b[1mnothing\x1b[m to hide");
        let mut value = serde_json::json!([coloured]);
        redactor.mask_value(&mut value);
        assert_eq!(value, serde_json::json!(["it is ***."]));
        assert!(redactor.finds_in(coloured));
        // Cut before a secret that has begun, whatever is in it.
        let begun = "it is Zq7xW\x1b[01;31mhunt";
        assert!(redactor.safe_cut(begun.as_bytes()) <= 6);
        assert_eq!(redactor.mask(&begun[..redactor.safe_cut(begun.as_bytes())]), "it is ");
    }

    #[test]
    fn a_panic_while_revealing_hides_secrets_again() {
        struct Panics;
        impl Serialize for Panics {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("no")
            }
        }
        assert!(crate::panics::catch(|| reveal(&Panics)).is_err());
        assert_eq!(serde_json::to_string(&Secret::new("hunter2")).unwrap(), "\"***\"");
    }

    #[test]
    fn no_secret_is_cut_in_two() {
        let redactor = Redactor::default();
        assert_eq!(redactor.safe_cut(b"anything"), 8);
        redactor.add("secret");
        for text in ["xx secret yy", "xx secr", "xx secret", "secretsecret"] {
            let cut = redactor.safe_cut(text.as_bytes());
            let whole = format!("{text}et more");
            assert!(
                redactor.places(whole.as_bytes()).iter().all(|p| cut <= p.start || p.end <= cut),
                "{text} {cut}"
            );
        }
    }

    #[test]
    fn encodings_that_are_wrapped_leave_little_of_themselves() {
        let redactor = Redactor::default();
        redactor.add("correct horse battery staple, and more of them");
        // As `base64 -w 76` and `xxd -p` have it, behind other bytes.
        let wrapped = "cHJlZml4IHByZWZpeCBwcmVmaXggcHJlZml4IHByZWNvcnJlY3QgaG9y\nc2UgYmF0dGVyeSBzdGFwbGUsIGFuZCBtb3JlIG9mIHRoZW0=";
        assert_eq!(redactor.mask(wrapped), "cHJlZml4IHByZWZpeCBwcmVmaXggcHJlZml4IHByZW***\n***");
        let hex = "70726566697820636f727265637420686f\n20746865 6d\n65206f66207468656d";
        assert_eq!(
            redactor.mask(hex),
            "707265666978***\n20746865 6d\n***".replace("707265666978", "70726566697820")
        );
        assert_eq!(
            redactor.mask("an ordinary sentence with longer words"),
            "an ordinary sentence with longer words"
        );
    }

    #[test]
    fn what_shells_and_url_libraries_quote_is_masked() {
        let redactor = Redactor::default();
        redactor.add("a b&c+d/e\"f");
        for form in ["a\\ b\\&c+d/e\\\"f", "a%20b%26c%2Bd/e%22f", "a b&c+d/e\\\"f"] {
            assert_eq!(redactor.mask(form), MASK, "{form}");
        }
    }

    #[test]
    fn values_are_masked_in_depth() {
        let redactor = Redactor::default();
        redactor.add("hunter2");
        redactor.add("4711");
        let mut value = serde_json::json!({"hunter2": [{"pin": 4711, "text": "it is hunter2", "ok": true}]});
        redactor.mask_value(&mut value);
        assert_eq!(value, serde_json::json!({"***": [{"pin": "***", "text": "it is ***", "ok": true}]}));
    }
}
