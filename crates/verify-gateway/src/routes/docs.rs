//! `/openapi.json`, and `/docs`, a page that shows it.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::answers::Keyed;
use crate::app::{App, Desk};
use crate::openapi::Document;
use crate::page;

/// The OpenAPI 3.1 document of these routes.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "host",
    responses(
        (status = 200, description = "The document.", content_type = "application/json"),
        Keyed,
    )
)]
pub(super) async fn openapi(_: Desk, Extension(document): Extension<Document>) -> Response {
    document.into_response()
}

/// A page that shows the OpenAPI document.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "host",
    responses(
        (status = 200, description = "The page.", content_type = "text/html"),
        Keyed,
    )
)]
pub(super) async fn docs(_: Desk, Extension(document): Extension<Document>) -> Response {
    page::html(&document.page())
}

/// What the page loads. It holds nothing of this installation, and a page cannot send a key along.
pub(super) fn assets() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/docs/docs.js",
            get(|| async { page::script(include_str!("../../assets/docs.js")) }),
        )
        .route(
            "/docs/style.css",
            get(|| async { page::style(include_str!("../../assets/style.css")) }),
        )
}
