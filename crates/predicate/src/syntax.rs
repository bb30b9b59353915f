//! tokens → a tree of syntax
//!
//! The grammar of CEL, as far as it goes here. Depth is bounded while the tree grows, so that whoever walks it may recurse.
//! Must never know: fields, types.

use crate::PredicateError;
use crate::literal::Decimal;
use crate::token::{Placed, Token, tokens};

/// Texts longer than this are refused: a predicate is read by people.
pub(crate) const TEXT_BYTES_MAX: usize = 16_384;
/// Trees deeper than this are refused rather than recursed into. Chains of `&&` or `||` are one level however long.
pub(crate) const DEPTH_MAX: u32 = 64;

/// An expression and the bytes of the text that it takes, with the parentheses around it.
#[derive(Debug)]
pub(crate) struct Expression {
    pub start: usize,
    pub end: usize,
    pub form: Form,
    /// Levels of the tree from here down.
    height: u32,
}

#[derive(Debug)]
pub(crate) enum Form {
    Bool(bool),
    Integer(i64),
    Decimal(Decimal),
    Text(String),
    Null,
    Name(String),
    List(Vec<Expression>),
    /// `of.name`; the position of the name.
    Member(Box<Expression>, String, usize),
    /// `of[key]`
    Element(Box<Expression>, Box<Expression>),
    /// `name(arguments)`, or `of.name(arguments)`; the position of the name.
    Call(Option<Box<Expression>>, String, Vec<Expression>, usize),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    Conditional(Box<[Expression; 3]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn of(symbol: &str) -> Option<Self> {
        let all = [Self::Equal, Self::NotEqual, Self::Less, Self::LessOrEqual, Self::Greater, Self::GreaterOrEqual];
        all.into_iter().find(|comparison| comparison.symbol() == symbol)
    }

    /// What holds of (b, a) if this holds of (a, b).
    pub fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    #[inline]
    pub fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
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

impl Arithmetic {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    fn of(symbol: &str) -> Option<Self> {
        let all = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::Remainder];
        all.into_iter().find(|arithmetic| arithmetic.symbol() == symbol)
    }
}

pub(crate) fn parse(text: &str) -> Result<Expression, PredicateError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("a predicate of {} bytes is too long", text.len());
        let remedy = format!("Write at most {TEXT_BYTES_MAX} bytes; long lists may become a pattern or an attribute");
        let at = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Err(PredicateError { at, message, remedy });
    }
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0 };
    let expression = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(expression),
        token => Err(parser.error(format!("{token} can't follow here"), behind_an_expression(token))),
    }
}

/// What to write when something stands where an operator or the end was expected.
fn behind_an_expression(token: &Token) -> String {
    let remedy = match token {
        Token::Name(name) => match name.to_ascii_lowercase().as_str() {
            "and" => "Write && for \"and\"",
            "or" => "Write || for \"or\"",
            "is" | "eq" | "equals" => "Write == for equality",
            "not" | "ne" => "Write != for inequality, or !(a in [b])",
            "lt" => "Write <",
            "le" => "Write <=",
            "gt" => "Write >",
            "ge" => "Write >=",
            "mod" => "Write %",
            "like" | "matches" | "contains" | "startswith" | "endswith" => {
                "Write a call, such as route.startsWith(\"/pay\")"
            }
            "between" => "Write two comparisons: a >= 1 && a <= 2",
            "if" | "then" | "else" => "Write condition ? a : b",
            _ => "Join conditions by && or ||; texts stand in quotes",
        },
        Token::Symbol(")" | "]") => "Take it out, or open it before",
        Token::Symbol(":") => "Write condition ? a : b",
        Token::Symbol("!") => "Write != for inequality, or !(a in [b])",
        Token::Symbol(",") => "Join conditions by && or ||",
        Token::Symbol("==" | "!=" | "<" | "<=" | ">" | ">=") => "Comparisons don't chain: write a < b && b < c",
        _ => "Join conditions by && or ||",
    };
    remedy.to_owned()
}

struct Parser<'t> {
    /// The last one is the end, or wrong: it is never passed.
    tokens: &'t [Placed],
    next: usize,
    /// Of parentheses, brackets, calls and signs around what is being read.
    depth: u32,
}

type Parsed = Result<Expression, PredicateError>;

impl<'t> Parser<'t> {
    fn placed(&self) -> &'t Placed {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &'t Token {
        &self.placed().token
    }

