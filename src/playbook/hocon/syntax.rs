//! Tokens to a syntax tree.
//!
//! What brackets and separators are wrong has been found before.

use super::lex::{SubstitutionToken, Token, TokenKind};
use super::path::{self, PathParts};
use super::syntax_error::{At, SyntaxError};

#[derive(Debug)]
pub(super) enum AstNode {
    Object {
        fields: Vec<AstField>,
        pos: At,
    },
    Array {
        items: Vec<AstNode>,
        pos: At,
    },
    Scalar {
        scalar: Scalar,
        raw: String,
        pos: At,
    },
    /// White space between two others.
    Space {
        raw: String,
        pos: At,
    },
    Concat {
        nodes: Vec<AstNode>,
        pos: At,
    },
    Substitution {
        wanted: SubstitutionToken,
        pos: At,
    },
    Include {
        path: String,
        pos: At,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Boolean,
    Number,
    Text,
}

#[derive(Debug)]
pub(super) struct AstField {
    pub(super) key: Vec<String>,
    pub(super) value: AstNode,
    pub(super) append: bool,
    pub(super) pos: At,
}

impl AstNode {
    pub(super) fn pos(&self) -> At {
        match self {
            AstNode::Object { pos, .. }
            | AstNode::Array { pos, .. }
            | AstNode::Scalar { pos, .. }
            | AstNode::Space { pos, .. }
            | AstNode::Concat { pos, .. }
            | AstNode::Substitution { pos, .. }
            | AstNode::Include { pos, .. } => *pos,
        }
    }
}

/// The fields of a file's object, or the first thing that is wrong.
pub(super) fn fields(tokens: Vec<Token<'_>>) -> Result<Vec<AstField>, SyntaxError> {
    let mut parser = Parser { tokens, at: 0 };
    parser.lines();
    if parser.kind() == TokenKind::LBrace {
        parser.at += 1;
    }
    parser.object()
}

fn error<T>(at: At, message: &str, hint: &str) -> Result<T, SyntaxError> {
    Err(SyntaxError::new(at, message, (!hint.is_empty()).then(|| hint.to_owned())))
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Parser<'t> {
    /// The last token ends the text, and is never gone beyond.
    fn token(&self) -> &Token<'t> {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn kind(&self) -> TokenKind {
        self.token().kind
    }

    fn pos(&self) -> At {
        self.token().at()
    }

    fn lines(&mut self) {
        while self.kind() == TokenKind::Newline {
            self.at += 1;
        }
    }

    /// Behind a field or an item.
    fn separator(&mut self) {
        self.lines();
        if self.kind() == TokenKind::Comma {
            self.at += 1;
        }
        self.lines();
    }

    /// All fields up to the bracket that closes the object, or to the end. Recursive: the token lint bounds the brackets.
    fn object(&mut self) -> Result<Vec<AstField>, SyntaxError> {
        let mut fields = Vec::new();
        self.lines();
        while !matches!(self.kind(), TokenKind::Eof | TokenKind::RBrace) {
            fields.push(self.field()?);
            self.separator();
        }
        self.at += 1;
        Ok(fields)
    }

    fn field(&mut self) -> Result<AstField, SyntaxError> {
        let pos = self.pos();
        if self.kind() == TokenKind::Unquoted && self.token().value == "include" {
            self.at += 1;
            return self.include(pos);
        }
        let key = self.key()?;
        self.lines();
        let append = self.kind() == TokenKind::PlusEquals;
        match self.kind() {
            TokenKind::Equals | TokenKind::Colon | TokenKind::PlusEquals => self.at += 1,
            TokenKind::LBrace => {}
            TokenKind::Eof => return error(self.pos(), "a value is missing here", ""),
            _ => return error(self.pos(), "this key has no value", "write `key: value`, or `key { … }`"),
        }
        self.lines();
        Ok(AstField { key, value: self.value()?, append, pos })
    }

    fn include(&mut self, pos: At) -> Result<AstField, SyntaxError> {
        let path = self.token();
        if path.kind != TokenKind::Quoted {
            return error(pos, "`include` needs a file", "");
        }
        let value = AstNode::Include { path: path.value.to_string(), pos: path.at() };
        self.at += 1;
        Ok(AstField { key: Vec::new(), value, append: false, pos })
    }

