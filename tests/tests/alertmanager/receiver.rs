//! A receiver of posts: it takes them, refuses them, or keeps silent, as it is told. What it gets is checked on the spot.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde_json::Value;
use streamgauge_tests::clock::Stopwatch;

use crate::rules::mistakes;

/// How it answers: with a status, or `0`: not at all.
pub type Status = u16;

#[derive(Clone, Debug)]
pub struct Post {
    pub status: Status,
    pub authorization: Option<String>,
    pub alerts: Vec<Value>,
}

#[derive(Debug, Default)]
struct Seen {
    status: Status,
    posts: Vec<Post>,
    mistakes: Vec<String>,
    /// What Alertmanager has told by its webhook.
    notified: Vec<Value>,
}

type Serving = (tokio::sync::oneshot::Sender<()>, JoinHandle<()>);

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: Arc<Mutex<Option<Serving>>>,
}

impl Receiver {
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Self {
            address: listener.local_addr()?,
            seen: Arc::new(Mutex::new(Seen { status: 200, ..Seen::default() })),
            serving: Arc::default(),
        };
        receiver.serve(listener)?;
        Ok(receiver)
    }

    fn serve(&self, listener: TcpListener) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        listener.set_nonblocking(true)?;
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
        let routes = Router::new()
            .route("/api/v2/alerts", post(take))
            .route("/notified", post(notified))
            .with_state(self.seen.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, routes) => {}
                    _ = stopped => {}
                }
            });
        });
        *self.serving.lock().expect("no thread has panicked") = Some((stop, thread));
        Ok(())
    }

    /// Nothing listens any more, and what was connected is no longer.
    pub fn stop(&self) {
        if let Some((stop, thread)) = self.serving.lock().expect("no thread has panicked").take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// At the same address again.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.serve(TcpListener::bind(self.address).context("the port was taken meanwhile")?)
    }

    pub fn answer(&self, status: Status) {
        self.seen.lock().expect("no thread has panicked").status = status;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Posts so far, empty ones included. None of them has a mistake.
    pub fn posts(&self) -> anyhow::Result<Vec<Post>> {
        let seen = self.seen.lock().expect("no thread has panicked");
        ensure!(seen.mistakes.is_empty(), "bodies that are wrong: {:#?}", seen.mistakes);
        Ok(seen.posts.clone())
    }

    /// Alerts of an SLO that were accepted.
    pub fn accepted(&self, slo: &str) -> anyhow::Result<Vec<Value>> {
        let posts = self.posts()?.into_iter().filter(|post| post.status == 200);
        Ok(posts.flat_map(|post| post.alerts).filter(|alert| alert["labels"]["slo"] == slo).collect())
    }

    pub fn notifications(&self) -> Vec<Value> {
        self.seen.lock().expect("no thread has panicked").notified.clone()
    }
}

async fn take(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = {
        let mut seen = seen.lock().expect("no thread has panicked");
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if text(header::CONTENT_TYPE).as_deref() != Some("application/json") {
            seen.mistakes.push("the content type is not application/json".to_owned());
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        seen.mistakes.extend(mistakes(&body));
        let alerts = body.as_array().cloned().unwrap_or_default();
        let status = seen.status;
        seen.posts.push(Post { status, authorization: text(header::AUTHORIZATION), alerts });
        status
    };
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    StatusCode::from_u16(status).unwrap_or(StatusCode::GATEWAY_TIMEOUT)
}

async fn notified(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    seen.lock().expect("no thread has panicked").notified.push(body);
    StatusCode::OK
}

/// Tries again until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let since = Stopwatch::start();
    while since.elapsed() < Duration::from_secs(40) {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    bail!("not within 40 s: {what}")
}

/// A port of this machine that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The body of an answer to GET.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer by HTTP")?;
    ensure!(head.contains(" 200 "), "{path}: {head}: {body}");
    Ok(body.to_owned())
}
