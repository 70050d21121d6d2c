//! A server that speaks TLS.

use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use reqwest::{Certificate, Client, Version};

use super::server::{API_KEY, Server, event_now, guard_server, run};

const NAMES: [&str; 2] = [
    "NEURAL_GUARD__SERVER__TLS__CERTIFICATE",
    "NEURAL_GUARD__SERVER__TLS__KEY",
];

/// Writes a new certificate and its key; gives the certificate.
pub(crate) fn write_pair(folder: &Path) -> Certificate {
    let names = ["127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    Certificate::from_der(cert.der()).unwrap()
}

/// A client that trusts this certificate alone, and has connected to nobody yet.
pub(crate) fn client(certificate: &Certificate) -> Client {
    Client::builder()
        .tls_certs_only([certificate.clone()])
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

fn start(folder: &Path) -> Server {
    Server::start(folder, &[(NAMES[0], "cert.pem"), (NAMES[1], "key.pem")])
}

async fn status(client: &Client, server: &Server, path: &str) -> Result<u16, reqwest::Error> {
    let answer = client.get(server.url(path)).send().await?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn events_come_over_tls_by_http_2_and_http_1() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_pair(folder.path());
    let server = start(folder.path());
    assert!(server.address.starts_with("https://127.0.0.1:"));
    let old = Client::builder()
        .tls_certs_only([certificate.clone()])
        .http1_only()
        .build()
        .unwrap();
    for (client, version) in [
        (client(&certificate), Version::HTTP_2),
        (old, Version::HTTP_11),
    ] {
        let answer = client
            .post(server.url("/events"))
            .bearer_auth(API_KEY)
            .header("content-type", "application/json")
            .body(event_now("anomaly_detected", "{}"))
            .send()
            .await
            .unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert_eq!(
            answer.headers()["strict-transport-security"],
            "max-age=31536000"
        );
    }
    let metrics = client(&certificate)
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("neural_guard_tls_certificate_expiry_timestamp_seconds "))
        .unwrap();
    // What the library writes if nobody says when: the year 4096.
    let end: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((6.7e10..6.8e10).contains(&end), "{line}");
}

#[tokio::test]
async fn who_speaks_no_tls_or_nothing_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_pair(folder.path());
    let environment = [
        (NAMES[0], "cert.pem"),
        (NAMES[1], "key.pem"),
        ("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", "300ms"),
    ];
    let server = Server::start(folder.path(), &environment);
    let plain = server.url("/health/live").replace("https:", "http:");
    assert!(server.client.get(plain).send().await.is_err());
    let address = server.address.strip_prefix("https://").unwrap();
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut byte);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "it is still open");
    assert_eq!(
        status(&client(&certificate), &server, "/health/live")
            .await
            .unwrap(),
        200
    );
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let server = start(folder.path());
    let connected = client(&first);
    assert_eq!(
        status(&connected, &server, "/health/live").await.unwrap(),
        200
    );

    let second = write_pair(folder.path());
    server.signal("HUP");
    until_seen(&server, &second).await;
    assert_eq!(
        status(&connected, &server, "/health/live").await.unwrap(),
        200,
        "its connection is still that of before"
    );
    assert!(
        status(&client(&first), &server, "/health/live")
            .await
            .is_err()
    );

    // Without a word, by the change of the files alone; half of a pair changes nothing.
    let key = std::fs::read(folder.path().join("key.pem")).unwrap();
    let third = write_pair(folder.path());
    let right_key = std::fs::read(folder.path().join("key.pem")).unwrap();
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    server.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        status(&client(&second), &server, "/health/live")
            .await
            .unwrap(),
        200
    );
    std::fs::write(folder.path().join("key.pem"), right_key).unwrap();
    until_seen(&server, &third).await;
}

/// Waits until new connections see a certificate.
async fn until_seen(server: &Server, certificate: &Certificate) {
    let begun = Instant::now();
    while status(&client(certificate), server, "/health/live")
        .await
        .is_err()
    {
        assert!(begun.elapsed() < Duration::from_secs(15), "it is not shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn what_is_wrong_with_the_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |certificate: &str, key: &str| {
        let mut command = guard_server(folder.path());
        command.arg("check-config");
        for (name, value) in NAMES.iter().zip([certificate, key]) {
            if !value.is_empty() {
                command.env(name, value);
            }
        }
        let (code, out, error) = run(&mut command);
        (code, out + &error)
    };
    let refused = |certificate: &str, key: &str, words: &[&str]| {
        let (code, text) = told(certificate, key);
        assert_eq!(code, 1, "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
    };
    write_pair(folder.path());
    std::fs::rename(
        folder.path().join("key.pem"),
        folder.path().join("other.pem"),
    )
    .unwrap();
    write_pair(folder.path());
    refused(
        "cert.pem",
        "",
        &["`server.tls.key`", "`server.tls.certificate` is"],
    );
    refused(
        "",
        "key.pem",
        &["`server.tls.certificate`", "`server.tls.key` is"],
    );
    refused(
        "gone.pem",
        "key.pem",
        &["`server.tls.certificate`", "`gone.pem`", "No such file"],
    );
    refused(
        "cert.pem",
        "gone.pem",
        &["`server.tls.key`", "`gone.pem`", "No such file"],
    );
    refused(
        "key.pem",
        "key.pem",
        &[
            "`server.tls.certificate`",
            "`key.pem`",
            "no certificate in it",
        ],
    );
    refused(
        "cert.pem",
        "cert.pem",
        &["`server.tls.key`", "`cert.pem`", "no private key in it"],
    );
    refused(
        "cert.pem",
        "other.pem",
        &["`server.tls.key`", "`other.pem`", "does not fit"],
    );
    let (code, text) = told("cert.pem", "key.pem");
    assert!(
        code == 0 && text.contains("\"cert.pem\"") && !text.contains("warning"),
        "{text}"
    );

    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let key = KeyPair::generate().unwrap();
    let old = params.self_signed(&key).unwrap();
    std::fs::write(
        folder.path().join("old.pem"),
        old.pem() + &key.serialize_pem(),
    )
    .unwrap();
    let (code, text) = told("old.pem", "old.pem");
    assert!(
        code == 0 && text.contains("has ended, on 2020-01-01"),
        "{text}"
    );
}
