//! One setting in a configuration file: INI, JSON, TOML or YAML, all else in it kept as it is.
//!
//! Every edit is read again before it is written: unless that setting alone has changed, nothing is written.

mod ini;
mod json;
mod key;
mod toml;
mod tree;
mod yaml;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use dojob::{Context, Job, Permanent};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use self::key::Key;
use crate::disk::edit::{self, Edited, Editor};
use crate::disk::{Validate, path, write};
use crate::text::Text;
use crate::validated::validated;
use crate::value::Value;

/// How much of a value is told in a reason.
const SHOWN: usize = 60;

/// One setting of a configuration file has a value, or is not there. Comments, order and layout of all else are kept.
///
/// | format | what is known |
/// | --- | --- |
/// | `ini` | `name = value` in `[sections]`, also `name: value` (whichever sign comes first) and names alone. A value is all that is behind the sign, taken as it is, quotes and ` ;` included; see `inline_comments`. Sections and names are told apart by upper and lower case. A name that is there twice, or whose value goes on in the next line, is an error |
/// | `json` | JSON, with comments and commas at the end where the file has some |
/// | `toml` | all of TOML; a date counts as the text that it is written as, and stays one. 1 and 1.0 are two things |
/// | `yaml` | one document of YAML 1.2; values that are written on lines of their own (lists with dashes, `\|` texts), that have an anchor or a tag, come from an alias or a merge key (`<<`), or are within what an alias stands for, are not edited: that is an error. New lists and objects are written in brackets. 1 and 1.0 are two things |
///
/// Numbers are written as they stand in the playbook (`1.10`), and refused where the format cannot say them. An entry of a
/// list is not removed by its number, since the next one would take its place.
///
/// A byte order mark and the ends of lines stay as they are. INI files need not be UTF-8; the others must.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Setting;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("app.toml"); std::fs::write(&path, "[server]\nport = 80 # for now\n")?;
/// # let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/app.toml";
/// let job = Setting::new(path, "server.port", 8080);
/// assert!(Engine::new(job)?.converge().success());
/// # assert_eq!(std::fs::read_to_string(path)?, "[server]\nport = 8080 # for now\n");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(!remote)]
#[schemars(extend("x-dojob-target" = { "by": "path", "and": ["key"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Setting {
    /// Which file, such as `/etc/app/config.toml`. A relative path counts from the directory that the program was started
    /// in. A symbolic link is followed.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// Which setting: the names on the way to it with dots between them, `server.tls.port`, or a list of names, where one has a
    /// dot itself: `[server, "a.b"]`. A number finds an entry of a list, counted from 0. In INI the last name is that of
    /// the setting, and what is before it that of the section.
    pub key: Key,
    /// What it is to be: a text, a number, a truth value, a list or an object; in INI no list or object. Needed unless `absent`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Whether the setting is to be removed. By default it is set.
    #[serde(default)]
    pub absent: bool,
    /// The format of the file. By default what its name ends with: `.ini`, `.json`, `.jsonc`, `.toml`, `.yaml` or `.yml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Whether a file that is missing is made, with the mode `0644`. By default that is an error.
    #[serde(default)]
    pub create: bool,
    /// Whether to keep the file as it was before, as `NAME.dojob-old` beside it. By default it is not kept.
    #[serde(default)]
    pub backup: bool,
    /// A command that has to accept the new file before it takes the old one's place, program and arguments one by one;
    /// `{}` stands for where the new file is until then: `["nginx", "-t", "-c", "{}"]`. By default nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// INI alone: whether what follows ` ;` or ` #` is a comment behind the value, which stays, for the programs that read it
    /// so: Git, MySQL, PHP. Then `value` must not have `;`, `#` or `\` outside of double quotes, which those programs read as
    /// something else; quotes are written as they are. By default it is part of the value, as it is for systemd, Samba and
    /// Python.
    #[serde(default)]
    pub inline_comments: bool,
    /// Whether to hide the value, because it is confidential: no difference is shown. By default it is shown.
    #[serde(default)]
    pub hide: bool,
}

validated!(Setting);

