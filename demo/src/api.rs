//! What the demo page and the tests ask and tell the server, as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::State;
use crate::faults::Fault;

/// `GET /api/titles`: what can be played, as a list of `{id, title, src, live}`.
pub(crate) async fn titles(Shared(state): Shared<Arc<State>>) -> Response {
    fresh(&json!(state.origin.titles()))
}

/// `GET /api/stats`: what the origin has sent and whom the tracker knows.
pub(crate) async fn stats(Shared(state): Shared<Arc<State>>) -> Response {
    let origin = state.origin.counters();
    let (size, sockets) = state.tracker.size();
    fresh(&json!({
        "origin": origin,
        "tracker": { "swarms": size.swarms, "peers": size.peers, "sockets": sockets },
    }))
}

/// `POST /api/stats/reset`: counts from zero again.
pub(crate) async fn reset(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.origin.reset();
    StatusCode::NO_CONTENT
}

/// A fault to inject, or with action `none` to end.
#[derive(Deserialize)]
pub(crate) struct FaultRequest {
    #[serde(default)]
    path_contains: String,
    action: String,
    seconds: Option<f64>,
}

/// `POST /api/faults`: breaks the requests whose path contains a text, for some seconds or until
/// `none`; `none` without a text ends all faults.
pub(crate) async fn faults(
    Shared(state): Shared<Arc<State>>,
    Json(request): Json<FaultRequest>,
) -> Response {
    if request.action == "none" {
        state.faults.clear(&request.path_contains);
        return StatusCode::NO_CONTENT.into_response();
    }
    let duration = match request.seconds.map(Duration::try_from_secs_f64).transpose() {
        Ok(duration) => duration,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match request.action.parse::<Fault>() {
        Ok(fault) => {
            state.faults.add(request.path_contains, fault, duration);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Whether the tracker answers.
#[derive(Deserialize)]
pub(crate) struct TrackerRequest {
    up: bool,
}

/// `POST /api/tracker`: closes all sockets and refuses new ones, or takes them again.
pub(crate) async fn tracker(
    Shared(state): Shared<Arc<State>>,
    Json(request): Json<TrackerRequest>,
) -> StatusCode {
    state.tracker.set_up(request.up);
    StatusCode::NO_CONTENT
}

fn fresh(value: &Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
