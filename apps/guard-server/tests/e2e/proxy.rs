//! What stands between the guard and n8n: it sees every delivery, and can repeat one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use reqwest::Client;
use serde_json::Value;

/// A delivery that passed.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) execution: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// The proxy: the guard calls it instead of n8n.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    inner: Arc<Inner>,
}

struct Inner {
    n8n: String,
    client: Client,
    deliveries: Mutex<Vec<Delivery>>,
}

impl Proxy {
    /// A proxy in front of n8n at an address.
    pub(crate) async fn start(n8n: &str) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(Duration::from_secs(30))
            // n8n drops idle connections after 5 s.
            .pool_idle_timeout(Duration::from_secs(4))
            .build()
            .map_err(|error| error.to_string())?;
        let inner = Arc::new(Inner {
            n8n: n8n.to_owned(),
            client,
            deliveries: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let router = Router::new().fallback(pass).with_state(inner.clone());
        let (settings, stop) = Default::default();
        tokio::spawn(guard_http::serve(listener, router, settings, stop));
        Ok(Self {
            address: format!("http://{address}"),
            inner,
        })
    }

    /// The deliveries of an execution so far.
    pub(crate) fn deliveries_of(&self, execution: &str) -> Vec<Delivery> {
        let deliveries = self.inner.deliveries.lock().unwrap();
        let of_it = deliveries
            .iter()
            .filter(|delivery| delivery.execution == execution);
        of_it.cloned().collect()
    }

    /// Sends a delivery again, so many times at once; gives how many n8n took.
    pub(crate) async fn repeat(&self, delivery: &Delivery, times: usize) -> usize {
        let send = || {
            self.inner.send(
                Method::POST,
                &delivery.path,
                &delivery.headers,
                &delivery.body,
            )
        };
        let answers = join_all((0..times).map(|_| send())).await;
        answers
            .iter()
            .filter(|answer| {
                answer
                    .as_ref()
                    .is_ok_and(|answer| answer.status().is_success())
            })
            .count()
    }
}

impl Inner {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.n8n);
        let mut passed = headers.clone();
        for own in ["host", "content-length", "connection", "transfer-encoding"] {
            passed.remove(own);
        }
        let request = self.client.request(method, url).headers(passed);
        request.body(body.clone()).send().await
    }
}

async fn pass(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if method == Method::POST {
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        let execution = read["neural_guard"]["execution_id"].as_str().unwrap_or("");
        inner.deliveries.lock().unwrap().push(Delivery {
            execution: execution.to_owned(),
            path: path.to_owned(),
            headers: headers.clone(),
            body: body.clone(),
        });
    }
    match inner.send(method, path, &headers, &body).await {
        Ok(answer) => {
            let status = answer.status();
            let bytes = answer.bytes().await.unwrap_or_default();
            (status, bytes).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
