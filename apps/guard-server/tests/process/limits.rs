//! Servers that share the limits of sources in a Redis.

use guard_testkit::redis_server::RedisServer;

use super::server::{API_KEY, Server, event_now};

async fn post(server: &Server) -> u16 {
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now("anomaly_detected", "{}"));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn instances_share_limits_and_outlive_their_redis() {
    let mut redis = RedisServer::start().unwrap_or_else(|why| panic!("{why}"));
    let url = redis.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("NEURAL_GUARD__REDIS__TIMEOUT", "2s"),
        ("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "4"),
        ("NEURAL_GUARD__RATE_LIMIT__WINDOW", "1h"),
    ];
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] =
        [&folders[0], &folders[1]].map(|folder| Server::start(folder.path(), &environment));
    for (server, status) in [(&one, 200), (&two, 200), (&one, 200), (&two, 200)] {
        assert_eq!(post(server).await, status);
    }
    assert_eq!((post(&one).await, post(&two).await), (429, 429));

    redis.kill();
    assert_eq!(
        (post(&one).await, post(&two).await),
        (200, 200),
        "each counts for itself"
    );
    let metrics = one.client.get(one.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("neural_guard_rate_limiter_fallbacks_total 1"),
        "{metrics}"
    );
}
