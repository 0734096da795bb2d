//! Results and secrets where an argument is read as a pattern: they are data, and stand for themselves.
//!
//! A schema says with `x-literal` how an argument is read: `regex`, in which results are escaped, or `replacement`, in
//! which `$` begins the name of a group, so that a value with a `$` is refused. A secret is never escaped, since it would
//! not be known again where it has to be masked: one that would have to be is refused.

use super::argument_path::ArgumentStep;
use super::deferred;
use super::fill::Unfilled;
use super::hocon::Placeholder;
use super::hocon::Value;
use super::schema::View;
use super::schema_keys;
use super::task_type::TaskType;

/// The value as it has to be written at this path to stand for itself.
pub(super) fn literal(
    kind: &TaskType,
    path: &[ArgumentStep],
    placeholder: &Placeholder,
    value: Value,
) -> Result<Value, Unfilled> {
    let Value::String(text) = &value else { return Ok(value) };
    let notation =
        View::new(kind.schema()).below(path).and_then(|schema| schema.get(schema_keys::LITERAL)?.as_str());
    match notation {
        Some("regex") => match escaped(text) {
            same if same == *text => Ok(value),
            escaped if deferred::secret(placeholder).is_none() => Ok(Value::String(escaped)),
            _ => Err(refused(
                path,
                placeholder,
                "characters in it that have a meaning in a regular expression",
            )),
        },
        Some("replacement") if text.contains('$') => {
            Err(refused(path, placeholder, "a `$` in it, which stands for a group here"))
        }
        _ => Ok(value),
    }
}

fn refused(path: &[ArgumentStep], placeholder: &Placeholder, what: &str) -> Unfilled {
    let hint = "a task such as `template` takes the value as it is".to_owned();
    Unfilled::new(path, format!("`{}` has {what}", placeholder)).hint(Some(hint))
}

/// A text as a regular expression that fits it alone.
fn escaped(text: &str) -> String {
    const MEANINGFUL: &str = r"\.+*?()|[]{}^$#&-~";
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if MEANINGFUL.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(escaped("a.b*c$d"), r"a\.b\*c\$d");
        assert_eq!(escaped("x_1=<ä>/:"), "x_1=<ä>/:");
        assert_eq!(escaped(r"[#&-~]\"), r"\[\#\&\-\~\]\\");
    }
}