    fn symbol(&self) -> &'static str {
        match self.peek() {
            Token::Symbol(symbol) => symbol,
            _ => "",
        }
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let is_there = !symbol.is_empty() && self.symbol() == symbol;
        self.next += usize::from(is_there);
        is_there
    }

    /// At the token that comes next; what is wrong with that token itself is told first.
    fn error(&self, message: String, remedy: impl Into<String>) -> PredicateError {
        let at = self.placed().start;
        match self.peek() {
            Token::Wrong { message, remedy } => {
                // An escape is wrong inside of its text, where the token ends.
                let at = self.placed().end.max(at);
                PredicateError { at, message: message.clone(), remedy: remedy.clone() }
            }
            _ => PredicateError { at, message, remedy: remedy.into() },
        }
    }

    fn expect(&mut self, symbol: &str, opened: &str) -> Result<(), PredicateError> {
        if self.accept(symbol) {
            return Ok(());
        }
        let remedy = match self.peek() {
            Token::End => format!("Close {opened} with {symbol}"),
            token => format!("{}, or close {opened} with {symbol}", behind_an_expression(token)),
        };
        Err(self.error(format!("expected {symbol}, found {}", self.peek()), remedy))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, PredicateError>) -> Result<T, PredicateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(
                self.error(format!("nested deeper than {DEPTH_MAX}"), "Split it, or join conditions by && and ||")
            );
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn make(&self, start: usize, end: usize, form: Form) -> Parsed {
        let children = form.children();
        let height = 1 + children.iter().map(|child| child.height).max().unwrap_or(0);
        if height > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX}");
            let remedy = "Split it, or join conditions by && and ||".to_owned();
            return Err(PredicateError { at: start, message, remedy });
        }
        Ok(Expression { start, end, form, height })
    }

    fn join(
        &self,
        left: Expression,
        right: Expression,
        form: impl FnOnce(Box<Expression>, Box<Expression>) -> Form,
    ) -> Parsed {
        let (start, end) = (left.start, right.end);
        self.make(start, end, form(Box::new(left), Box::new(right)))
    }

    /// Conditional: `a ? b : c`, where `c` may be another one.
    fn expression(&mut self) -> Parsed {
        let condition = self.either()?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let yes = self.nested(Self::either)?;
        if !self.accept(":") {
            return Err(self.error(format!("expected :, found {}", self.peek()), "Write condition ? a : b"));
        }
        let no = self.nested(Self::expression)?;
        let (start, end) = (condition.start, no.end);
        self.make(start, end, Form::Conditional(Box::new([condition, yes, no])))
    }

    fn either(&mut self) -> Parsed {
        self.chain("||", Self::both, Form::Any)
    }

    fn both(&mut self) -> Parsed {
        self.chain("&&", Self::relation, Form::All)
    }

    fn chain(&mut self, symbol: &str, part: fn(&mut Self) -> Parsed, form: fn(Vec<Expression>) -> Form) -> Parsed {
        let first = part(self)?;
        if self.symbol() != symbol {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.accept(symbol) {
            parts.push(part(self)?);
        }
        let (start, end) = (parts[0].start, parts[parts.len() - 1].end);
        self.make(start, end, form(parts))
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.sum()?;
        loop {
            if let Some(comparison) = Comparison::of(self.symbol()) {
                self.next += 1;
                let right = self.sum()?;
                left = self.join(left, right, |left, right| Form::Compare(comparison, left, right))?;
            } else if matches!(self.peek(), Token::Name(name) if name == "in") {
                self.next += 1;
                let right = self.sum()?;
                left = self.join(left, right, Form::In)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn sum(&mut self) -> Parsed {
        self.arithmetic(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.arithmetic(&["*", "/", "%"], Self::unary)
    }

    fn arithmetic(&mut self, symbols: &[&str], part: fn(&mut Self) -> Parsed) -> Parsed {
        let mut left = part(self)?;
        while symbols.contains(&self.symbol())
            && let Some(operator) = Arithmetic::of(self.symbol())
        {
            self.next += 1;
            let right = part(self)?;
            left = self.join(left, right, |left, right| Form::Arithmetic(operator, left, right))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let start = self.placed().start;
        if self.accept("!") {
            let of = self.nested(Self::unary)?;
            let end = of.end;
            return self.make(start, end, Form::Not(Box::new(of)));
        }
        if self.symbol() != "-" {
            return self.postfix();
        }
        self.next += 1;
        let number = self.placed();
        let form = match &number.token {
            Token::Integer(magnitude) => match 0_i64.checked_sub_unsigned(*magnitude) {
                Some(value) => Form::Integer(value),
                None => return Err(self.integer_error(start)),
            },
            Token::Decimal(Decimal(millionths)) => Form::Decimal(Decimal(-millionths)),
            _ => {
                let of = self.nested(Self::unary)?;
                let end = of.end;
                return self.make(start, end, Form::Negative(Box::new(of)));
            }
        };
        self.next += 1;
        let literal = self.make(start, number.end, form)?;
        self.postfix_of(literal)
    }

    fn integer_error(&self, at: usize) -> PredicateError {
        let message = format!("{} is no integer of 64 bits", self.peek());
        PredicateError { at, message, remedy: "Write one from -9223372036854775808 to 9223372036854775807".to_owned() }
    }

    fn postfix(&mut self) -> Parsed {
        let of = self.primary()?;
        self.postfix_of(of)
    }

    fn postfix_of(&mut self, mut of: Expression) -> Parsed {
        loop {
            let start = of.start;
            if self.accept(".") {
                let Token::Name(name) = self.peek() else {
                    let remedy = "Write attributes.name, or a call such as route.startsWith(\"/pay\")";
                    return Err(self.error(format!("expected a name, found {}", self.peek()), remedy));
                };
                if ["in", "true", "false", "null"].contains(&name.as_str()) {
                    let remedy = format!("Write attributes[\"{name}\"]");
                    return Err(
                        self.error(format!("{name} is a word of the language, which can't stand behind a dot"), remedy)
                    );
                }
                let at = self.placed().start;
                let end = self.placed().end;
                self.next += 1;
                of = if self.accept("(") {
                    let (arguments, end) = self.list(")", "the call")?;
                    self.make(start, end, Form::Call(Some(Box::new(of)), name.clone(), arguments, at))?
                } else {
                    self.make(start, end, Form::Member(Box::new(of), name.clone(), at))?
                };
            } else if self.accept("[") {
                let key = self.nested(Self::expression)?;
                let end = self.placed().end;
                self.expect("]", "the bracket")?;
                of = self.make(start, end, Form::Element(Box::new(of), Box::new(key)))?;
            } else {
                return Ok(of);
            }
        }
    }

    /// What stands between commas, up to what closes it; and where that ends.
    fn list(&mut self, close: &str, opened: &str) -> Result<(Vec<Expression>, usize), PredicateError> {
        let mut parts = Vec::new();
        loop {
            let end = self.placed().end;
            if self.accept(close) {
                return Ok((parts, end));
            }
            parts.push(self.nested(Self::expression)?);
            if self.symbol() != close && !self.accept(",") {
                if let Token::Text(_) | Token::Integer(_) | Token::Decimal(_) = self.peek() {
                    return Err(
                        self.error(format!("expected a comma, found {}", self.peek()), "Separate entries by commas")
                    );
                }
                self.expect(close, opened)?;
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let Placed { token, start, end } = self.placed();
        let (start, end) = (*start, *end);
        let form = match token {
            Token::Name(name) => match name.as_str() {
                "true" => Form::Bool(true),
                "false" => Form::Bool(false),
                "null" => Form::Null,
                "in" => return Err(self.error("in needs something before it".to_owned(), "Write field in [a, b]")),
                _ => return self.name(name, start, end),
            },
            Token::Text(text) => Form::Text(text.clone()),
            Token::Integer(magnitude) => match i64::try_from(*magnitude) {
                Ok(value) => Form::Integer(value),
                Err(_) => return Err(self.integer_error(start)),
            },
            Token::Decimal(decimal) => Form::Decimal(*decimal),
            Token::Symbol("(") => {
                self.next += 1;
                let inner = self.nested(Self::expression)?;
                let end = self.placed().end;
                self.expect(")", "the parenthesis")?;
                return Ok(Expression { start, end, ..inner });
            }
            Token::Symbol("[") => {
                self.next += 1;
                let (parts, end) = self.list("]", "the list")?;
                return self.make(start, end, Form::List(parts));
            }
            token => {
                let remedy = match token {
                    Token::End if self.next == 0 => "Write a condition, such as status < 500; true means every event",
                    Token::End => "Complete the condition",
                    _ => "Write a field, a literal or a parenthesis here",
                };
                return Err(self.error(format!("expected a condition, found {token}"), remedy));
            }
        };
        self.next += 1;
        self.make(start, end, form)
    }

    fn name(&mut self, name: &str, start: usize, end: usize) -> Parsed {
        self.next += 1;
        if self.accept("(") {
            let (arguments, end) = self.list(")", "the call")?;
            return self.make(start, end, Form::Call(None, name.to_owned(), arguments, start));
        }
        // `not ok`, `if ok`: a word in front of a condition.
        if let (Token::Name(next), "not" | "NOT" | "Not") = (self.peek(), name)
            && !["in", "and", "or"].contains(&next.as_str())
        {
            let at = start;
            let remedy = "Write ! for \"not\"".to_owned();
            return Err(PredicateError { at, message: format!("{name} is no operator here"), remedy });
        }
        self.make(start, end, Form::Name(name.to_owned()))
    }
}

impl Form {
    pub fn children(&self) -> Vec<&Expression> {
        match self {
            Self::Bool(_) | Self::Integer(_) | Self::Decimal(_) | Self::Text(_) | Self::Null | Self::Name(_) => {
                Vec::new()
            }
            Self::List(parts) | Self::All(parts) | Self::Any(parts) => parts.iter().collect(),
            Self::Member(of, ..) | Self::Not(of) | Self::Negative(of) => vec![of],
            Self::Call(of, _, arguments, _) => of.as_deref().into_iter().chain(arguments).collect(),
            Self::Element(left, right)
            | Self::Compare(_, left, right)
            | Self::In(left, right)
            | Self::Arithmetic(_, left, right) => vec![left, right],
            Self::Conditional(parts) => parts.iter().collect(),
        }
    }
}
