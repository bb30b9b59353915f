//! YAML text → a tree of texts, lists and maps in which every node knows its place.
//!
//! Scalars stay texts: `0.85` and `010` are what was written, for those who know what they mean. Must never know what
//! a document says.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// From 1, both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    /// `plain`: without quotes, so that `null`, `true` and `~` are words of YAML. `inline`: its characters stand in one
    /// line behind `place`, after so many characters of quotation.
    Scalar {
        text: String,
        plain: bool,
        inline: Option<u64>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub struct SyntaxError {
    pub place: Place,
    pub message: String,
}

/// What a file may hold beyond what stands in it, because aliases repeat it: nodes, and bytes of text.
const REPEATED_NODES_MAX: usize = 200_000;
const REPEATED_BYTES_MAX: usize = 16 << 20;
const DEPTH_MAX: usize = 64;

/// Every document of a file, up to the first error of syntax.
pub fn documents(text: &str) -> (Vec<Node>, Option<SyntaxError>) {
    let mut documents = Vec::new();
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), repeated: Size::default() };
    loop {
        match builder.document() {
            Ok(Some(node)) => documents.push(node),
            Ok(None) => return (documents, None),
            Err(error) => return (documents, Some(error)),
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: BTreeMap<usize, Node>,
    /// By aliases.
    repeated: Size,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| Self { nodes: sum.nodes + size.nodes, bytes: sum.bytes + size.bytes })
    }
}

impl<'t> Builder<'t> {
    /// The next document that says something.
    fn document(&mut self) -> Result<Option<Node>, SyntaxError> {
        loop {
            match self.next()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((Event::StreamStart | Event::DocumentEnd, _)) => {}
                Some((Event::DocumentStart(..), _)) => {
                    self.anchors.clear();
                    let Some((event, span)) = self.next()? else { return Ok(None) };
                    let node = self.node(event, span, 0)?;
                    let is_empty = matches!(&node.content, Content::Scalar { text, plain: true, .. } if text.is_empty() || text == "~");
                    if !is_empty {
                        return Ok(Some(node));
                    }
                }
                Some((_, span)) => return Err(error_at(place(&span), "a document was expected here")),
            }
        }
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, SyntaxError> {
        loop {
            return match self.parser.next_event() {
                None => Ok(None),
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok(found)) => Ok(Some(found)),
                Some(Err(error)) => {
                    let mark = error.marker();
                    let place = Place { line: mark.line() as u64, column: mark.col() as u64 + 1 };
                    Err(error_at(place, error.info()))
                }
            };
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let place = place(&span);
        if depth > DEPTH_MAX {
            return Err(error_at(place, format!("this is nested deeper than {DEPTH_MAX} levels")));
        }
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let one_line = span.start.line() == span.end.line();
                let inline = match style {
                    ScalarStyle::Plain => Some(0),
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Some(1),
                    _ => None,
                };
                let plain = style == ScalarStyle::Plain;
                (Content::Scalar { text: text.into_owned(), plain, inline: inline.filter(|_| one_line) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.child(place)? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Content::List(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    match self.child(place)? {
                        (Event::MappingEnd, _) => break,
                        (event, span) => {
                            let key = self.node(event, span, depth + 1)?;
                            let (event, span) = self.child(place)?;
                            entries.push((key, self.node(event, span, depth + 1)?));
                        }
                    }
                }
                (Content::Map(entries), anchor)
            }
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor) else {
                    return Err(error_at(place, "this alias has no anchor before it"));
                };
                self.repeated = [self.repeated, known.size()].into_iter().sum();
                if self.repeated.nodes > REPEATED_NODES_MAX || self.repeated.bytes > REPEATED_BYTES_MAX {
                    return Err(error_at(place, "too much is repeated by aliases; write out what is meant"));
                }
                return Ok(known.clone());
            }
            _ => return Err(error_at(place, "a value was expected here")),
        };
        let node = Node { place, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn child(&mut self, parent: Place) -> Result<(Event<'t>, Span), SyntaxError> {
        self.next()?.ok_or_else(|| error_at(parent, "this block has no end"))
    }
}

impl Node {
    fn size(&self) -> Size {
        let this = Size { nodes: 1, bytes: 0 };
        match &self.content {
            Content::Scalar { text, .. } => Size { bytes: text.len(), ..this },
            Content::List(items) => items.iter().map(Self::size).chain([this]).sum(),
            Content::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [key.size(), value.size()]).chain([this]).sum()
            }
        }
    }

    /// The text of a scalar; `null` and nothing at all are none.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, plain: true, .. } if matches!(text.as_str(), "" | "~" | "null") => None,
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// As in a message: the text, or what it is instead of one.
    pub fn shown(&self) -> String {
        match &self.content {
            Content::Scalar { .. } => match self.text() {
                None => "nothing".to_owned(),
                Some(text) => {
                    const CHARS_MAX: usize = 80;
                    let head: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
                    let more = if text.chars().count() > CHARS_MAX { "…" } else { "" };
                    // Quotes are no oddity inside of backticks.
                    format!("`{}{more}`", head.replace("\\\"", "\"").replace("\\'", "'"))
                }
            },
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a block of keys".to_owned(),
        }
    }

    /// The place of the character at this byte of the scalar's text; its beginning where that can't be told.
    pub fn place_within(&self, byte: usize) -> Place {
        match &self.content {
            Content::Scalar { text, inline: Some(quotes), .. } => {
                let characters = text.get(..byte).map_or(0, |before| before.chars().count() as u64);
                Place { line: self.place.line, column: self.place.column + quotes + characters }
            }
            _ => self.place,
        }
    }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line() as u64, column: span.start.col() as u64 + 1 }
}

fn error_at(place: Place, message: impl Into<String>) -> SyntaxError {
    SyntaxError { place, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        let Place { line, column } = node.place;
        match &node.content {
            Content::Scalar { text, .. } => format!("{text}@{line}:{column}"),
            Content::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}={}", shown(key), shown(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let text = "# a comment\na: 0.850\nb: [x, 'y']\n---\n---\nc: &it {d: 1}\ne: *it\n";
        let (documents, error) = super::documents(text);
        assert!(error.is_none());
        let found: Vec<String> = documents.iter().map(shown).collect();
        assert_eq!(found, ["{a@2:1=0.850@2:4 b@3:1=[x@3:5 y@3:8]}", "{c@6:1={d@6:9=1@6:12} e@7:1={d@6:9=1@6:12}}"]);
    }

    #[test]
    fn places_within_a_scalar_count_characters() {
        let (documents, _) = documents("a: 'ä == b'\n");
        let Content::Map(entries) = &documents[0].content else { panic!("a map") };
        assert_eq!(entries[0].1.place_within("ä == ".len()), Place { line: 1, column: 10 });
    }

    #[test]
    fn errors_of_syntax_have_a_place_and_keep_what_came_before() {
        let (documents, error) = documents("a: 1\n---\nb: [1, 2\nc: 3\n");
        assert_eq!(documents.len(), 1);
        assert!(error.is_some_and(|error| error.place.line >= 3));
    }

    #[test]
    fn aliases_do_not_multiply_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(documents(&text).1.is_some());
    }
}
