//! Text to tokens, each with its place.

use std::borrow::Cow;

use super::path::{self, PathParts};
use super::syntax_error::{At, SyntaxError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    LBrace,
    RBrace,
    LBracket,
    RBracket,
    Comma,
    Colon,
    Equals,
    PlusEquals,
    /// One or more line feeds; no other character ends a line.
    Newline,
    Quoted,
    Unquoted,
    Substitution,
    Eof,
}

#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    /// Of text what it stands for, of a sign the sign.
    pub(super) value: Cow<'t, str>,
    pub(super) line: usize,
    pub(super) col: usize,
    /// The white space before it on its line.
    pub(super) space: &'t str,
    /// Of what is not in quotes: whether it is a literal or one word, and not such that stand together, as in `true1`.
    pub(super) is_single: bool,
    pub(super) wanted: Option<SubstitutionToken>,
}

/// What is within `${…}`.
#[derive(Debug)]
pub(super) struct SubstitutionToken {
    pub(super) path: Vec<String>,
    pub(super) optional: bool,
    /// Written with `[]` behind the path.
    pub(super) numbered: bool,
}

impl Token<'_> {
    pub(super) fn at(&self) -> At {
        (self.line, self.col)
    }

    /// Whether white space between it and another such one counts.
    pub(super) fn is_simple(&self) -> bool {
        matches!(self.kind, TokenKind::Quoted | TokenKind::Unquoted | TokenKind::Substitution)
    }
}

/// The characters that the specification counts as white space: those of Java, the spaces that do not break, and the byte
/// order mark. The line feed is among them.
pub(super) fn is_space(each: char) -> bool {
    matches!(each, '\t'..='\r' | '\u{1C}'..='\u{1F}' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}'
        | '\u{2028}' | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}')
}

/// All tokens, the last one [`TokenKind::Eof`]; or the first thing that is none.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let mut lexer = Lexer { text, at: 0, line: 1, column: 1 };
    let mut tokens: Vec<Token<'_>> = Vec::new();
    loop {
        let space = lexer.space();
        let token = lexer.token(space)?;
        let is_end = token.kind == TokenKind::Eof;
        let is_same_line_end = token.kind == TokenKind::Newline
            && tokens.last().is_some_and(|last| last.kind == TokenKind::Newline);
        if !is_same_line_end {
            tokens.push(token);
        }
        if is_end {
            return Ok(tokens);
        }
    }
}

const RESERVED: &str = "put text with signs such as `$ * @ & ? ! + \\ ^` in quotes";

fn error(at: At, message: &str, hint: &str) -> SyntaxError {
    SyntaxError::new(at, message, (!hint.is_empty()).then(|| hint.to_owned()))
}