/// The format of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// `name = value` in `[sections]`.
    Ini,
    /// JSON, comments allowed.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// Null is a value, too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Format {
    /// By the end of a file's name.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "ini" => Some(Format::Ini),
            "json" | "jsonc" => Some(Format::Json),
            "toml" => Some(Format::Toml),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Ini => "INI",
            Format::Json => "JSON",
            Format::Toml => "TOML",
            Format::Yaml => "YAML",
        }
    }

    fn validate(self, key: &Key, value: Option<&Value>, inline_comments: bool) -> Result<()> {
        match (self, value) {
            (Format::Ini, value) => ini::validate(key.names(), value, inline_comments),
            (_, None) => Ok(()),
            (Format::Json, Some(value)) => value.validate_numbers("JSON"),
            (Format::Toml, Some(value)) => toml::validate(value),
            (Format::Yaml, Some(value)) => yaml::validate(value),
        }
    }

    /// What was found, and the text in which the setting is as wanted; `None` where it is so already.
    fn edit(
        self,
        text: &str,
        names: &[String],
        wanted: Option<&Value>,
        inline_comments: bool,
    ) -> Result<Option<(Option<Value>, String)>> {
        let parse: fn(&str) -> Result<Value> = match self {
            Format::Ini => return ini::edit(text, names, wanted, inline_comments),
            Format::Json => json::parse,
            Format::Toml => toml::parse,
            Format::Yaml => yaml::parse,
        };
        let tells_floats = self != Format::Json;
        let mut tree = parse(text).with_context(|| format!("failed to read it as {}", self.name()))?;
        if wanted.is_none() {
            refuse_entry(&tree, names)?;
        }
        if self == Format::Yaml {
            yaml::refuse_merged(text, names, wanted)?;
        }
        let found = tree::get(&tree, names)?.cloned();
        let is_same = match (&found, wanted) {
            (None, None) => true,
            (Some(found), Some(wanted)) => {
                tree::is_same(found, wanted, tells_floats)
                    && (self != Format::Yaml || yaml::is_plain_to_all(text, names, wanted)?)
            }
            _ => false,
        };
        if is_same {
            return Ok(None);
        }
        let edited = match self {
            Format::Json => json::edit(text, names, wanted),
            Format::Toml => toml::edit(text, names, wanted),
            Format::Yaml | Format::Ini => yaml::edit(text, names, wanted),
        }?;
        tree::set(&mut tree, names, wanted)?;
        let again = parse(&edited).ok().filter(|again| tree::is_same_document(again, &tree, tells_floats));
        let kept = again
            .ok_or_else(|| anyhow!("this cannot be set without changing something else; edit it by hand"));
        kept.map(|_| Some((found, edited)))
    }
}

/// Refuses to remove an entry of a list by its number.
fn refuse_entry(tree: &Value, names: &[String]) -> Result<()> {
    let Some((last, way)) = names.split_last() else { return Ok(()) };
    if matches!(tree::get(tree, way)?, Some(Value::Array(_))) {
        let list = if way.is_empty() { "the document".to_owned() } else { format!("`{}`", way.join(".")) };
        let message = format!(
            "{list} is a list, and entry {last} is not removed by its number: the next one would take its place, \
             and be removed as well; set the whole list"
        );
        return Err(Permanent::new(message).into());
    }
    Ok(())
}

impl Setting {
    /// The setting of the file at `path` has this value.
    pub fn new(path: impl Into<PathBuf>, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        Setting { value: Some(value.into()), absent: false, ..Setting::none(path, key) }
    }

    /// There is no such setting in the file at `path`.
    pub fn none(path: impl Into<PathBuf>, key: impl Into<Key>) -> Self {
        Setting {
            path: path.into(),
            key: key.into(),
            value: None,
            absent: true,
            format: None,
            create: false,
            backup: false,
            validate: None,
            inline_comments: false,
            hide: false,
        }
    }

    /// What follows ` ;` or ` #` in an INI file is a comment.
    #[must_use]
    pub fn inline_comments(mut self) -> Self {
        self.inline_comments = true;
        self
    }

