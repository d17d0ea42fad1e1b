//! One YAML file as a tree whose nodes know their file, line and dotted key.
//!
//! Merge keys (`<<: *base`) are applied; a key that stands twice in one mapping is an error.

use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;

use super::lines::{Inner, Lines};
use super::problem::{Place, Problems};
use super::yaml::Yaml;

/// A value and where it stands. No `Debug`: it may hold secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
    /// The environment variable that the value was taken from.
    pub(super) variable: Option<String>,
}

/// A node's value.
#[derive(Clone)]
pub(super) enum Content {
    Null,
    /// A variable that is not set was to be here: an error is noted already.
    Missing,
    Bool(bool),
    Number(f64, String),
    Text(String),
    List(Vec<Node>),
    /// Keys are unique; in the order of the file.
    Mapping(Vec<(String, Node)>),
}

impl Node {
    /// The value of `key`, if this is a mapping that has it; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(name, _)| name == key)?;
        Some(&found.1).filter(|node| !matches!(node.content, Content::Null))
    }

    /// The entries of a mapping; none if it is none.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// What the value is, for messages; never the value.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null | Content::Missing => "null",
            Content::Bool(_) => "a boolean",
            Content::Number(..) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

/// Parses the text of `file`; `None` after an error that leaves nothing to check.
pub(super) fn parse(file: &Path, text: &str, problems: &mut Problems) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Rc<Path> = file.into();
    match serde_yaml::from_str::<Yaml>(text) {
        Ok(value) => {
            let lines = Lines::of(text);
            let root = lines.as_ref().map(|(_, root)| *root);
            // The lines of a text with keys that are no text are lost: say none rather than a wrong one.
            let line = usize::from(root.is_some());
            let mut planter = Planter { lines: lines.as_ref().map(|(lines, _)| lines), problems };
            Some(planter.plant(value, root, Place { file, line, key: String::new() }))
        }
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let mut message = error.to_string();
            if message.contains("invalid value") {
                message = "a value does not fit its tag".into(); // the parser's words would show the value
            }
            let place = Place { file, line, key: String::new() };
            problems.error(&place, format!("is no valid YAML: {message}"));
            None
        }
    }
}

/// Joins values and lines.
struct Planter<'a> {
    lines: Option<&'a Lines>,
    problems: &'a mut Problems,
}

impl Planter<'_> {
    /// The node of `value`, whose lines stand at `index`. The line of `place` is where the value is
    /// spoken of: at its key, or for an item at the item.
    fn plant(&mut self, value: Yaml, index: Option<usize>, place: Place) -> Node {
        let content = match value {
            Yaml::Null => Content::Null,
            Yaml::Bool(value) => Content::Bool(value),
            Yaml::Number(value, text) => Content::Number(value, text),
            Yaml::Text(text) => Content::Text(text),
            Yaml::List(items) => Content::List(self.list(items, index, &place, Place::item)),
            Yaml::Mapping(entries) => Content::Mapping(self.mapping(entries, index, &place)),
        };
        Node { place, content, variable: None }
    }

    fn list(
        &mut self,
        items: Vec<Yaml>,
        index: Option<usize>,
        place: &Place,
        place_of: fn(&Place, usize, usize) -> Place,
    ) -> Vec<Node> {
        let lined = index.and_then(|index| self.lines?.get(index)).map(|lined| &lined.inner);
        let mut nodes = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let inner = match lined {
                Some(Inner::List(inner)) => inner.get(at).copied(),
                _ => None,
            };
            let line = inner
                .and_then(|inner| self.lines?.get(inner))
                .map_or(place.line, |lined| lined.line);
            nodes.push(self.plant(item, inner, place_of(place, at, line)));
        }
        nodes
    }

    fn mapping(
        &mut self,
        entries: Vec<(Yaml, Yaml)>,
        index: Option<usize>,
        place: &Place,
    ) -> Vec<(String, Node)> {
        let lined = index.and_then(|index| self.lines?.get(index)).map(|lined| &lined.inner);
        let (mut nodes, mut merged) = (Vec::with_capacity(entries.len()), Vec::new());
        let mut seen = HashSet::new();
        for (at, (key, value)) in entries.into_iter().enumerate() {
            let (line, inner) = match lined {
                Some(Inner::Mapping(inner)) => {
                    inner.get(at).map_or((place.line, None), |(l, n)| (*l, Some(*n)))
                }
                _ => (place.line, None),
            };
            let key = match key {
                Yaml::Text(text) | Yaml::Number(_, text) => text,
                Yaml::Bool(value) => value.to_string(),
                Yaml::Null | Yaml::List(_) | Yaml::Mapping(_) => {
                    self.problems.error(
                        &place.at(line),
                        "has a key that is no text; write a word in front of `:`",
                    );
                    continue;
                }
            };
            let place = place.entry(&key, line);
            if !seen.insert(key.clone()) {
                self.problems.error(&place, "stands twice in this mapping; keep one of the two");
            } else if key == "<<" {
                // A merged key is spoken of as this mapping's, on the line where it is written.
                let place = Place {
                    key: place.key.trim_end_matches("<<").trim_end_matches('.').into(),
                    ..place
                };
                match value {
                    Yaml::List(items) => {
                        merged.extend(
                            self.list(items, inner, &place, |place, _, line| place.at(line)),
                        )
                    }
                    value => merged.push(self.plant(value, inner, place)),
                }
            } else {
                nodes.push((key, self.plant(value, inner, place)));
            }
        }
        // YAML's merge key: what the mapping does not say itself; the first of several sources wins.
        for source in merged {
            let Content::Mapping(entries) = source.content else {
                self.problems.error(&source.place, "`<<` takes a mapping or a list of mappings");
                continue;
            };
            nodes.extend(entries.into_iter().filter(|(key, _)| seen.insert(key.clone())));
        }
        nodes
    }
}
