//! The line of each node of a YAML text.
//!
//! serde_yaml tells positions only in errors. So each node is asked for twice: first as an enum, which
//! no node without a tag can be, so that the parser answers with an error that names the node's position
//! and leaves the node unread; then for what it is. One pass, however many lines are wanted.
//!
//! An alias (`*name`) is the exception: the failed question consumes it, and names the position of its
//! target. Positions of nodes only grow, hence a position that does not grow is an alias; as an item of
//! a list it is thus said to stand where its target does. Invariants that this needs: each node is met
//! (so a key that is a list or a mapping ends the walk), no tags (the caller refuses them), and no node at
//! line 0, column 0, which errors leave out (a line is put in front). Should a later serde_yaml differ,
//! lines are lost, not values: a second tree, [`super::document`]'s, holds those.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

/// All nodes of a text; an alias is the node that it names.
#[derive(Default)]
pub(super) struct Lines {
    nodes: Vec<Lined>,
    by_position: HashMap<Position, usize>,
    last: Position,
    asked: usize,
    asked_max: usize,
}

/// A node without its value.
pub(super) struct Lined {
    /// Where it starts, from 1.
    pub(super) line: usize,
    /// What it holds, in the text's order.
    pub(super) inner: Inner,
}

/// Indices are for [`Lines::get`].
pub(super) enum Inner {
    Scalar,
    List(Vec<usize>),
    /// The line of each key, and its value.
    Mapping(Vec<(usize, usize)>),
}

/// Line and column as the parser writes them in its errors.
type Position = (usize, usize);

/// How the parser answered to the question that no node can answer.
enum Met {
    Alias(usize),
    New(Position),
}

impl Lines {
    /// The lines of `text`, which holds one document without tags; and the index of its root.
    /// `None` if the parser does not behave as this module's first lines say.
    pub(super) fn of(text: &str) -> Option<(Self, usize)> {
        let text = format!("\n{text}");
        let mut lines = Self { asked_max: 2 * text.len(), ..Self::default() };
        let deserializer = serde_yaml::Deserializer::from_str(&text);
        let root = Walk { lines: &mut lines, position: (2, 1) }.deserialize(deserializer).ok()?;
        Some((lines, root))
    }

    /// The node that `index` stands for.
    pub(super) fn get(&self, index: usize) -> Option<&Lined> {
        self.nodes.get(index)
    }

    /// Judges the parser's error. `first_key`: a block mapping starts where its first key does.
    fn meet<E: serde::de::Error>(&mut self, error: &E, first_key: bool) -> Result<Met, E> {
        let text = error.to_string();
        let lost = || E::custom("a position is missing");
        self.asked += 1; // a parser that consumed nothing would be asked for ever
        let position = position(&text).filter(|_| self.asked <= self.asked_max).ok_or_else(lost)?;
        if position > self.last || (position == self.last && first_key) {
            self.last = position;
            return Ok(Met::New(position));
        }
        self.by_position.get(&position).copied().map(Met::Alias).ok_or_else(lost)
    }

    /// A place for the node at `position`, before its inner nodes take theirs.
    fn enter(&mut self, position: Position) -> usize {
        let line = position.0.saturating_sub(1).max(1); // a line was put in front
        self.nodes.push(Lined { line, inner: Inner::Scalar });
        let index = self.nodes.len() - 1;
        self.by_position.insert(position, index);
        index
    }
}

/// `… at line 3 column 5`.
fn position(error: &str) -> Option<Position> {
    let (_, tail) = error.rsplit_once(" at line ")?;
    let (line, column) = tail.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The question that no node can answer.
struct Ask;

impl<'de> DeserializeSeed<'de> for Ask {
    type Value = Infallible;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Infallible, D::Error> {
        deserializer.deserialize_enum("", &[], self)
    }
}

impl Visitor<'_> for Ask {
    type Value = Infallible;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a position")
    }
}

/// Reads the node at `position`; yields its index.
struct Walk<'a> {
    lines: &'a mut Lines,
    position: Position,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn scalar<E>(self) -> Result<usize, E> {
        Ok(self.lines.enter(self.position))
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a node without a tag")
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_i128<E>(self, _: i128) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_u128<E>(self, _: u128) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_unit<E>(self) -> Result<usize, E> {
        self.scalar()
    }
    fn visit_none<E>(self) -> Result<usize, E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let Self { lines, position } = self;
        let (index, mut inner) = (lines.enter(position), Vec::new());
        loop {
            let item = match items.next_element_seed(Ask) {
                Ok(None) => break,
                Ok(Some(never)) => match never {},
                Err(error) => match lines.meet(&error, false)? {
                    Met::Alias(target) => target,
                    Met::New(position) => {
                        let item = items.next_element_seed(Walk { lines, position })?;
                        item.ok_or_else(|| A::Error::custom("an item is missing"))?
                    }
                },
            };
            inner.push(item);
        }
        lines.nodes[index].inner = Inner::List(inner);
        Ok(index)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<usize, A::Error> {
        let Self { lines, position } = self;
        let (index, mut inner) = (lines.enter(position), Vec::new());
        loop {
            let key_line = match entries.next_key_seed(Ask) {
                Ok(None) => break,
                Ok(Some(never)) => match never {},
                Err(error) => match lines.meet(&error, inner.is_empty())? {
                    Met::Alias(target) => lines.nodes[target].line,
                    Met::New(position) => {
                        entries.next_key_seed(Key { lines, position })?;
                        position.0.saturating_sub(1).max(1)
                    }
                },
            };
            let value = match entries.next_value_seed(Ask) {
                Ok(never) => match never {},
                Err(error) => match lines.meet(&error, false)? {
                    Met::Alias(target) => target,
                    Met::New(position) => entries.next_value_seed(Walk { lines, position })?,
                },
            };
            inner.push((key_line, value));
        }
        lines.nodes[index].inner = Inner::Mapping(inner);
        Ok(index)
    }
}

/// Reads a key, which an alias may name later on.
struct Key<'a> {
    lines: &'a mut Lines,
    position: Position,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mapping = self.lines.by_position.get(&self.position).copied();
        self.lines.enter(self.position);
        if let Some(mapping) = mapping {
            self.lines.by_position.insert(self.position, mapping);
        }
        String::deserialize(deserializer).map(drop) // what a list or mapping here holds would be left unmet
    }
}
