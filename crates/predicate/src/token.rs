//! text → tokens
//!
//! What can't be a token becomes [`Token::Wrong`] with what to write instead, so that the parser tells the first error of
//! the text, whoever finds it. Must never know: fields, types.

use std::fmt;

use crate::literal::{self, Decimal};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Text(String),
    /// A magnitude: the sign is the parser's, or -2^63 could not be written.
    Integer(u64),
    Decimal(Decimal),
    Symbol(&'static str),
    Wrong {
        message: String,
        remedy: String,
    },
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::Wrong { message, .. } => f.write_str(message),
            Self::End => f.write_str("the end"),
        }
    }
}

/// A token and the bytes of the text that it takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 22] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", ".", "?", ":", "+", "-", "*", "/", "%",
];

/// What other languages write, and what it is here.
const FOREIGN: [(&str, &str); 14] = [
    ("===", "Write == for equality"),
    ("!==", "Write != for inequality"),
    ("=~", "Write field.matches(\"pattern\")"),
    ("!~", "Write !field.matches(\"pattern\")"),
    ("=>", "Write >= for \"at least\""),
    ("=<", "Write <= for \"at most\""),
    ("<>", "Write != for inequality"),
    ("<=>", "Write one of == != < <= > >="),
    ("=", "Write == for equality"),
    ("&", "Write && for \"and\""),
    ("|", "Write || for \"or\""),
    ("{", "Maps are not part of the language; lists are written [\"a\", \"b\"]"),
    (";", "Write one expression; join conditions by && or ||"),
    ("`", "Write attributes[\"name\"] for names that are no words"),
];

/// Its tokens, the last of them [`Token::End`] or the first that is wrong.
pub(crate) fn tokens(text: &str) -> Vec<Placed> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let token = lexer.token();
        let is_last = matches!(token, Token::End | Token::Wrong { .. });
        tokens.push(Placed { token, start, end: lexer.at });
        if is_last {
            return tokens;
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn wrong(message: impl Into<String>, remedy: impl Into<String>) -> Token {
    Token::Wrong { message: message.into(), remedy: remedy.into() }
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Whitespace and comments up to the end of their line.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let behind = rest.trim_start_matches([' ', '\t', '\r', '\n', '\x0c']);
            self.at += rest.len() - behind.len();
            if !behind.starts_with("//") {
                return;
            }
            self.at += behind.find('\n').unwrap_or(behind.len());
        }
    }

    fn token(&mut self) -> Token {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Token::End };
        let second = rest[first.len_utf8()..].chars().next();
        if first == '"' || first == '\'' {
            return self.quoted(false);
        }
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return self.word();
        }
        let longest =
            FOREIGN.iter().filter(|(symbol, _)| rest.starts_with(symbol)).max_by_key(|(symbol, _)| symbol.len());
        let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
        match (longest, symbol) {
            (Some((foreign, remedy)), symbol) if symbol.is_none_or(|symbol| symbol.len() < foreign.len()) => {
                wrong(format!("{foreign} is no operator here"), *remedy)
            }
            (_, Some(symbol)) => {
                self.at += symbol.len();
                Token::Symbol(symbol)
            }
            _ => unexpected(first),
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..length];
        if matches!(rest.as_bytes().get(length), Some(b'"' | b'\'')) {
            match word {
                "r" | "R" => {
                    self.at += length;
                    return self.quoted(true);
                }
                "b" | "B" | "br" | "bR" | "Br" | "BR" | "rb" | "rB" | "Rb" | "RB" => {
                    return wrong("bytes are not part of the language", "Write a text, without the b");
                }
                _ => {}
            }
        }
        self.at += length;
        Token::Name(word.to_owned())
    }

    fn quoted(&mut self, raw: bool) -> Token {
        let rest = self.rest();
        let quote = &rest[..1];
        if rest.starts_with(&quote.repeat(3)) {
            return wrong("triple quotes are not part of the language", "Write one quote, and \\n for a new line");
        }
        let mut escaped = false;
        let closing = rest[1..].char_indices().find(|(_, c)| {
            let closes = !escaped && (rest[..1].starts_with(*c) || *c == '\n' || *c == '\r');
            escaped = !raw && !escaped && *c == '\\';
            closes
        });
        let inner = match closing {
            Some((length, '"' | '\'')) => &rest[1..=length],
            _ => {
                let remedy = format!("Close it with {quote}; a new line in a text is written \\n");
                return wrong("this text has no closing quote", remedy);
            }
        };
        let start = self.at + 1;
        self.at += inner.len() + 2;
        if raw {
            return Token::Text(inner.to_owned());
        }
        match literal::unescape(inner) {
            Ok(text) => Token::Text(text),
            Err(escape) => {
                self.at = start + escape.at;
                wrong(escape.message, escape.remedy)
            }
        }
    }

    fn number(&mut self) -> Token {
        let rest = self.rest();
        let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let length = match hexadecimal {
            Some(digits) => 2 + digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len()),
            None => literal::decimal_length(rest),
        };
        let number = &rest[..length];
        let tail = &rest[length..];
        let unit = &tail[..tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len())];
        if !unit.is_empty() {
            return wrong(format!("{number}{unit} is no number"), unit_remedy(number, unit));
        }
        self.at += length;
        let token = match hexadecimal {
            Some(_) => u64::from_str_radix(&number[2..], 16).ok().map(Token::Integer),
            None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok().map(Token::Integer),
            None => match Decimal::parse(number) {
                Ok(decimal) => Some(Token::Decimal(decimal)),
                Err(remedy) => {
                    self.at -= length;
                    return wrong(format!("{number} can't be compared exactly"), remedy);
                }
            },
        };
        token.unwrap_or_else(|| {
            self.at -= length;
            wrong(
                format!("{number} is no integer of 64 bits"),
                "Write one from -9223372036854775808 to 9223372036854775807",
            )
        })
    }
}

fn unit_remedy(number: &str, unit: &str) -> String {
    let factor = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "u" | "U" | "L" | "l" => return format!("Write {number}: integers have no suffix"),
        _ => return format!("Write {number} alone; texts stand in quotes"),
    };
    match number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(micros) => format!("Numbers have no units; latency_us is in microseconds: write {micros}"),
        None => "Numbers have no units; latency_us is in microseconds".to_owned(),
    }
}

fn unexpected(c: char) -> Token {
    let remedy = match c {
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => "Write straight quotes: \" or '".to_owned(),
        '≤' => "Write <=".to_owned(),
        '≥' => "Write >=".to_owned(),
        '≠' => "Write !=".to_owned(),
        '–' | '—' | '−' => "Write - (a plain minus)".to_owned(),
        '$' | '@' | '#' => "Write the name of the field alone".to_owned(),
        c if c.is_whitespace() => "Write a plain space".to_owned(),
        c if c.is_alphabetic() => "Texts stand in quotes; names of fields are plain ASCII".to_owned(),
        _ => "Take it out, or put it into quotes if it belongs to a text".to_owned(),
    };
    wrong(format!("{c:?} has no meaning here"), remedy)
}
