//! `include`: one configuration out of several files.
//!
//! As LiteLLM reads it: paths are relative to the file that names them; a list of an included file is
//! appended to the list of the same key; any other value replaces the one that stood there.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::document::{Content, Node, parse};
use super::problem::{Place, Problems};

/// How a file is read; tests have none on a disk.
pub(super) type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// The file at `path` with all that it includes; `None` after an error that leaves nothing to check.
pub(super) fn read(path: &Path, read_file: ReadFile<'_>, problems: &mut Problems) -> Option<Node> {
    let place = Place { file: path.into(), line: 0, key: String::new() };
    Reader { read_file, seen: HashSet::new(), problems }.read(path, &place)
}

struct Reader<'a> {
    read_file: ReadFile<'a>,
    seen: HashSet<PathBuf>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// `place` is what names the file.
    fn read(&mut self, path: &Path, place: &Place) -> Option<Node> {
        let problems = &mut *self.problems;
        let text = match (self.read_file)(path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                problems.error(place, format!("{} is not UTF-8 text", path.display()));
                return None;
            }
            Err(error) => {
                problems.error(place, format!("cannot read {}: {error}", path.display()));
                return None;
            }
        };
        self.seen.insert(identity(path));
        let mut root = parse(path, &text, problems)?;
        if let Content::Null = root.content {
            let message = "is empty; it must hold a mapping with `model_list`";
            if place.line == 0 {
                problems.error(&root.place, message);
            } else {
                problems.warning(&root.place, "is empty");
            }
            return None;
        }
        let kind = root.kind();
        let Content::Mapping(entries) = &mut root.content else {
            problems.error(
                &root.place,
                format!("must hold a mapping with keys such as `model_list`, not {kind}"),
            );
            return None;
        };
        let include =
            entries.iter().position(|(key, _)| key == "include").map(|at| entries.remove(at).1);
        for (path, place) in
            include.map(|include| paths(&include, path, problems)).unwrap_or_default()
        {
            if self.seen.contains(&identity(&path)) {
                self.problems
                    .warning(&place, format!("{} is read already; skipped", path.display()));
            } else if let Some(included) = self.read(&path, &place) {
                overlay(entries, included, self.problems);
            }
        }
        Some(root)
    }
}

/// What tells one file from another, by whatever path it is reached.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

/// The files that `include` names, each with its place.
fn paths(include: &Node, declaring: &Path, problems: &mut Problems) -> Vec<(PathBuf, Place)> {
    let folder = declaring.parent().unwrap_or(Path::new(""));
    let items = match &include.content {
        Content::List(items) => items.as_slice(),
        Content::Null => &[],
        _ => {
            problems
                .error(&include.place, format!("must be a list of files, not {}", include.kind()));
            &[]
        }
    };
    let mut paths = Vec::new();
    for item in items {
        match &item.content {
            Content::Text(path) if !path.is_empty() => {
                paths.push((folder.join(path), item.place.clone()))
            }
            _ => problems
                .error(&item.place, format!("must be the path of a file, not {}", item.kind())),
        }
    }
    paths
}

/// Lays an included file over what stands already.
fn overlay(entries: &mut Vec<(String, Node)>, included: Node, problems: &mut Problems) {
    let Content::Mapping(news) = included.content else { return };
    for (key, new) in news {
        let Some((_, old)) = entries.iter_mut().find(|(name, _)| *name == key) else {
            entries.push((key, new));
            continue;
        };
        match (&mut old.content, new.content) {
            (Content::List(olds), Content::List(news)) => olds.extend(news),
            (_, content) => {
                if let Content::Mapping(_) = old.content {
                    let by = format!("{}:{}", new.place.file.display(), new.place.line);
                    problems.warning(
                        &old.place,
                        format!("is replaced as a whole by {by}, which is included"),
                    );
                }
                *old = Node { content, ..new };
            }
        }
    }
}
