//! What was spent: `GET /global/spend/report` and `GET /spend/logs`.
//!
//! Paths and parameters are LiteLLM's, as far as Outcrop has what they name. Where it differs: the report
//! groups by `model` unless told otherwise (there are no teams, LiteLLM's default), and a list of rows is
//! a list of rows, whatever dates are given, unless `summarize=true` asks for days.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Response, Uri},
    response::IntoResponse,
};

use super::{desk::Desk, parameters::Parameters, refusal::Refusal};
use crate::{
    control_plane::spend::{GroupBy, LogsQuery, ReportQuery},
    limits::{LOG_ROWS_DEFAULT, LOG_ROWS_MAX},
};

/// `GET /global/spend/report?group_by=model|deployment|api_key|day&start_date=&end_date=`: the JSON of
/// [`crate::control_plane::spend::Report`].
pub(super) async fn report(State(desk): State<Desk>, uri: Uri) -> Result<Response<Body>, Refusal> {
    let parameters = Parameters::of(&uri, &["group_by", "start_date", "end_date"])?;
    let allowed = "model, deployment, api_key or day";
    let group_by = parameters.word("group_by", GroupBy::from_word, allowed)?;
    let (start, end) = parameters.days()?;
    let query = ReportQuery { group_by: group_by.unwrap_or(GroupBy::Model), start, end };
    Ok(Json(desk.spend()?.report(&query).await?).into_response())
}

/// `GET /spend/logs?api_key=&request_id=&start_date=&end_date=&limit=&summarize=`: a list of rows, newest
/// first; with `summarize=true` a list of days, as the report's `data`.
pub(super) async fn logs(State(desk): State<Desk>, uri: Uri) -> Result<Response<Body>, Refusal> {
    const KNOWN: [&str; 6] =
        ["api_key", "request_id", "start_date", "end_date", "limit", "summarize"];
    let parameters = Parameters::of(&uri, &KNOWN)?;
    let (start, end) = parameters.days()?;
    let flag = |value: &str| match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    let limit = |value: &str| {
        let rows = value.parse().ok()?;
        (1..=LOG_ROWS_MAX).contains(&rows).then_some(rows)
    };
    let summarize = parameters.word("summarize", flag, "true or false")?.unwrap_or(false);
    let allowed = format!("a number from 1 to {LOG_ROWS_MAX}");
    let limit = parameters.word("limit", limit, &allowed)?.unwrap_or(LOG_ROWS_DEFAULT);
    if summarize {
        if let Some(name) =
            ["api_key", "request_id"].iter().find(|name| parameters.text(name).is_some())
        {
            let why = format!("{name} picks rows, and summarize=true has none: leave one out.");
            return Err(Refusal::bad_request(why));
        }
        let query = ReportQuery { group_by: GroupBy::Day, start, end };
        return Ok(Json(desk.spend()?.report(&query).await?.data).into_response());
    }
    let owned = |name| parameters.text(name).map(str::to_owned);
    let query = LogsQuery {
        api_key: owned("api_key").map(|key| desk.key_name(key)),
        request_id: owned("request_id"),
        start,
        end,
        limit,
    };
    Ok(Json(desk.spend()?.logs(&query).await?).into_response())
}