    /// The file has this format, whatever its name.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// A file that is missing is made.
    #[must_use]
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// The file as it was before is kept beside it.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.backup = true;
        self
    }

    /// Once this command accepts it, program and arguments; `{}` stands for the new file.
    #[must_use]
    pub fn validated_by<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.validate = Some(Validate::new(command));
        self
    }

    /// The value is confidential.
    #[must_use]
    pub fn hide(mut self) -> Self {
        self.hide = true;
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_named(&self.path)?;
        self.validate.as_ref().map_or(Ok(()), Validate::validate)?;
        self.key.validate()?;
        ensure!(self.value.is_some() || self.absent, "a setting needs a `value`, or has to be `absent`");
        ensure!(self.value.is_none() || !self.absent, "a setting that is to be `absent` has no `value`");
        ensure!(!(self.absent && self.create), "`create` is not allowed with `absent`");
        let format = self.format_of_file()?;
        ensure!(
            !self.inline_comments || format == Format::Ini,
            "`inline_comments` is for INI alone: other formats say themselves what a comment is"
        );
        format.validate(&self.key, self.value.as_ref(), self.inline_comments)
    }

    fn format_of_file(&self) -> Result<Format> {
        let format = self.format.or_else(|| Format::of(&self.path));
        format.ok_or_else(|| {
            anyhow!(
                "what format {} has is not told by its name; say `format`: ini, json, toml or yaml",
                self.path.display()
            )
        })
    }

    fn editor(&self) -> Editor<'_> {
        Editor {
            path: &self.path,
            // What is not there has no setting.
            create: self.create || self.absent,
            backup: self.backup,
            validate: self.validate.as_ref(),
            hide: self.hide,
        }
    }

    fn edit(&self, text: &Text) -> Result<Option<Edited>> {
        let (names, wanted, format) = (self.key.names(), self.value.as_ref(), self.format_of_file()?);
        let edited = match format {
            Format::Ini => format.edit(text.as_str(), names, wanted, self.inline_comments),
            _ => text.utf8().and_then(|text| format.edit(&text, names, wanted, false)),
        };
        let edited =
            edited.with_context(|| format!("failed to set `{}` in {}", self.key, self.path.display()))?;
        Ok(edited.map(|(found, text)| Edited::new(self.reason(found.as_ref()), text)))
    }

    fn reason(&self, found: Option<&Value>) -> String {
        let key = &self.key;
        match (found, &self.value) {
            (None, _) => format!("{key} is not set"),
            (Some(_), None) => format!("{key} is set"),
            (Some(_), Some(_)) if self.hide => format!("{key} differs"),
            (Some(found), Some(wanted)) => format!("{key} is {}, not {}", shown(found), shown(wanted)),
        }
    }

    fn mask(&self, cx: &Context) {
        if let Some(Value::String(text)) = self.value.as_ref().filter(|_| self.hide) {
            edit::mask(cx, text);
        }
    }
}

/// As JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

impl Job for Setting {
    fn name(&self) -> String {
        format!("Setting {}: {}", self.path.display(), self.key)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.mask(cx);
        self.editor().check(|text| self.edit(text))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.mask(cx);
        self.editor().run(cx, |text| self.edit(text))
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.path)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Texts of which some are well formed, and all are near to it.
    fn text() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("a"),
            Just("b"),
            Just("c"),
            Just(": "),
            Just(":"),
            Just(" = "),
            Just("="),
            Just("1"),
            Just("x y"),
            Just("\n"),
            Just("\n  "),
            Just("\n    "),
            Just("- "),
            Just("["),
            Just("]"),
            Just("{"),
            Just("}"),
            Just(", "),
            Just(" # ö"),
            Just("; z"),
            Just("'q'"),
            Just("\"r\""),
            Just("|\n  s\n"),
            Just("\r\n"),
            Just("&d "),
            Just("*d"),
            Just("!t "),
            Just("---\n"),
            Just("\t"),
            Just("ä"),
            Just("null"),
            Just("? "),
            Just("\\"),
            Just("\u{feff}"),
            Just("//"),
            Just("\""),
        ];
        proptest::collection::vec(pieces, 0..16).prop_map(|pieces| pieces.concat())
    }

    fn key() -> impl Strategy<Value = Vec<String>> {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("0"), Just("1"), Just("d")];
        proptest::collection::vec(name.prop_map(str::to_owned), 1..4)
    }

    fn wanted() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            Just(Some(1.into())),
            Just(Some("x: #y'\"".into())),
            Just(Some(true.into())),
            Just(Some(json!([1.5, {"a b": null}]).into())),
            Just(Some("yes".into())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Whatever the text: an error, or a text in which there is nothing left to do.
        #[test]
        fn an_edit_is_made_once(text in text(), names in key(), wanted in wanted()) {
            for format in [Format::Ini, Format::Json, Format::Toml, Format::Yaml] {
                if let Ok(Some((_, edited))) = format.edit(&text, &names, wanted.as_ref(), false) {
                    let again = format.edit(&edited, &names, wanted.as_ref(), false);
                    prop_assert!(
                        matches!(again, Ok(None)),
                        "{format:?} {names:?} {wanted:?}\n{text:?}\n{edited:?}\n{again:?}"
                    );
                }
            }
        }
    }
}
