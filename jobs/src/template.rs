//! A file whose content is made from a template and variables.

mod line_ends;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use dojob::{Context, CouldNotFindOut, Job, OrCouldNotFindOut, Permanent, Secret};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{self as jinja, Enumerator, Object, Serde};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::disk::inspect::{self, Found, Links, TEXT_LIMIT};
use crate::disk::owner::{Group, Mode, Owner};
use crate::disk::{Validate, path, write};
use crate::early;
use crate::facts::{Facts, GROUPS};
use crate::file::File;
use crate::text::{MARK, Text};
use crate::validated::validated;
use crate::value::{Number, Value};

/// So many steps may a template take: one that is written by mistake ends, too.
const FUEL: u64 = 10_000_000;

/// What a template in the configuration itself is called in messages.
const INLINE: &str = "template";

/// A file with this mode and owner, its content made from a template in the language Jinja: `{{ name }}` is a variable,
/// `{% for host in hosts %}` … `{% endfor %}` and `{% if … %}` … `{% endif %}` are loops and conditions, `{# … #}` is a
/// comment. A line with nothing but such tags leaves nothing behind; any other line that ends with one stays a line.
///
/// A variable that is not there is an error, and nothing is written then; `{{ name | default("none") }}` asks for less.
/// Nothing is escaped: what is written is text, whatever the file's name.
///
/// `facts` is what is known of the machine, as [`Facts`] has it: `{{ facts.hostname }}`, `{{ facts.hardware.cpus }}`,
/// `{% if facts.os.family == "debian" %}`, `{{ facts.users["rosa"].home }}`. Only what the template asks for is read. What is not known is
/// none. A variable of one's own that is called `facts` takes its place.
///
/// Its result: `path`, the absolute path of the file.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Template;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("motd"); let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/motd";
/// let job = Template::new(path, "Welcome to {{ host }}!\n").var("host", "athena").mode(0o644);
/// assert!(Engine::new(job)?.converge().success());
/// # assert_eq!(std::fs::read_to_string(path)?, "Welcome to athena!\n");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Template")]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = { "path": false }))]
pub struct Template {
    /// Where the file is, such as `/etc/motd`. A relative path counts from the directory that the program was started
    /// in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// The template itself. Either this or `source` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-dojob-template" = true))]
    pub template: Option<String>,
    /// A file with the template, on the machine where this runs, of at most 1 MiB. Templates that it includes are
    /// looked for in its directory.
    #[serde(default, deserialize_with = "path::optional", skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// The variables: texts, numbers, lists, maps. A number that a template would write otherwise than it stands here, such as
    /// 1.10, is an error: in quotes it is a text. Without being given, `facts` is what is known of the machine, such as
    /// `facts.os.family`, `facts.hostname` or `facts.hardware.cpus`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// Variables that nobody may see: they are masked wherever they turn up, and no difference is shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret<String>>,
    /// The permissions, such as `"0640"`; unless given they stay as they are, and are `0644` for a new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The user that it belongs to, by name or number; unless given it stays with whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that it belongs to, by name or number; unless given it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether to keep the file that is replaced, as `NAME.dojob-old` beside it. By default it is not kept.
    #[serde(default)]
    pub backup: bool,
    /// A command that has to accept the new file before it takes the old one's place, program and arguments one by one;
    /// `{}` stands for where the new file is until then: `["visudo", "-cf", "{}"]`. By default nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// Whether a symbolic link at the path is followed, and the file written that it leads to. By default the link is
    /// replaced by the file, and what it leads to is left alone.
    #[serde(default)]
    pub follow: bool,
    /// Whether a directory at the path (with all that is in it), a device, a named pipe or a socket may be removed
    /// for the file. By default that is an error.
    #[serde(default)]
    pub force: bool,
    /// Whether to hide how the content differs, because it is confidential. By default it is shown.
    #[serde(default)]
    pub hide: bool,
}

validated!(Template, validate_read);

impl Template {
    /// The file at `path`, made from this template.
    pub fn new(path: impl Into<PathBuf>, template: impl Into<String>) -> Self {
        Template { template: Some(template.into()), ..Template::empty(path) }
    }

    /// The file at `path`, made from the template in the file at `source`.
    pub fn from_file(path: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        Template { source: Some(source.into()), ..Template::empty(path) }
    }

    fn empty(path: impl Into<PathBuf>) -> Self {
        Template {
            path: path.into(),
            template: None,
            source: None,
            vars: BTreeMap::new(),
            secrets: BTreeMap::new(),
            mode: None,
            owner: None,
            group: None,
            backup: false,
            validate: None,
            follow: false,
            force: false,
            hide: false,
        }
    }