    fn key(&mut self) -> Result<Vec<String>, SyntaxError> {
        let pos = self.pos();
        let mut names = PathParts::default();
        let is_quoted = self.kind() == TokenKind::Quoted;
        loop {
            let token = self.token();
            match token.kind {
                TokenKind::Quoted => names.quoted(token.space, &token.value, token.at()),
                TokenKind::Unquoted => names.plain(token.space, &token.value, token.at()),
                _ => break,
            }
            self.at += 1;
        }
        if names.is_empty() {
            let message = match self.kind() {
                TokenKind::Comma => "a comma with nothing before it",
                _ => "a key is missing here",
            };
            return error(pos, message, "");
        }
        match names.path() {
            Err(at) => error(at, path::MISSING, path::MISSING_HINT),
            Ok(path) if !is_quoted && path[0] == "include" => {
                error(pos, "`include` cannot begin a path", "put it in quotes if a key has this name")
            }
            Ok(path) => Ok(path),
        }
    }

    /// A value, and all that is joined to it.
    fn value(&mut self) -> Result<AstNode, SyntaxError> {
        let pos = self.pos();
        let mut nodes: Vec<AstNode> = Vec::new();
        let mut is_simple = false;
        loop {
            let token = self.token();
            let (at, space) = (token.at(), token.space);
            if is_simple && token.is_simple() && !space.is_empty() {
                nodes.push(AstNode::Space { raw: space.to_owned(), pos: at });
            }
            is_simple = token.is_simple();
            let node = match token.kind {
                TokenKind::LBrace => {
                    self.at += 1;
                    AstNode::Object { fields: self.object()?, pos: at }
                }
                TokenKind::LBracket => {
                    self.at += 1;
                    AstNode::Array { items: self.items()?, pos: at }
                }
                TokenKind::Quoted => {
                    let raw = self.take().into_owned();
                    AstNode::Scalar { scalar: Scalar::Text, raw, pos: at }
                }
                TokenKind::Unquoted => {
                    let is_single = token.is_single;
                    let raw = self.take();
                    let scalar = if is_single { scalar(&raw) } else { Some(Scalar::Text) };
                    let Some(scalar) = scalar else {
                        return error(at, "this number is too large", "put it in quotes if it is text");
                    };
                    AstNode::Scalar { scalar, raw: raw.into_owned(), pos: at }
                }
                TokenKind::Substitution => {
                    let index = self.at;
                    self.at += 1;
                    let Some(wanted) = self.tokens[index].wanted.take() else { break };
                    AstNode::Substitution { wanted, pos: at }
                }
                _ => break,
            };
            nodes.push(node);
        }
        match nodes.len() {
            0 => error(pos, "a value is missing here", ""),
            1 => Ok(nodes.remove(0)),
            _ => Ok(AstNode::Concat { nodes, pos }),
        }
    }

    /// The text of this token, which is gone beyond.
    fn take(&mut self) -> std::borrow::Cow<'t, str> {
        let value = std::mem::take(&mut self.tokens[self.at].value);
        self.at += 1;
        value
    }

    fn items(&mut self) -> Result<Vec<AstNode>, SyntaxError> {
        let mut items = Vec::new();
        self.lines();
        while !matches!(self.kind(), TokenKind::Eof | TokenKind::RBracket) {
            items.push(self.value()?);
            self.separator();
        }
        self.at += 1;
        Ok(items)
    }
}

/// What a single word is; `None` of a number that no float can hold.
fn scalar(raw: &str) -> Option<Scalar> {
    Some(match raw {
        "null" => Scalar::Null,
        "true" | "false" => Scalar::Boolean,
        _ => {
            let digits = raw.strip_prefix('-').unwrap_or(raw);
            if !digits.starts_with(|each: char| each.is_ascii_digit()) {
                return Some(Scalar::Text);
            }
            match raw.parse::<f64>() {
                Ok(number) if number.is_infinite() => return None,
                Ok(_) => Scalar::Number,
                Err(_) => Scalar::Text,
            }
        }
    })
}
