//! A seed → well-typed expressions, their texts, and events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use streamgauge_events::{Attributes, Event, EventTime, Field, Kind, NumberField, TextField};

/// An expression. Those that [`Generator::condition`] makes are well-typed.
#[derive(Clone, Debug)]
pub enum Tree {
    Bool(bool),
    Integer(i64),
    /// In millionths.
    Decimal(i128),
    Text(String),
    Field(&'static str),
    Attribute(String),
    Has(String),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Conditional(Box<[Tree; 3]>),
    /// A comparison or arithmetic, by its symbol.
    Binary(&'static str, Box<Tree>, Box<Tree>),
    In(Box<Tree>, Vec<Tree>),
    Size(Box<Tree>),
    /// A method of a text, by its name.
    Method(&'static str, Box<Tree>, Box<Tree>),
}

impl Tree {
    pub fn children(&self) -> Vec<&Tree> {
        match self {
            Self::Not(of) | Self::Negative(of) | Self::Size(of) => vec![of],
            Self::All(parts) | Self::Any(parts) => parts.iter().collect(),
            Self::Conditional(parts) => parts.iter().collect(),
            Self::Binary(_, left, right) | Self::Method(_, left, right) => vec![left, right],
            Self::In(of, literals) => std::iter::once(&**of).chain(literals).collect(),
            _ => Vec::new(),
        }
    }

    /// How often each form occurs.
    pub fn count(&self, counts: &mut BTreeMap<&'static str, usize>) {
        let name = match self {
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "text",
            Self::Field(_) => "field",
            Self::Attribute(_) => "attribute",
            Self::Has(_) => "has",
            Self::Not(_) => "!",
            Self::Negative(_) => "negative",
            Self::All(_) => "&&",
            Self::Any(_) => "||",
            Self::Conditional(_) => "?:",
            Self::Binary(symbol, ..) => symbol,
            Self::In(..) => "in",
            Self::Size(_) => "size",
            Self::Method(name, ..) => name,
        };
        *counts.entry(name).or_default() += 1;
        self.children().into_iter().for_each(|child| child.count(counts));
    }
}

const TEXTS: [&str; 14] = [
    "",
    "a",
    "/pay",
    "/pay/7",
    "/a",
    "GET",
    "gold",
    "é",
    "e\u{301}",
    "😀",
    "a\"b'c",
    "back\\slash",
    "two\nlines\t",
    "ß😀z",
];
const PATTERNS: [&str; 8] = ["a", "^/pay", "7$", "^$", "[a-z]+", "^(GET|gold)$", "pay/[0-9]{1,2}", "é|😀"];
const ATTRIBUTES: [&str; 4] = ["plan", "seats", "absent", "with space"];
const INTEGERS: [i64; 16] =
    [0, 1, -1, 2, 3, 7, 200, 404, 500, 503, 300_000, -300_000, 1 << 40, i64::MAX, i64::MIN, i64::MAX / 2];
const MILLIONTHS: [i64; 11] =
    [0, 1, -1, 300_000, 850_000, 1_000_000, -2_500_000, 500_000_000, 503_500_000, 1 << 45, -(1 << 45)];
/// Decimal literals that 53 bits can't tell from their neighbours.
const LARGE_MILLIONTHS: [i128; 4] = [
    ((1 << 53) + 1) * 1_000_000,
    (1 << 53) * 1_000_000 + 500_000,
    i64::MAX as i128 * 1_000_000,
    i64::MIN as i128 * 1_000_000 - 1,
];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// SplitMix64: small, seeded, the same everywhere.
pub struct Generator(u64);

/// What an event is made of, owned.
pub struct Made {
    pub texts: BTreeMap<&'static str, (TextField, &'static str)>,
    pub numbers: Vec<(NumberField, i64)>,
    pub ok: Option<bool>,
    pub attributes: Option<String>,
}

impl Made {
    pub fn event(&self) -> Event<'_> {
        let mut event = Event::new(EventTime(1), "a");
        self.texts.values().for_each(|(field, text)| event.set_text(*field, Cow::Borrowed(text)));
        self.numbers.iter().for_each(|(field, number)| event.set_number(*field, *number));
        event.ok = self.ok;
        event.attributes = self.attributes.as_deref().map_or(Attributes::None, Attributes::Json);
        event
    }
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn event(&mut self, kind: Kind) -> Made {
        let mut made = Made { texts: BTreeMap::new(), numbers: Vec::new(), ok: None, attributes: None };
        for field in kind.fields() {
            if self.one_in(4) {
                continue;
            }
            match *field {
                Field::Text(text) => {
                    made.texts.insert(field.name(), (text, self.pick(&TEXTS)));
                }
                Field::Number(number) if number.is_decimal() => made.numbers.push((number, self.pick(&MILLIONTHS))),
                Field::Number(number) => {
                    let (min, max) = number.range();
                    made.numbers.push((number, self.pick(&INTEGERS).clamp(min, max)));
                }
                Field::Ok => made.ok = Some(self.one_in(2)),
                Field::Attributes => made.attributes = Some(self.attributes()),
                Field::Ts => {}
            }
        }
        made
    }

    fn attributes(&mut self) -> String {
        let plan = self.pick(&TEXTS);
        let spaced = self.pick(&TEXTS);
        match self.below(3) {
            0 => format!(r#"{{"plan":{plan:?},"seats":5}}"#).replace("\\u{301}", "\\u0301").replace("\\'", "'"),
            1 => {
                format!(r#"{{"seats":"7","with space":{spaced:?}}}"#).replace("\\u{301}", "\\u0301").replace("\\'", "'")
            }
            _ => "{}".to_owned(),
        }
    }

    /// A condition with one thing in it that has no type.
    pub fn ill_typed(&mut self, kind: Kind) -> Tree {
        let boxed = |tree| Box::new(tree);
        let (integer, text, decimal) = (self.integer(kind, 1), self.text(kind, 1), self.decimal(kind, 1));
        let (condition, other) = (self.condition(kind, 1), self.condition(kind, 0));
        let symbol = self.pick(&COMPARISONS);
        let order = self.pick(&COMPARISONS[2..]);
        let arithmetic = self.pick(&["+", "-", "*", "/", "%"]);
        let equals = |left, right| Tree::Binary("==", Box::new(left), Box::new(right));
        let beside = self.condition(kind, 0);
        let wrong = match self.below(20) {
            0 => Tree::Binary(symbol, boxed(integer), boxed(text)),
            1 => Tree::Binary(symbol, boxed(text), boxed(decimal)),
            2 => Tree::Binary(symbol, boxed(condition), boxed(integer)),
            3 => Tree::Binary(symbol, boxed(text), boxed(condition)),
            4 => Tree::Binary(order, boxed(condition), boxed(other)),
            5 => equals(Tree::Binary(arithmetic, boxed(integer), boxed(text)), Tree::Integer(1)),
            6 => equals(Tree::Binary(arithmetic, boxed(decimal), boxed(integer)), Tree::Integer(1)),
            7 => equals(Tree::Binary(arithmetic, boxed(condition), boxed(other)), Tree::Integer(1)),
            8 => Tree::Not(boxed(integer)),
            9 => Tree::Not(boxed(text)),
            10 => equals(Tree::Negative(boxed(text.clone())), text),
            11 => equals(Tree::Negative(boxed(condition.clone())), condition),
            12 => Tree::Conditional(Box::new([integer, condition, other])),
            13 => equals(Tree::Conditional(Box::new([condition, integer, text.clone()])), text),
            14 => Tree::Any(vec![condition, text]),
            15 => Tree::In(boxed(text), vec![Tree::Text("a".to_owned()), Tree::Integer(5)]),
            16 => Tree::In(boxed(integer), vec![Tree::Text("a".to_owned())]),
            17 => equals(Tree::Size(boxed(integer.clone())), integer),
            18 => Tree::Method("startsWith", boxed(text), boxed(integer)),
            _ => Tree::Method("contains", boxed(decimal), boxed(text)),
        };
        match self.below(4) {
            0 => Tree::All(vec![beside, wrong]),
            1 => Tree::Any(vec![wrong, beside]),
            2 => Tree::Not(Box::new(wrong)),
            _ => wrong,
        }
    }

    pub fn condition(&mut self, kind: Kind, depth: usize) -> Tree {
        if depth == 0 {
            return match self.below(8) {
                0 if kind == Kind::Request => Tree::Field("ok"),
                1 => Tree::Has(self.pick(&ATTRIBUTES[..3]).to_owned()),
                2 if self.one_in(3) => Tree::Bool(self.one_in(2)),
                2 | 3 => self.membership(kind, 0),
                4 => self.method(kind, 0),
                _ => self.comparison(kind, 0),
            };
        }
        let depth = depth - 1;
        match self.below(10) {
            0 | 1 => Tree::All(self.conditions(kind, depth)),
            2 | 3 => Tree::Any(self.conditions(kind, depth)),
            4 => Tree::Not(Box::new(self.condition(kind, depth))),
            5 => self.choice(|generator| generator.condition(kind, depth), kind, depth),
            6 => self.membership(kind, depth),
            7 => self.method(kind, depth),
            8 if self.one_in(3) => {
                let symbol = self.pick(&COMPARISONS[..2]);
                let (left, right) = (self.condition(kind, depth), self.condition(kind, depth));
                Tree::Binary(symbol, Box::new(left), Box::new(right))
            }
            _ => self.comparison(kind, depth),
        }
    }

    fn conditions(&mut self, kind: Kind, depth: usize) -> Vec<Tree> {
        (0..2 + self.below(3)).map(|_| self.condition(kind, depth)).collect()
    }

    fn choice(&mut self, mut branch: impl FnMut(&mut Self) -> Tree, kind: Kind, depth: usize) -> Tree {
        let condition = self.condition(kind, depth);
        let (yes, no) = (branch(self), branch(self));
        Tree::Conditional(Box::new([condition, yes, no]))
    }

    fn comparison(&mut self, kind: Kind, depth: usize) -> Tree {
        let symbol = self.pick(&COMPARISONS);
        let (left, right) = match self.below(7) {
            0..=2 => (self.integer(kind, depth), self.integer(kind, depth)),
            3 | 4 => (self.text(kind, depth), self.text(kind, depth)),
            5 => (self.decimal(kind, depth), self.decimal(kind, depth)),
            // Numbers of both types are compared with each other.
            _ if self.one_in(2) => (self.decimal(kind, depth), self.integer(kind, depth)),
            _ => (self.integer(kind, depth), self.decimal(kind, depth)),
        };
        Tree::Binary(symbol, Box::new(left), Box::new(right))
    }

    fn membership(&mut self, kind: Kind, depth: usize) -> Tree {
        let entries = if self.one_in(8) { 12 + self.below(6) } else { self.below(4) };
        let (of, literals) = match self.below(3) {
            0 => {
                let literals = (0..entries).map(|_| Tree::Text(self.pick(&TEXTS).to_owned())).collect();
                (self.text(kind, depth), literals)
            }
            1 => (self.integer(kind, depth), (0..entries).map(|_| Tree::Integer(self.pick(&INTEGERS))).collect()),
            _ => {
                // Integers may stand among decimals.
                let literals = (0..entries).map(|_| match self.below(3) {
                    0 => Tree::Integer(self.pick(&INTEGERS)),
                    _ => self.decimal_literal(),
                });
                let literals = literals.collect();
                (self.decimal(kind, depth), literals)
            }
        };
        Tree::In(Box::new(of), literals)
    }

    fn method(&mut self, kind: Kind, depth: usize) -> Tree {
        let name = self.pick(&["startsWith", "endsWith", "contains", "matches"]);
        let of = self.text(kind, depth);
        let with = if name == "matches" { Tree::Text(self.pick(&PATTERNS).to_owned()) } else { self.text(kind, depth) };
        Tree::Method(name, Box::new(of), Box::new(with))
    }

    fn integer(&mut self, kind: Kind, depth: usize) -> Tree {
        let fields: Vec<&'static str> = kind
            .fields()
            .iter()
            .filter(|field| matches!(field, Field::Number(number) if !number.is_decimal()))
            .map(|field| field.name())
            .collect();
        match self.below(if depth == 0 { 4 } else { 8 }) {
            0 | 1 if !fields.is_empty() => Tree::Field(self.pick(&fields)),
            0..=2 => Tree::Integer(self.pick(&INTEGERS)),
            3 => Tree::Size(Box::new(self.text(kind, depth.saturating_sub(1)))),
            4 => self.choice(|generator| generator.integer(kind, depth - 1), kind, depth - 1),
            5 => Tree::Negative(Box::new(self.integer(kind, depth - 1))),
            _ => {
                let symbol = self.pick(&["+", "-", "*", "/", "%"]);
                let (left, right) = (self.integer(kind, depth - 1), self.integer(kind, depth - 1));
                Tree::Binary(symbol, Box::new(left), Box::new(right))
            }
        }
    }

    fn decimal(&mut self, kind: Kind, depth: usize) -> Tree {
        match self.below(if depth == 0 { 3 } else { 5 }) {
            0 | 1 if kind != Kind::Request => Tree::Field("value"),
            3 => self.choice(|generator| generator.decimal(kind, depth - 1), kind, depth - 1),
            4 => Tree::Negative(Box::new(self.decimal(kind, depth - 1))),
            _ => self.decimal_literal(),
        }
    }

    fn decimal_literal(&mut self) -> Tree {
        if self.one_in(6) {
            return Tree::Decimal(self.pick(&LARGE_MILLIONTHS));
        }
        Tree::Decimal(self.pick(&MILLIONTHS).into())
    }

    fn text(&mut self, kind: Kind, depth: usize) -> Tree {
        let fields: Vec<&'static str> =
            kind.fields().iter().filter(|field| matches!(field, Field::Text(_))).map(|field| field.name()).collect();
        match self.below(if depth == 0 { 5 } else { 6 }) {
            0..=2 => Tree::Field(self.pick(&fields)),
            3 => Tree::Attribute(self.pick(&ATTRIBUTES).to_owned()),
            4 => Tree::Text(self.pick(&TEXTS).to_owned()),
            _ => self.choice(|generator| generator.text(kind, depth - 1), kind, depth - 1),
        }
    }

    // ---- as a text

    pub fn written(&mut self, tree: &Tree) -> String {
        let mut text = String::new();
        self.write(tree, &mut text);
        text
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(self.pick(&["", " ", " ", "  ", "\n"]));
    }

    /// With parentheses wherever precedence could matter, and sometimes where it doesn't.
    fn write_inside(&mut self, tree: &Tree, out: &mut String) {
        let is_simple = matches!(
            tree,
            Tree::Bool(_)
                | Tree::Text(_)
                | Tree::Field(_)
                | Tree::Attribute(_)
                | Tree::Has(_)
                | Tree::Size(_)
                | Tree::Method(..)
        ) || matches!(tree, Tree::Integer(0..) | Tree::Decimal(0..));
        if is_simple && !self.one_in(8) {
            return self.write(tree, out);
        }
        out.push('(');
        self.write(tree, out);
        out.push(')');
    }

    /// Operands of `&&` and `||` need parentheses only around what binds less tightly.
    fn write_part(&mut self, tree: &Tree, out: &mut String) {
        let binds_tighter = matches!(tree, Tree::Not(_) | Tree::Binary(..) | Tree::In(..));
        if binds_tighter { self.write(tree, out) } else { self.write_inside(tree, out) }
    }

    fn write(&mut self, tree: &Tree, out: &mut String) {
        match tree {
            Tree::Bool(value) => out.push_str(&value.to_string()),
            Tree::Integer(value) if *value >= 0 && self.one_in(6) => out.push_str(&format!("0x{value:x}")),
            Tree::Integer(value) => out.push_str(&value.to_string()),
            Tree::Decimal(millionths) => self.write_decimal(*millionths, out),
            Tree::Text(text) => self.write_text(text, out),
            Tree::Field(name) => out.push_str(name),
            Tree::Attribute(name) if name.contains(' ') || self.one_in(2) => {
                out.push_str("attributes[");
                self.write_text(name, out);
                out.push(']');
            }
            Tree::Attribute(name) => out.push_str(&format!("attributes.{name}")),
            Tree::Has(name) if self.one_in(2) => {
                self.write_text(name, out);
                out.push_str(" in attributes");
            }
            Tree::Has(name) => out.push_str(&format!("has(attributes.{name})")),
            Tree::Not(of) => {
                out.push('!');
                let is_call = matches!(**of, Tree::Has(_));
                if is_call { self.write_closed(of, out) } else { self.write_inside(of, out) }
            }
            Tree::Negative(of) => {
                out.push('-');
                self.write_closed(of, out);
            }
            Tree::All(parts) => self.write_chain("&&", parts, out),
            Tree::Any(parts) => self.write_chain("||", parts, out),
            Tree::Conditional(parts) => {
                for (part, behind) in parts.iter().zip([" ? ", " : ", ""]) {
                    self.write_closed(part, out);
                    out.push_str(behind);
                }
            }
            Tree::Binary(symbol, left, right) => {
                self.write_operand(left, out);
                self.space(out);
                out.push_str(symbol);
                out.push(' ');
                self.write_operand(right, out);
            }
            Tree::In(of, literals) => {
                self.write_operand(of, out);
                out.push_str(" in [");
                for (index, literal) in literals.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.write(literal, out);
                }
                out.push(']');
            }
            Tree::Size(of) if self.one_in(2) => {
                out.push_str("size(");
                self.write(of, out);
                out.push(')');
            }
            Tree::Size(of) => {
                self.write_operand(of, out);
                out.push_str(".size()");
            }
            Tree::Method(name, of, with) => {
                self.write_operand(of, out);
                out.push_str(&format!(".{name}("));
                self.write(with, out);
                out.push(')');
            }
        }
    }

    fn write_closed(&mut self, tree: &Tree, out: &mut String) {
        out.push('(');
        self.write(tree, out);
        out.push(')');
    }

    /// `"a" in attributes` is a relation, so a `has` that may be written like that gets parentheses.
    fn write_operand(&mut self, tree: &Tree, out: &mut String) {
        if matches!(tree, Tree::Has(_)) { self.write_closed(tree, out) } else { self.write_inside(tree, out) }
    }

    fn write_chain(&mut self, symbol: &str, parts: &[Tree], out: &mut String) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.space(out);
                out.push_str(symbol);
                self.space(out);
            }
            self.write_part(part, out);
        }
    }

    fn write_decimal(&mut self, millionths: i128, out: &mut String) {
        let (sign, magnitude) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
        let (whole, fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
        match self.below(4) {
            0 => out.push_str(&format!("{millionths}e-6")),
            1 => out.push_str(&format!("{millionths}.0E-06")),
            2 if whole == 0 => out.push_str(&format!("{sign}.{fraction:06}")),
            _ => out.push_str(&format!("{sign}{whole}.{fraction:06}")),
        }
    }

    fn write_text(&mut self, text: &str, out: &mut String) {
        let quote = self.pick(&['"', '\'']);
        let is_plain = !text.contains(['"', '\'', '\\', '\n', '\t']);
        if is_plain || (!text.contains([quote, '\n'])) && self.one_in(3) {
            let raw = if is_plain && !self.one_in(4) { "" } else { "r" };
            out.push_str(&format!("{raw}{quote}{text}{quote}"));
            return;
        }
        out.push(quote);
        for c in text.chars() {
            match (c, self.below(4)) {
                ('\n', _) => out.push_str("\\n"),
                ('\t', _) => out.push_str("\\t"),
                ('\\' | '"' | '\'', _) => out.push_str(&format!("\\{c}")),
                (c, 0) if c.is_ascii() => out.push_str(&format!("\\x{:02x}", c as u32)),
                (c, 1) if c.is_ascii() => out.push_str(&format!("\\{:03o}", c as u32)),
                (c, 0 | 1) if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04X}", c as u32)),
                (c, 0) => out.push_str(&format!("\\U{:08x}", c as u32)),
                (c, _) => out.push(c),
            }
        }
        out.push(quote);
    }
}