struct Lexer<'t> {
    text: &'t str,
    /// The byte that comes next.
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn place(&self) -> At {
        (self.line, self.column)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn skip(&mut self, characters: usize) {
        for _ in 0..characters {
            self.next();
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let from = self.at;
        while self.peek().is_some_and(&fits) {
            self.next();
        }
        &self.text[from..self.at]
    }

    /// White space and a comment, up to the end of the line; gives back the white space.
    fn space(&mut self) -> &'t str {
        let space = self.take_while(|each| each != '\n' && is_space(each));
        if begins_comment(self.rest()) {
            self.take_while(|each| each != '\n');
        }
        space
    }

    fn token(&mut self, space: &'t str) -> Result<Token<'t>, SyntaxError> {
        let (line, col) = self.place();
        let token = |kind, value| Token { kind, value, line, col, space, is_single: false, wanted: None };
        let Some(first) = self.peek() else { return Ok(token(TokenKind::Eof, Cow::Borrowed(""))) };
        let sign = match first {
            '{' => Some(TokenKind::LBrace),
            '}' => Some(TokenKind::RBrace),
            '[' => Some(TokenKind::LBracket),
            ']' => Some(TokenKind::RBracket),
            ',' => Some(TokenKind::Comma),
            ':' => Some(TokenKind::Colon),
            '=' => Some(TokenKind::Equals),
            '+' if self.rest().starts_with("+=") => Some(TokenKind::PlusEquals),
            '\n' => Some(TokenKind::Newline),
            _ => None,
        };
        if let Some(kind) = sign {
            let from = self.at;
            self.next();
            if kind == TokenKind::PlusEquals {
                self.next();
            }
            return Ok(token(kind, Cow::Borrowed(&self.text[from..self.at])));
        }
        if first == '"' {
            return Ok(token(TokenKind::Quoted, self.quoted()?));
        }
        if self.rest().starts_with("${") {
            let wanted = Some(self.substitution()?);
            return Ok(Token { wanted, ..token(TokenKind::Substitution, Cow::Borrowed("${")) });
        }
        let (value, is_single) = self.unquoted()?;
        Ok(Token { is_single, ..token(TokenKind::Unquoted, Cow::Borrowed(value)) })
    }

    /// Words that stand together without quotes, and whether it is one. A number ends where no more of it can come, and
    /// `true`, `false` and `null` end with their last letter; `+` can be part of a number alone.
    fn unquoted(&mut self) -> Result<(&'t str, bool), SyntaxError> {
        let from = self.at;
        let mut words = 0;
        while let Some(first) = self.peek().filter(|each| is_plain(*each)) {
            if begins_comment(self.rest()) {
                break;
            }
            words += 1;
            if first == '-' || first.is_ascii_digit() {
                self.number()?;
                continue;
            }
            let word = self.at;
            while self.peek().is_some_and(is_plain) && !begins_comment(self.rest()) {
                self.next();
                if matches!(&self.text[word..self.at], "true" | "false" | "null") {
                    break;
                }
            }
        }
        match self.peek() {
            Some('+') if !self.rest().starts_with("+=") => Err(self.sign('+')),
            Some(sign) if words == 0 => Err(self.sign(sign)),
            _ => Ok((&self.text[from..self.at], words == 1)),
        }
    }

    /// What consists of the characters of numbers; a word if it is none.
    fn number(&mut self) -> Result<(), SyntaxError> {
        let from = (self.at, self.column);
        let number = self.take_while(|each| each.is_ascii_digit() || "eE+-.".contains(each));
        // No float has a sign, a point or an exponent where this one would not be a number any more.
        if number.contains('+') && number.parse::<f64>().is_err() {
            let plus = number.find('+').unwrap_or_default();
            (self.at, self.column) = (from.0 + plus, from.1 + plus);
            return Err(self.sign('+'));
        }
        Ok(())
    }

    fn sign(&self, sign: char) -> SyntaxError {
        error(self.place(), &format!("`{}` cannot stand outside of quotes", sign.escape_debug()), RESERVED)
    }

    fn quoted(&mut self) -> Result<Cow<'t, str>, SyntaxError> {
        if self.rest().starts_with("\"\"\"") {
            return self.thrice_quoted().map(Cow::Borrowed);
        }
        let open = self.place();
        let unclosed = || {
            error(
                open,
                "this text is never closed with a quote",
                "text of more than one line stands in `\"\"\"`",
            )
        };
        self.next();
        let plain = |each| !matches!(each, '"' | '\\' | '\n');
        let mut value = Cow::Borrowed(self.take_while(plain));
        loop {
            let at = self.place();
            match self.next() {
                Some('"') => return Ok(value),
                Some('\\') => value.to_mut().push(self.escape(at, &unclosed)?),
                _ => return Err(unclosed()),
            }
            value.to_mut().push_str(self.take_while(plain));
        }
    }

    fn thrice_quoted(&mut self) -> Result<&'t str, SyntaxError> {
        let open = self.place();
        self.skip(3);
        let from = self.at;
        loop {
            self.take_while(|each| each != '"');
            let quotes = self.take_while(|each| each == '"').len();
            if quotes >= 3 {
                // Of more than three the last three close it.
                return Ok(&self.text[from..self.at - 3]);
            }
            if quotes == 0 {
                return Err(error(open, "this text is never closed with `\"\"\"`", ""));
            }
        }
    }

    fn escape(&mut self, at: At, unclosed: &dyn Fn() -> SyntaxError) -> Result<char, SyntaxError> {
        Ok(match self.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{C}',
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('u') => return self.unit(at),
            None => return Err(unclosed()),
            Some(_) => {
                let hint =
                    "write `\\\\` for a backslash, or use `\"\"\"`, in which a backslash stands for itself";
                return Err(error(at, "there is no such escape in quotes", hint));
            }
        })
    }

    /// The character of `\u` and four digits, or of two of these that are the halves of one.
    fn unit(&mut self, at: At) -> Result<char, SyntaxError> {
        let wrong = || {
            let message = "`\\u` needs four hexadecimal digits of a character";
            error(at, message, "half of a surrogate pair is none; write the character itself")
        };
        let first = self.digits().ok_or_else(wrong)?;
        let mut units = vec![first];
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            self.skip(2);
            units.extend(self.digits());
        }
        let mut characters = char::decode_utf16(units);
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(wrong()),
        }
    }

    fn digits(&mut self) -> Option<u16> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|each| each.is_ascii_hexdigit()))?;
        self.skip(4);
        u16::from_str_radix(digits, 16).ok()
    }

    /// `${…}`, whose path is written as a key is.
    fn substitution(&mut self) -> Result<SubstitutionToken, SyntaxError> {
        let open = self.place();
        let unclosed = || error(open, "this substitution is never closed with `}`", "");
        self.skip(2);
        let optional = self.peek() == Some('?');
        if optional {
            self.next();
        }
        let mut names = PathParts::default();
        let mut numbered = false;
        loop {
            let space = self.take_while(|each| each != '\n' && is_space(each));
            let at = self.place();
            match self.peek() {
                None | Some('\n') => return Err(unclosed()),
                Some('}') => break,
                Some('[') => {
                    let brackets = ["[]", "[ ]"].into_iter().find(|form| self.rest().starts_with(form));
                    self.skip(brackets.map_or(0, str::len));
                    numbered = brackets.is_some();
                    if !numbered || self.peek() != Some('}') {
                        return Err(error(at, "a substitution cannot have this sign", ""));
                    }
                    break;
                }
                Some('"') => {
                    let text = self.quoted()?;
                    names.quoted(space, &text, at);
                }
                Some(sign) if !is_plain(sign) || begins_comment(self.rest()) => {
                    return Err(error(at, "a substitution cannot have this sign", ""));
                }
                Some(_) => {
                    let (text, _) = self.unquoted()?;
                    names.plain(space, text, at);
                }
            }
        }
        self.next();
        if names.is_empty() {
            return Err(error(open, "`${}` names nothing", ""));
        }
        let path = names.path().map_err(|at| error(at, path::MISSING, path::MISSING_HINT))?;
        Ok(SubstitutionToken { path, optional, numbered })
    }
}

fn begins_comment(text: &str) -> bool {
    text.starts_with('#') || text.starts_with("//")
}

/// Whether it can be a part of text without quotes.
fn is_plain(each: char) -> bool {
    !is_space(each) && !"$\"{}[]:=,+#`^?!@*&\\".contains(each)
}
