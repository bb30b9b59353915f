//! Predicates over a request: comparisons of a field with a literal, joined by `&&`, `||`, `!` and parentheses.
//!
//! A strict subset of CEL, checked for types when it is parsed. A comparison with an absent field is neither true nor
//! false; `false && unknown` is false and `true || unknown` is true, as in CEL.

use std::fmt;

use streamgauge_events::Request;

/// A predicate that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text { field: TextField, equal: bool, literal: String },
    Number { field: NumberField, operator: Operator, literal: i64 },
    Ok { equal: bool, literal: bool },
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Service,
    Tenant,
    Route,
    Method,
    Version,
    Environment,
    Region,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberField {
    Status,
    LatencyUs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is wrong, and at which byte of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at column {})", .at + 1)]
pub struct PredicateError {
    pub at: usize,
    pub message: String,
}

/// Parentheses and negations deeper than this are refused rather than recursed into.
const DEPTH_MAX: u32 = 64;

impl Predicate {
    pub fn parse(text: &str) -> Result<Self, PredicateError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), depth: 0 };
        let node = parser.either()?;
        match parser.peek() {
            None => Ok(Self(node)),
            Some(token) => Err(parser.error(format!("expected && or || or the end, found {token}"))),
        }
    }

    /// `None`: the event lacks what it would take to decide.
    pub fn holds(&self, request: &Request<'_>) -> Option<bool> {
        self.0.holds(request)
    }
}

