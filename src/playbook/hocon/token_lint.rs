//! What is wrong with brackets, separators and includes, found in the tokens before the parser sees them: all of it at
//! once, where the parser ends with the first thing that is wrong.

use hashbrown::HashMap;

use super::lex::{Token, TokenKind};
use super::limits;
use super::syntax_error::{At, SyntaxError};

/// What was seen on the way.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<SyntaxError>,
    /// Of each `include`, by the place of its path, whether the file may be missing.
    pub(super) includes: HashMap<At, bool>,
}

/// Looks at all tokens; takes the words around an include's path out of them.
pub(super) fn inspect(tokens: &mut Vec<Token<'_>>) -> Findings {
    let mut lint = TokenLint {
        seen: Findings::default(),
        open: Vec::new(),
        state: State::Key,
        dropped: Vec::new(),
        given_up: false,
    };
    let mut index = 0;
    while index < tokens.len() {
        if lint.given_up || lint.seen.errors.len() >= limits::PROBLEMS {
            return lint.seen;
        }
        index = lint.token(tokens, index);
    }
    lint.unclosed(tokens);
    after_root(tokens, &mut lint.seen);
    take_out(tokens, &lint.dropped);
    lint.seen
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A key may begin or go on, or its separator come.
    Key,
    /// Behind a separator, or where an item may begin.
    Before,
    /// Within a value.
    Value,
}

struct TokenLint {
    seen: Findings,
    /// The tokens of the brackets that are open.
    open: Vec<(TokenKind, At)>,
    state: State,
    /// Tokens that the parser is not to see.
    dropped: Vec<usize>,
    given_up: bool,
}

impl TokenLint {
    fn error(&mut self, at: At, message: impl Into<String>, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.seen.errors.push(SyntaxError::new(at, message, hint));
    }

    /// A separator where none can be.
    fn misplaced(&mut self, at: At, message: String, hint: &str) {
        let error = SyntaxError::new(at, message, Some(hint.to_owned()));
        self.seen.errors.push(SyntaxError { is_separator: true, ..error });
    }

    fn in_list(&self) -> bool {
        self.open.last().is_some_and(|(kind, _)| *kind == TokenKind::LBracket)
    }