    /// With this variable.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// With this variable, which nobody may see.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<Secret<String>>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// With these permissions: `0o640`.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Belonging to this user, by name or number.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Belonging to this group, by name or number.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Keeping the file that is replaced.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.backup = true;
        self
    }

    /// Following a symbolic link at the path.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Removing a directory, or what else is in its place.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Without showing how the content differs.
    #[must_use]
    pub fn hide(mut self) -> Self {
        self.hide = true;
        self
    }

    /// Once this command accepts it, program and arguments; `{}` stands for the new file.
    #[must_use]
    pub fn validated_by<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.validate = Some(Validate::new(command));
        self
    }

    /// As [`validate`](Template::validate), and whether all is there that the template needs: in a phase rendering it
    /// tells that.
    fn validate_read(&self) -> Result<()> {
        self.validate()?;
        self.template.as_ref().map_or(Ok(()), |template| self.refuse_undefined(&line_ends::kept(template)))
    }

    fn validate(&self) -> Result<()> {
        path::validate_named(&self.path)?;
        self.validate.as_ref().map_or(Ok(()), Validate::validate)?;
        self.mode.map_or(Ok(()), Mode::validate)?;
        ensure!(
            self.template.is_some() != self.source.is_some(),
            "either `template` or `source` is needed, and not both"
        );
        if let Some(twice) = self.secrets.keys().find(|name| self.vars.contains_key(*name)) {
            bail!("`{twice}` is in `vars` and in `secrets`");
        }
        for (name, value) in &self.vars {
            if let Some(number) = value.find_number(&|number| number_value(number).is_err()) {
                number_value(number).map_err(|error| error.context(format!("bad variable `{name}`")))?;
            }
        }
        if let Some(template) = &self.template {
            let template = line_ends::kept(template);
            environment(None).template_from_named_str(INLINE, &template).map_err(|error| plain(&error))?;
        }
        Ok(())
    }

    /// A variable that is needed and not there will never be, unless it is one of the machine's.
    fn refuse_undefined(&self, template: &str) -> Result<()> {
        if template.contains("facts") {
            return Ok(());
        }
        match environment(None).render_named_str(INLINE, template, self.known(None)) {
            Err(error) if error.kind() == ErrorKind::UndefinedError => Err(plain(&error)),
            _ => Ok(()),
        }
    }

    /// What a template can use.
    fn known(&self, facts: Option<jinja::Value>) -> jinja::Value {
        let facts = facts.map(|facts| ("facts", facts));
        let vars = self.vars.iter().map(|(name, value)| (name.as_str(), variable(value)));
        let secrets =
            self.secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose().as_str().into()));
        jinja::Value::from_pairs::<_, _, jinja::Value>(facts.into_iter().chain(vars).chain(secrets))
    }

    /// What the file is to say.
    fn render(&self, cx: &Context) -> Result<String> {
        let vars = self.known(Some(jinja::Value::from_object(KnownOfMachine(Facts::of(cx)))));
        let render = |name: &str, text: &str, environment: &Environment<'_>| {
            environment.render_named_str(name, &line_ends::kept(text), vars).map_err(|error| {
                // What is undefined stays so, unless it comes from the machine's facts, or it cannot be seen whether.
                let is_fixed =
                    !["facts", "include", "import", "extends"].iter().any(|word| text.contains(word));
                match is_of_the_template(&error) || (is_fixed && error.kind() == ErrorKind::UndefinedError) {
                    true => Permanent::new(plain(&error).to_string()).into(),
                    false => plain(&error),
                }
            })
        };
        match (&self.template, &self.source) {
            (Some(template), _) => render(INLINE, template, &environment(None)),
            (None, Some(source)) => {
                let Some(text) = read(source)? else {
                    return Err(Permanent::new(format!("there is no template {}", source.display())).into());
                };
                let directory = source.parent().unwrap_or(Path::new("."));
                render(&source.display().to_string(), &text, &environment(Some(directory)))
            }
            (None, None) => bail!("there is no template"),
        }
    }

    /// The job that sees to the file.
    fn file(&self, cx: &Context) -> Result<File> {
        self.validated()?;
        self.secrets.values().for_each(|secret| cx.mask(secret));
        let content = self.render(cx).map_err(|error| {
            let unknown = CouldNotFindOut::new(format!("what {} is to say", self.path.display()));
            let is_permanent = error.downcast_ref::<Permanent>().is_some();
            if is_permanent { unknown.permanent() } else { unknown }.because(error)
        })?;
        Ok(File {
            path: self.path.clone(),
            content: Some(content),
            secret: None,
            source: None,
            mode: self.mode,
            owner: self.owner.clone(),
            group: self.group.clone(),
            backup: self.backup,
            validate: self.validate.clone(),
            follow: self.follow,
            force: self.force,
            hide: self.hide || !self.secrets.is_empty(),
        })
    }
}