impl Node {
    fn holds(&self, request: &Request<'_>) -> Option<bool> {
        match self {
            Self::Text { field, equal, literal } => Some((field.of(request)? == literal) == *equal),
            Self::Number { field, operator, literal } => Some(operator.compare(field.of(request)?, *literal)),
            Self::Ok { equal, literal } => Some((request.ok? == *literal) == *equal),
            Self::Not(node) => node.holds(request).map(|holds| !holds),
            Self::And(left, right) => match (left.holds(request), right.holds(request)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(left, right) => match (left.holds(request), right.holds(request)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

impl TextField {
    fn of<'r>(self, request: &'r Request<'_>) -> Option<&'r str> {
        match self {
            Self::Service => Some(&request.service),
            Self::Tenant => request.tenant.as_deref(),
            Self::Route => request.route.as_deref(),
            Self::Method => request.method.as_deref(),
            Self::Version => request.version.as_deref(),
            Self::Environment => request.environment.as_deref(),
            Self::Region => request.region.as_deref(),
        }
    }
}

impl NumberField {
    fn of(self, request: &Request<'_>) -> Option<i64> {
        match self {
            Self::Status => request.status.map(i64::from),
            Self::LatencyUs => request.latency_us.map(|latency| latency as i64),
        }
    }
}

impl Operator {
    fn compare(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

// ---- parsing

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Integer(i64),
    Compare(Operator),
    And,
    Or,
    Not,
    Open,
    Close,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Compare(Operator::Equal) => f.write_str("=="),
            Self::Compare(Operator::NotEqual) => f.write_str("!="),
            Self::Compare(Operator::Less) => f.write_str("<"),
            Self::Compare(Operator::LessOrEqual) => f.write_str("<="),
            Self::Compare(Operator::Greater) => f.write_str(">"),
            Self::Compare(Operator::GreaterOrEqual) => f.write_str(">="),
            Self::And => f.write_str("&&"),
            Self::Or => f.write_str("||"),
            Self::Not => f.write_str("!"),
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, PredicateError> {
    const SYMBOLS: [(&str, Token); 11] = [
        ("==", Token::Compare(Operator::Equal)),
        ("!=", Token::Compare(Operator::NotEqual)),
        ("<=", Token::Compare(Operator::LessOrEqual)),
        (">=", Token::Compare(Operator::GreaterOrEqual)),
        ("<", Token::Compare(Operator::Less)),
        (">", Token::Compare(Operator::Greater)),
        ("&&", Token::And),
        ("||", Token::Or),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
    ];
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if let Some((symbol, token)) = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            tokens.push((at, token.clone()));
            at += symbol.len();
        } else if first == '\'' || first == '"' {
            let Some(length) = rest[1..].find(first) else {
                return Err(PredicateError { at, message: "this text has no closing quote".to_owned() });
            };
            let inner = &rest[1..=length];
            if inner.contains('\\') {
                return Err(PredicateError { at, message: "escapes in texts are not supported".to_owned() });
            }
            tokens.push((at, Token::Text(inner.to_owned())));
            at += length + 2;
        } else if first.is_ascii_digit() || first == '-' {
            let length = rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |end| end + 1);
            let integer = rest[..length]
                .parse()
                .map_err(|_| PredicateError { at, message: format!("{} is not an integer", &rest[..length]) })?;
            tokens.push((at, Token::Integer(integer)));
            at += length;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push((at, Token::Name(rest[..length].to_owned())));
            at += length;
        } else {
            return Err(PredicateError { at, message: format!("{first:?} has no meaning here") });
        }
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    next: usize,
    end: usize,
    depth: u32,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self) -> Option<&'t Token> {
        let token = self.peek();
        self.next += 1;
        token
    }

    /// An error at the token that comes next.
    fn error(&self, message: String) -> PredicateError {
        PredicateError { at: self.tokens.get(self.next).map_or(self.end, |(at, _)| *at), message }
    }

    fn either(&mut self) -> Result<Node, PredicateError> {
        let mut node = self.both()?;
        while self.peek() == Some(&Token::Or) {
            self.next += 1;
            node = Node::Or(Box::new(node), Box::new(self.both()?));
        }
        Ok(node)
    }

    fn both(&mut self) -> Result<Node, PredicateError> {
        let mut node = self.single()?;
        while self.peek() == Some(&Token::And) {
            self.next += 1;
            node = Node::And(Box::new(node), Box::new(self.single()?));
        }
        Ok(node)
    }

    fn single(&mut self) -> Result<Node, PredicateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        let node = match self.peek() {
            Some(Token::Not) => {
                self.next += 1;
                Node::Not(Box::new(self.single()?))
            }
            Some(Token::Open) => {
                self.next += 1;
                let node = self.either()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.error("expected a closing parenthesis".to_owned()));
                }
                self.next += 1;
                node
            }
            _ => self.comparison()?,
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, PredicateError> {
        let Some(Token::Name(name)) = self.peek() else {
            return Err(self.error("expected a field of the request, such as status".to_owned()));
        };
        let field = Field::named(name).ok_or_else(|| self.error(unknown_field(name)))?;
        self.next += 1;
        // A field that is a boolean may stand alone, as in CEL.
        if field == Field::Ok && !matches!(self.peek(), Some(Token::Compare(_))) {
            return Ok(Node::Ok { equal: true, literal: true });
        }
        let Some(Token::Compare(operator)) = self.peek() else {
            return Err(self.error(format!("expected a comparison such as == behind {name}")));
        };
        self.next += 1;
        let literal_error = |expected: &str| self.error(format!("{name} is compared with {expected}"));
        let equal = match operator {
            Operator::Equal => Some(true),
            Operator::NotEqual => Some(false),
            _ => None,
        };
        let node = match (field, self.peek(), equal) {
            (Field::Number(field), Some(Token::Integer(literal)), _) => {
                Node::Number { field, operator: *operator, literal: *literal }
            }
            (Field::Number(_), ..) => return Err(literal_error("an integer")),
            (Field::Text(field), Some(Token::Text(literal)), Some(equal)) => {
                Node::Text { field, equal, literal: literal.clone() }
            }
            (Field::Text(_), ..) => return Err(literal_error("a quoted text, by == or !=")),
            (Field::Ok, Some(Token::Name(word)), Some(equal)) if word == "true" || word == "false" => {
                Node::Ok { equal, literal: word == "true" }
            }
            (Field::Ok, ..) => return Err(literal_error("true or false, by == or !=")),
        };
        self.take();
        Ok(node)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Text(TextField),
    Number(NumberField),
    Ok,
}

const FIELDS: [(&str, Field); 10] = [
    ("service", Field::Text(TextField::Service)),
    ("tenant", Field::Text(TextField::Tenant)),
    ("route", Field::Text(TextField::Route)),
    ("method", Field::Text(TextField::Method)),
    ("version", Field::Text(TextField::Version)),
    ("environment", Field::Text(TextField::Environment)),
    ("region", Field::Text(TextField::Region)),
    ("status", Field::Number(NumberField::Status)),
    ("latency_us", Field::Number(NumberField::LatencyUs)),
    ("ok", Field::Ok),
];

impl Field {
    fn named(name: &str) -> Option<Self> {
        FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }
}

fn unknown_field(name: &str) -> String {
    let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
    format!("a request has no field {name}; it has {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(predicate: &str, event: &str, expected: Option<bool>) {
        let request = Request::from_json(event.as_bytes()).expect("a request");
        let parsed = Predicate::parse(predicate).expect("a predicate");
        assert_eq!(parsed.holds(&request), expected, "{predicate} on {event}");
    }

    #[test]
    fn comparisons_hold_or_fail_or_lack_their_field() {
        let bare = r#"{"ts":1,"service":"a"}"#;
        let full = r#"{"ts":1,"service":"a","status":503,"ok":true,"latency_us":300,"route":"/x"}"#;
        for (predicate, on_bare, on_full) in [
            ("status < 500", None, Some(false)),
            ("status >= 500", None, Some(true)),
            ("latency_us <= 300", None, Some(true)),
            ("latency_us < 300", None, Some(false)),
            ("service == 'a'", Some(true), Some(true)),
            ("service != \"a\"", Some(false), Some(false)),
            ("ok", None, Some(true)),
            ("!ok", None, Some(false)),
            ("ok == false", None, Some(false)),
            ("service == 'b' && status < 500", Some(false), Some(false)),
            ("service == 'a' && status < 500", None, Some(false)),
            ("service == 'a' || status < 500", Some(true), Some(true)),
            ("service == 'b' || status < 500", None, Some(false)),
            ("!(status == 503 || route == '/y') || latency_us > -1", None, Some(true)),
            ("service == 'a' || service == 'b' && service == 'c'", Some(true), Some(true)),
        ] {
            check(predicate, bare, on_bare);
            check(predicate, full, on_full);
        }
    }

    #[track_caller]
    fn check_error(predicate: &str, expected: Expect) {
        expected.assert_eq(&Predicate::parse(predicate).expect_err("no predicate").to_string());
    }

    #[test]
    fn errors_say_what_is_expected_and_where() {
        check_error("", expect!["expected a field of the request, such as status (at column 1)"]);
        check_error(
            "code < 500",
            expect![
                "a request has no field code; it has service, tenant, route, method, version, environment, region, status, latency_us, ok (at column 1)"
            ],
        );
        check_error("status < '500'", expect!["status is compared with an integer (at column 10)"]);
        check_error("status < 5.5", expect!["5.5 is not an integer (at column 10)"]);
        check_error("route > '/a'", expect!["route is compared with a quoted text, by == or != (at column 9)"]);
        check_error("ok == 1", expect!["ok is compared with true or false, by == or != (at column 7)"]);
        check_error("(status < 500", expect!["expected a closing parenthesis (at column 14)"]);
        check_error("status < 500 ok", expect!["expected && or || or the end, found ok (at column 14)"]);
        check_error("route == '/a", expect!["this text has no closing quote (at column 10)"]);
        check_error("status = 500", expect!["'=' has no meaning here (at column 8)"]);
        check_error(&"!".repeat(1000), expect!["nested deeper than 64 (at column 65)"]);
    }
}
