//! What is wrong with a configuration, and where: file, line, key.

use std::fmt;
use std::path::PathBuf;

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
