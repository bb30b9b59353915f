//! `/metrics`, `/health/live`, `/health/ready`: on a thread of its own, on loopback unless told otherwise.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Whose state is shown.
pub trait Served: Clone + Send + Sync + 'static {
    /// OpenMetrics text.
    fn metrics(&self) -> String;
    /// Why the process is not ready, if it isn't.
    fn not_ready(&self) -> Option<String>;
}

/// Binds at once, so that an address in use is an error at the start, and serves until the process ends.
pub fn serve<S: Served>(listen: SocketAddr, served: S) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("couldn't start the HTTP server")?;
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(listen))
        .with_context(|| format!("couldn't listen on {listen}: choose another with --listen, or --listen off"))?;
    let routes = Router::new()
        .route("/metrics", get(metrics::<S>))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready::<S>))
        .with_state(served);
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || runtime.block_on(async move { axum::serve(listener, routes).await }))
        .context("couldn't start the HTTP server")?;
    Ok(())
}

async fn metrics<S: Served>(State(served): State<S>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], served.metrics())
}

async fn ready<S: Served>(State(served): State<S>) -> impl IntoResponse {
    match served.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
