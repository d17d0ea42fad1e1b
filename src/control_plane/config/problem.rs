//! What is wrong with a configuration, and where: file, line, key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Whether a [`Problem`] stops the start.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The value is wrong: Outcrop does not start.
    Error,
    /// Outcrop starts, but something in the file has no effect, or not the expected one.
    Warning,
}

/// One finding. Its message says what is wrong and what to do; it never holds a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Whether it stops the start.
    pub severity: Severity,
    /// The file that holds the key: the one given, or one that it includes.
    pub file: PathBuf,
    /// Where in `file`, from 1; 0 if no line is to blame (the file cannot be read).
    pub line: usize,
    /// Dotted path of the key in `file`, as `model_list[2].litellm_params.aws_region_name`; may be empty.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `config.yaml:12: model_list[0].litellm_params.wieght: unknown key; did you mean `weight`? (warning)`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(out, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(out, " {}:", self.key)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(out, " {} ({severity})", self.message)
    }
}

/// What a problem can be about.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
    /// Dotted path.
    pub(super) key: String,
}

impl Place {
    /// The same key on another line.
    pub(super) fn at(&self, line: usize) -> Self {
        Self { line, ..self.clone() }
    }

    /// Entry `key` of the mapping here.
    pub(super) fn entry(&self, key: &str, line: usize) -> Self {
        let dot = if self.key.is_empty() { "" } else { "." };
        let key = key.replace(char::is_control, "?"); // a problem is one line, on whatever terminal
        Self { file: Rc::clone(&self.file), line, key: format!("{}{dot}{key}", self.key) }
    }

    /// Item `index` of the list here.
    pub(super) fn item(&self, index: usize, line: usize) -> Self {
        Self { file: Rc::clone(&self.file), line, key: format!("{}[{index}]", self.key) }
    }
}

/// All problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// The value at `place` is wrong.
    pub(super) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Error, place, message.into());
    }

    /// The value at `place` has no effect, or not the expected one.
    pub(super) fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Warning, place, message.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, message: String) {
        let (file, line, key) = (place.file.to_path_buf(), place.line, place.key.clone());
        self.0.push(Problem { severity, file, line, key, message });
    }

    /// Whether at least one is an error.
    pub(super) fn stop(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// In the order of lines, those of the file `first` before those of files that it includes.
    pub(super) fn sorted(mut self, first: &Path) -> Vec<Problem> {
        let order = |problem: &Problem| (problem.file != first, problem.file.clone(), problem.line);
        self.0.sort_by_key(order);
        self.0.dedup();
        self.0
    }
}
