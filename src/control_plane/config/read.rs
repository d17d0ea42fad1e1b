//! Typed reads of nodes. Each tells what was wanted; none shows a value that may be secret.

use super::document::{Content, Node};
use super::problem::Problems;

impl Node {
    /// Text; a number counts as the text it was written as.
    pub(super) fn text(&self, problems: &mut Problems) -> Option<String> {
        match &self.content {
            Content::Text(text) | Content::Number(_, text) => Some(text.clone()),
            Content::Missing => None,
            _ => {
                problems.error(
                    &self.place,
                    format!("must be text, not {}; put it in quotes", self.kind()),
                );
                None
            }
        }
    }

    /// Text that is not empty and holds no control character.
    pub(super) fn line_of_text(&self, problems: &mut Problems) -> Option<String> {
        let text = self.text(problems)?;
        if text.trim().is_empty() {
            problems.error(&self.place, "is empty");
            None
        } else if text.chars().any(char::is_control) {
            problems
                .error(&self.place, "holds a line break or another control character; remove it");
            None
        } else {
            Some(text)
        }
    }

    /// Text that may go into a header field: visible ASCII, no spaces. For secrets: never shown.
    pub(super) fn token(&self, problems: &mut Problems) -> Option<String> {
        let text = self.text(problems)?;
        if text.is_empty() {
            problems.error(&self.place, "is empty");
            None
        } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some(text)
        } else {
            let message =
                "holds a space, a line break, or another byte that is no visible ASCII; remove it";
            problems.error(&self.place, message);
            None
        }
    }

    /// A [`Node::token`] that is written as text: a number would be changed in the reading (`0x1f`, `1e5`).
    pub(super) fn quoted_token(&self, problems: &mut Problems) -> Option<String> {
        if let Content::Number(..) = self.content {
            problems.error(
                &self.place,
                "is a number; put it in quotes, so that it is taken as written",
            );
            return None;
        }
        self.token(problems)
    }

    /// A finite number of at least 0, or text that reads as one.
    pub(super) fn amount(&self, problems: &mut Problems) -> Option<f64> {
        let number = match &self.content {
            Content::Number(number, _) => Some(*number),
            Content::Text(text) => text.trim().parse().ok(),
            Content::Missing => return None,
            _ => None,
        };
        match number.filter(|number| number.is_finite()) {
            None => problems.error(&self.place, format!("must be a number, not {}", self.kind())),
            Some(number) if number < 0.0 => problems.error(&self.place, "must not be negative"),
            Some(number) => return Some(number),
        }
        None
    }

    /// A boolean, or text that LiteLLM's users write for one.
    pub(super) fn flag(&self, problems: &mut Problems) -> Option<bool> {
        let flag = match &self.content {
            Content::Bool(flag) => Some(*flag),
            Content::Text(text) => flag(text),
            Content::Missing => return None,
            _ => None,
        };
        if flag.is_none() {
            problems.error(&self.place, "must be true or false");
        }
        flag
    }

    /// The value for a message; for one out of a variable the variable's name, for who knows what it holds.
    pub(super) fn shown(&self) -> String {
        match (&self.variable, &self.content) {
            (Some(name), _) => format!("the value of {name}"),
            (None, Content::Text(text) | Content::Number(_, text))
                if text.chars().count() <= 80 =>
            {
                format!("`{}`", text.escape_debug())
            }
            _ => "the value".into(),
        }
    }
}

/// true or false, in the words that YAML 1.1 (LiteLLM's) or an environment has for them.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" | "" => Some(false),
        _ => None,
    }
}

/// Whether a `/`-separated part of `text` is `..`, which a path would climb by.
pub(super) fn climbs(text: &str) -> bool {
    text.split('/').any(|part| part == "..")
}
