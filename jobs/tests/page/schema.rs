//! What a JSON Schema says, in words.
//!
//! Knows the schemas that Rust types have; not the page.

use serde_json::{Map, Value};

/// A type with its fields, or a named type of a field.
#[derive(Clone, Copy)]
pub(crate) struct Type<'s> {
    schema: &'s Value,
    definitions: Option<&'s Map<String, Value>>,
}

/// A field of an object.
pub(crate) struct Field<'s> {
    pub(crate) name: &'s str,
    pub(crate) kind: Type<'s>,
    pub(crate) must: Must,
    pub(crate) description: &'s str,
}

/// Whether a field is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Must {
    /// Always.
    Required,
    /// It or one of the others, and only one.
    OneOf,
    /// Or not.
    Optional,
}

impl<'s> Type<'s> {
    pub(crate) fn root(schema: &'s Value) -> Self {
        Type { schema, definitions: schema["$defs"].as_object() }
    }

    fn at(self, schema: &'s Value) -> Self {
        Type { schema, ..self }
    }

    pub(crate) fn description(self) -> &'s str {
        self.schema["description"].as_str().unwrap_or_default()
    }

    pub(crate) fn default(self) -> Option<&'s Value> {
        self.schema.get("default")
    }

    /// The fields, those that are required first.
    pub(crate) fn fields(self) -> Vec<Field<'s>> {
        let required: Vec<&str> = self.list("required").filter_map(|name| name.as_str()).collect();
        let properties = self.schema["properties"].as_object().into_iter().flatten();
        let mut fields: Vec<Field<'s>> = properties
            .map(|(name, schema)| {
                let kind = self.at(schema);
                let must = if required.contains(&name.as_str()) { Must::Required } else { Must::Optional };
                Field { name, kind, must, description: kind.description() }
            })
            .collect();
        fields.sort_by_key(|field| field.must);
        if fields.is_empty() { self.choices().unwrap_or_default() } else { fields }
    }

    /// The fields of an object of which each form has one: an enum of Rust.
    fn choices(self) -> Option<Vec<Field<'s>>> {
        let choice = |form: &'s Value| {
            let (name, kind) = form.get("properties")?.as_object()?.iter().next()?;
            let description = self.at(form).description();
            Some(Field { name, kind: self.at(kind), must: Must::OneOf, description })
        };
        self.list("oneOf").map(choice).collect()
    }

    fn list(self, key: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
        self.schema.get(key).and_then(Value::as_array).into_iter().flatten()
    }

    /// What it refers to by name.
    fn reference(self) -> Option<(&'s str, Type<'s>)> {
        let name = self.schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        Some((name, self.at(self.definitions?.get(name)?)))
    }

    /// The forms that it may have, null left out: that is what "optional" says.
    fn forms(self) -> Vec<Type<'s>> {
        let forms = self.list("anyOf").chain(self.list("oneOf")).map(|form| self.at(form));
        forms.filter(|form| form.schema["type"] != "null").collect()
    }

    /// The texts that it may be, where these are known.
    fn texts(self) -> Option<Vec<&'s str>> {
        if let Some(text) = self.schema.get("const") {
            return text.as_str().map(|text| vec![text]);
        }
        if self.schema.get("enum").is_some() {
            return Some(self.list("enum").filter_map(Value::as_str).collect());
        }
        let forms = self.forms();
        let texts: Option<Vec<Vec<&str>>> = forms.iter().map(|form| form.texts()).collect();
        texts.map(|texts| texts.concat()).filter(|texts| !texts.is_empty())
    }

    /// Objects with fields of their own that are somewhere in it, by name.
    pub(crate) fn objects(self) -> Vec<(&'s str, Type<'s>)> {
        if let Some((name, kind)) = self.reference() {
            return if kind.fields().is_empty() { kind.objects() } else { vec![(name, kind)] };
        }
        let parts = ["items", "additionalProperties"].into_iter().filter_map(|key| self.schema.get(key));
        self.forms().into_iter().chain(parts.map(|part| self.at(part))).flat_map(Type::objects).collect()
    }

    /// In words: "text or list of texts".
    pub(crate) fn words(self) -> String {
        let words = |many| self.words_of(many);
        words(false)
    }

    fn words_of(self, many: bool) -> String {
        if let Some(texts) = self.texts() {
            let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
            return either(texts);
        }
        if let Some((name, kind)) = self.reference() {
            return match name {
                _ if !kind.fields().is_empty() => format!("[`{name}`](#{})", name.to_lowercase()),
                "Mode" => "mode".to_owned(),
                "Span" => "span of time".to_owned(),
                "Size" => "size".to_owned(),
                _ => kind.words_of(many),
            };
        }
        let forms = self.forms();
        if !forms.is_empty() {
            let mut words: Vec<String> = Vec::new();
            for form in forms.into_iter().map(|form| form.words_of(many)) {
                if !words.contains(&form) {
                    words.push(form);
                }
            }
            return either(words);
        }
        let names = match &self.schema["type"] {
            Value::String(name) => vec![name.as_str()],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let words: Vec<String> =
            names.into_iter().filter(|name| *name != "null").map(|name| self.plain(name, many)).collect();
        if words.is_empty() { if many { "values" } else { "any value" }.to_owned() } else { either(words) }
    }

    fn plain(self, name: &str, many: bool) -> String {
        let s = if many { "s" } else { "" };
        let part =
            |key: &str| self.schema.get(key).filter(|part| !part.is_boolean()).map(|part| self.at(part));
        match name {
            "string" => format!("text{s}"),
            "integer" => format!("whole number{s}"),
            "number" => format!("number{s}"),
            "boolean" => "`true` or `false`".to_owned(),
            "array" => match part("items") {
                Some(items) => format!("list{s} of {}", items.words_of(true)),
                None => format!("list{s}"),
            },
            "object" => match part("additionalProperties") {
                Some(values) => format!("object{s} of {}", values.words_of(true)),
                None => format!("object{s}"),
            },
            other => other.to_owned(),
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn either(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}
