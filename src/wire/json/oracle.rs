//! The same values by way of serde_json's tree: slow, recursive, and written by others.

use serde_json::Value;

use super::{Path, Paths, Step, Take};

/// What each path of the table gives in `document`.
pub(super) fn values(paths: Paths, document: &Value) -> Vec<Option<u64>> {
    paths.list().iter().map(|path| value(paths, path, document)).collect()
}

fn value(paths: Paths, path: &Path, document: &Value) -> Option<u64> {
    let Some(each) = path.each() else { return scalar(path.take, walk(document, path.steps)?) };
    let elements = walk(document, &path.steps[..each])?.as_array()?;
    let inner = &path.steps[each + 1..];
    let numbers = elements.iter().filter_map(|element| {
        if let Take::NumberIf { guard, equals } = path.take {
            let guard = paths.list().iter().find(|path| path.label == guard)?;
            let word = scalar(guard.take, walk(element, &guard.steps[each + 1..])?)?;
            (word == equals).then_some(())?;
        }
        scalar(path.take, walk(element, inner)?)
    });
    match path.take {
        Take::Count => Some(elements.len() as u64),
        Take::Word(_) => None,
        Take::Number | Take::NumberIf { .. } => numbers.reduce(u64::saturating_add),
    }
}

fn walk<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(*key),
        Step::Each => None,
    })
}

fn scalar(take: Take, value: &Value) -> Option<u64> {
    match take {
        Take::Word(words) => {
            let text = value.as_str()?;
            Some(words.iter().position(|word| *word == text).unwrap_or(words.len()) as u64)
        }
        Take::Count => None,
        Take::Number | Take::NumberIf { .. } => {
            let number = value.as_number()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, and the sign was looked at"
            )]
            let cut = |float: f64| (float >= 0.0).then_some(float as u64);
            number.as_u64().or_else(|| number.as_f64().and_then(cut))
        }
    }
}
