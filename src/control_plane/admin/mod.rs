//! The pages that Outcrop answers itself: some rendered when a snapshot is made, the others here, on demand.
//!
//! ```text
//!   core ── errand ──▶ serve ── http::Request ──▶ axum Router ── Desk ──▶ store, metrics, prices
//!        ◀── page ───        ◀── Response ──────
//! ```
//!
//! An axum router, called as a function: HTTP itself is the core's business, which has checked key, method,
//! path and length already. Every answer is bounded, and so is the time that it may take. An error is
//! shaped as AWS's: `{"message": …}` with `x-amzn-errortype`.

mod calculate;
mod desk;
mod health;
mod models;
mod pages;
mod parameters;
mod price_list;
mod probe;
mod refusal;
mod spend;
#[cfg(test)]
mod tests;
mod usage;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, header},
    response::IntoResponse,
    routing::{get, post},
};
use http_body_util::{BodyExt, Limited};
use tokio::{task::JoinSet, time::timeout};
use tower::ServiceExt;

pub use desk::{Desk, Knowledge, Metrics, Pending, Spend, Unavailable};
pub use pages::{pages, ready_page};
pub use price_list::PriceList;

use crate::{
    bedrock::operation::AdminPage,
    boundary::errand::{ErrandReader, Page, Question},
    limits::{ERRAND_MS_MAX, ERRANDS_AT_ONCE_MAX, PAGE_BYTES_MAX},
};
use refusal::{ERROR_TYPE, Refusal};

/// Of Prometheus's text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every page, at this desk.
pub fn router(desk: Desk) -> Router {
    let mut router = Router::new();
    for page in AdminPage::ALL {
        let method = match page {
            AdminPage::Metrics => get(metrics),
            AdminPage::SpendLogs => get(spend::logs),
            AdminPage::SpendReport => get(spend::report),
            AdminPage::SpendCalculate => post(calculate::calculate),
            AdminPage::Health => get(health::health),
            AdminPage::ModelInfo => get(models::model_info),
            AdminPage::ModelGroupInfo => get(models::model_group_info),
        };
        router = router.route(page.path(), method);
    }
    router.with_state(desk)
}

async fn metrics(State(desk): State<Desk>) -> Response<Body> {
    let text = desk.metrics.text().await;
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response()
}

/// Answers errands until every core has ended.
pub async fn serve(mut errands: ErrandReader, desk: Desk) {
    let router = router(desk);
    let mut under_way = JoinSet::new();
    while let Some(errand) = errands.recv().await {
        while under_way.len() >= ERRANDS_AT_ONCE_MAX {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {} // or those that are done would pile up
        let (question, asker) = errand.take();
        if asker.is_gone() {
            continue;
        }
        let router = router.clone();
        under_way.spawn(async move {
            // Nobody waits longer than this.
            let limit = Duration::from_millis(ERRAND_MS_MAX);
            if let Ok(page) = timeout(limit, answer(router, question)).await {
                asker.answer(page);
            }
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// The page to one question.
pub async fn answer(router: Router, question: Question) -> Page {
    let request = Request::builder()
        .method(question.method)
        .uri(question.target)
        .body(Body::from(question.content));
    let response = match request {
        Ok(request) => router.oneshot(request).await.unwrap_or_else(|never| match never {}),
        Err(_) => Refusal::bad_request("The request target is no valid URI.").into_response(),
    };
    match collect(response).await {
        Ok(page) => page,
        Err(refusal) => collect(refusal.into_response()).await.unwrap_or_else(|_| Page {
            status: 500,
            content_type: "application/json".to_owned(),
            error_type: None,
            content: "{}".into(),
        }),
    }
}

async fn collect(response: Response<Body>) -> Result<Page, Refusal> {
    let (head, body) = response.into_parts();
    let field = |name: &str| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let page = Page {
        status: head.status.as_u16(),
        content_type: field("content-type").unwrap_or_else(|| "application/json".to_owned()),
        error_type: field(ERROR_TYPE),
        content: Limited::new(body, PAGE_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| Refusal::too_large())?
            .to_bytes(),
    };
    Ok(page)
}