    /// Looks at one token; the index of the next to look at.
    fn token(&mut self, tokens: &[Token<'_>], index: usize) -> usize {
        let token = &tokens[index];
        let at = (token.line, token.col);
        match token.kind {
            TokenKind::LBrace | TokenKind::LBracket => self.opened(tokens, index, at),
            TokenKind::RBrace => self.closed(TokenKind::LBrace, at),
            TokenKind::RBracket => self.closed(TokenKind::LBracket, at),
            TokenKind::Comma => self.state = self.first(),
            TokenKind::Newline if self.state == State::Value => self.state = self.first(),
            TokenKind::Newline | TokenKind::Eof => {}
            TokenKind::Colon | TokenKind::Equals | TokenKind::PlusEquals => self.separator(token, at),
            TokenKind::Unquoted if self.starts_include(tokens, index) => return self.include(tokens, index),
            _ if self.state == State::Before => self.state = State::Value,
            _ => {}
        }
        index + 1
    }

    /// What may come where a value has ended.
    fn first(&self) -> State {
        if self.in_list() { State::Before } else { State::Key }
    }

    fn opened(&mut self, tokens: &[Token<'_>], index: usize, at: At) {
        if self.open.len() == limits::DEPTH {
            let message = format!("brackets are nested more than {} deep here", limits::DEPTH);
            self.error(at, message, "");
            // What else might be wrong with them is not worth the while.
            self.given_up = true;
        }
        self.open.push((tokens[index].kind, at));
        self.state = self.first();
    }

    fn closed(&mut self, opening: TokenKind, at: At) {
        let sign = |kind: &TokenKind| if *kind == TokenKind::LBrace { ('{', '}') } else { ('[', ']') };
        let close = sign(&opening).1;
        match self.open.last().copied() {
            Some((kind, _)) if kind == opening => {
                self.open.pop();
            }
            Some((kind, from)) => {
                let wanted = sign(&kind);
                let message =
                    format!("`{close}` closes the `{}` of line {}, column {}", wanted.0, from.0, from.1);
                self.error(at, message, &format!("is a `{}` missing, or one bracket too many?", wanted.1));
                // As if it had been closed in the right way, so that one slip is one problem.
                self.open.pop();
            }
            None => self.error(at, format!("`{close}` closes nothing"), "is there one too many?"),
        }
        self.state = State::Value;
    }

    fn separator(&mut self, token: &Token<'_>, at: At) {
        let sign = &token.value;
        if self.in_list() {
            let hint = "put text with such a sign in quotes, and a key with its value in braces";
            self.misplaced(at, format!("`{sign}` in an item of a list"), hint);
        } else if self.state == State::Key {
            self.state = State::Before;
        } else {
            let hint = "a comma or a new line is needed between a value and the next key; text with such a sign needs quotes";
            self.misplaced(at, format!("`{sign}` within a value"), hint);
            // What follows is taken for the value that was meant.
            self.state = State::Before;
        }
    }

    /// Brackets that are never closed.
    fn unclosed(&mut self, tokens: &[Token<'_>]) {
        for (kind, at) in std::mem::take(&mut self.open).into_iter().take(3) {
            let sign = if kind == TokenKind::LBrace { '{' } else { '[' };
            let error = SyntaxError::new(at, format!("`{sign}` is never closed"), None);
            self.seen.errors.push(SyntaxError { is_unclosed: true, ..error });
        }
        debug_assert!(tokens.last().is_none_or(|last| last.kind == TokenKind::Eof));
    }

    /// Whether a key begins here, and it is `include`.
    fn starts_include(&self, tokens: &[Token<'_>], index: usize) -> bool {
        let before = index.checked_sub(1).map(|before| &tokens[before].kind);
        let begins = matches!(before, None | Some(TokenKind::Newline | TokenKind::Comma | TokenKind::LBrace));
        begins && self.state == State::Key && !self.in_list() && tokens[index].value == "include"
    }

    /// `include "x"`, with `file(…)`, `required(…)` and `optional(…)` around the path.
    fn include(&mut self, tokens: &[Token<'_>], index: usize) -> usize {
        let at = (tokens[index].line, tokens[index].col);
        self.state = State::Value;
        let words = words(tokens, index + 1);
        let Some(path) = tokens.get(words.end).filter(|token| token.kind == TokenKind::Quoted) else {
            self.bad_include(at, &words.text);
            return line_end(tokens, words.end);
        };
        let closing = self::words(tokens, words.end + 1);
        let Some((brackets, optional)) = form(&words.text) else {
            self.bad_include(at, &words.text);
            return line_end(tokens, closing.end);
        };
        if closing.text != ")".repeat(brackets) {
            self.error(at, "the brackets of this include do not match", HOW);
        }
        let ends = matches!(
            tokens.get(closing.end).map(|token| &token.kind),
            None | Some(TokenKind::Newline | TokenKind::Comma | TokenKind::RBrace | TokenKind::Eof)
        );
        if !ends && closing.text == ")".repeat(brackets) {
            self.error(at, "there is more on the line of this include", HOW);
        }
        self.seen.includes.insert((path.line, path.col), optional);
        self.dropped.extend((index + 1..closing.end).filter(|each| *each != words.end));
        closing.end
    }

    fn bad_include(&mut self, at: At, words: &str) {
        let kind = words.trim_start_matches("required(").split('(').next().unwrap_or_default();
        if ["url", "classpath", "package"].contains(&kind) {
            self.error(at, format!("`{kind}(…)` cannot be included, only files can"), HOW);
        } else {
            self.error(at, "`include` needs a file", HOW);
        }
    }
}

const HOW: &str = "write `include \"other.conf\"`, or `include optional(\"other.conf\")` for one that may be missing; a key of this name needs quotes";

/// Words that stand together, and the token behind them.
struct Words {
    text: String,
    end: usize,
}

fn words(tokens: &[Token<'_>], from: usize) -> Words {
    let mut text = String::new();
    let mut end = from;
    while let Some(token) = tokens.get(end).filter(|token| token.kind == TokenKind::Unquoted) {
        text.push_str(&token.value);
        end += 1;
    }
    Words { text, end }
}

/// Where what comes next is not part of a wrong include.
fn line_end(tokens: &[Token<'_>], from: usize) -> usize {
    let ends = |token: &Token<'_>| {
        matches!(
            token.kind,
            TokenKind::Newline
                | TokenKind::Comma
                | TokenKind::Eof
                | TokenKind::LBrace
                | TokenKind::RBrace
                | TokenKind::LBracket
                | TokenKind::RBracket
        )
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |at| from + at)
}

/// How many brackets are opened in front of a path, and whether the file may be missing.
fn form(words: &str) -> Option<(usize, bool)> {
    match words {
        "" => Some((0, false)),
        "file(" | "required(" => Some((1, false)),
        "required(file(" => Some((2, false)),
        "optional(" => Some((1, true)),
        "optional(file(" => Some((2, true)),
        _ => None,
    }
}

/// The root is an object, and behind the bracket that closes it there is nothing.
fn after_root(tokens: &[Token<'_>], seen: &mut Findings) {
    let mut rest =
        tokens.iter().filter(|token| !matches!(token.kind, TokenKind::Newline | TokenKind::Eof)).peekable();
    let Some(root) = rest.next_if(|token| matches!(token.kind, TokenKind::LBrace | TokenKind::LBracket))
    else {
        return;
    };
    if root.kind == TokenKind::LBracket {
        let message = "this is a list; a playbook must be an object, such as `tasks: [ … ]`".to_owned();
        return seen.errors.push(SyntaxError::new((root.line, root.col), message, None));
    }
    let mut depth = 1_usize;
    for token in rest {
        match token.kind {
            // That it closes nothing has been said.
            TokenKind::RBrace | TokenKind::RBracket if depth == 0 => return,
            _ if depth == 0 => {
                let message = "text behind the end of the file's object".to_owned();
                let hint = format!("the `{{` of line {}, column {} is closed before it", root.line, root.col);
                let at = (token.line, token.col);
                // What else is wrong with it would say the same once more.
                seen.errors.retain(|error| error.at < at);
                return seen.errors.push(SyntaxError::new(at, message, Some(hint)));
            }
            TokenKind::LBrace | TokenKind::LBracket => depth += 1,
            TokenKind::RBrace | TokenKind::RBracket => depth -= 1,
            _ => {}
        }
    }
}

fn take_out(tokens: &mut Vec<Token<'_>>, dropped: &[usize]) {
    if dropped.is_empty() {
        return;
    }
    let mut dropped = dropped.iter().copied().peekable();
    let mut index = 0;
    tokens.retain(|_| {
        let drop = dropped.next_if_eq(&index).is_some();
        index += 1;
        !drop
    });
}
