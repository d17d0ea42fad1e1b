//! A query's parameters, each known and there once. What a page does not know is refused: to pass over a
//! filter would answer for more than was asked.

use axum::{extract::Query, http::Uri};

use super::refusal::Refusal;
use crate::control_plane::spend::Day;

/// What stands behind the question mark, decoded.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// All of `uri`'s, which must be among `known`.
    ///
    /// # Errors
    /// [`Refusal`], which names the parameter.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        let Query(all) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Refusal::bad_request("The query is not percent-encoded UTF-8."))?;
        for (at, (name, _)) in all.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let name = name.escape_debug();
                return Err(Refusal::bad_request(format!(
                    "{name} is no parameter of this page, which takes: {known}."
                )));
            }
            if all[..at].iter().any(|(before, _)| before == name) {
                return Err(Refusal::bad_request(format!("{name} is there twice; send it once.")));
            }
        }
        Ok(Self(all))
    }

    /// The value of one; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// One of few words.
    ///
    /// # Errors
    /// It is none of `allowed`.
    pub(super) fn word<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        allowed: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.text(name) else { return Ok(None) };
        read(value)
            .map(Some)
            .ok_or_else(|| Refusal::bad_request(format!("{name} must be {allowed}.")))
    }

    /// `start_date` and `end_date`, both included.
    ///
    /// # Errors
    /// One is no date, or they are in the wrong order.
    pub(super) fn days(&self) -> Result<(Option<Day>, Option<Day>), Refusal> {
        let date = |name| self.word(name, Day::parse, "a date, YYYY-MM-DD, from 1970-01-01 on");
        let (start, end) = (date("start_date")?, date("end_date")?);
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(Refusal::bad_request("start_date must not be after end_date."));
        }
        Ok((start, end))
    }
}