/// The machine's facts, each group read when a template comes to it.
#[derive(Debug)]
struct KnownOfMachine(Arc<Facts>);

impl Object for KnownOfMachine {
    fn get_value(self: &Arc<Self>, key: &jinja::Value) -> Option<jinja::Value> {
        let group = key.as_str().filter(|name| GROUPS.contains(name))?;
        Some(match self.0.group(group) {
            Ok(value) => Serde(&value).into(),
            // It is told to who uses the value.
            Err(error) => minijinja::Error::new(ErrorKind::InvalidOperation, format!("{error:#}")).into(),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&GROUPS)
    }
}

/// A variable as the language has it.
fn variable(value: &Value) -> jinja::Value {
    match value {
        Value::Null => ().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number_value(number).unwrap_or_else(|_| number.as_str().into()),
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(variable).collect(),
        Value::Object(fields) => {
            jinja::Value::from_pairs(fields.iter().map(|(name, value)| (name.as_str(), variable(value))))
        }
    }
}

/// A number, which the language writes as it was written.
///
/// # Errors
/// When it would not.
fn number_value(number: &Number) -> Result<jinja::Value> {
    let text = number.as_str();
    let value = match (text.parse::<i128>(), text.parse::<u128>(), text.parse::<f64>()) {
        (Ok(whole), _, _) => Some(jinja::Value::from(whole)),
        (_, Ok(whole), _) => Some(jinja::Value::from(whole)),
        (_, _, Ok(float)) => Some(jinja::Value::from(float)),
        _ => None,
    };
    match value {
        Some(value) if value.to_string() == text => Ok(value),
        Some(value) => {
            bail!("a template would write the number {text} as {value}; put it in quotes to keep it")
        }
        None => bail!("{text} is no number; put it in quotes"),
    }
}

/// The text of a template; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<String>> {
    let what = || format!("what {} says", path.display());
    let unknown = |why: String| Err(CouldNotFindOut::new(what()).because(why).into());
    let mut file = match inspect::open(path, Links::Follow)? {
        Found::Nothing => return Ok(None),
        Found::File(file) => file,
        other => return unknown(format!("it is {}", other.what().unwrap_or_default())),
    };
    let Some(bytes) = file.read(TEXT_LIMIT).or_could_not_find_out(what())? else {
        return unknown(format!("it has more than {TEXT_LIMIT} bytes"));
    };
    let mark = if bytes.starts_with(MARK.as_bytes()) { MARK } else { "" };
    let text = Text::decode(bytes).and_then(|text| text.utf8()).or_could_not_find_out(what())?;
    Ok(Some(format!("{mark}{text}")))
}

/// The template of this name, which another one asks for: in the directory, or below.
fn included(directory: &Path, name: &str) -> Result<Option<String>, minijinja::Error> {
    if name.split('/').any(|part| part.starts_with('.') || part.is_empty() || part.contains('\0')) {
        return Ok(None);
    }
    match read(&directory.join(name)) {
        Ok(text) => {
            Ok(text.map(|text| line_ends::kept(text.strip_prefix(MARK).unwrap_or(&text)).into_owned()))
        }
        Err(error) => Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{error:#}"))),
    }
}

/// The language. With a directory, templates there can be included.
fn environment(directory: Option<&Path>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // Then an error knows which variable was not there.
    environment.set_debug(true);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    // These settings alone are never refused.
    if let Ok(syntax) = syntax.build() {
        environment.set_syntax(syntax);
    }
    if let Some(directory) = directory {
        let directory = directory.to_owned();
        environment.set_loader(move |name| included(&directory, name));
    }
    environment
}

/// Where and what, without the values around it, which may be secret.
fn plain(error: &minijinja::Error) -> anyhow::Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    anyhow::Error::msg(text)
}

/// Whether the template itself is wrong, so that it says the same at every try. What facts could not tell may be known
/// later.
fn is_of_the_template(error: &minijinja::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::TemplateNotFound
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::MissingArgument
            | ErrorKind::TooManyArguments
            | ErrorKind::UnknownBlock
            | ErrorKind::OutOfFuel
    ) || error
        .source()
        .and_then(|source| source.downcast_ref::<minijinja::Error>())
        .is_some_and(is_of_the_template)
}

impl Job for Template {
    fn name(&self) -> String {
        format!("Template {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let file = early::or_missing(cx, self.file(cx), |_| {
            let source = self.source.as_ref().filter(|source| early::is_missing(source))?;
            let (path, source) = (self.path.display(), source.display());
            let nothing = early::is_missing(&self.path);
            nothing.then(|| format!("{path} does not exist, nor does the template {source}"))
        });
        file?.check(cx)?;
        Ok(cx.set_result(json!({ "path": path::absolute(cx, &self.path) }))?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.file(cx)?.run(cx)
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
