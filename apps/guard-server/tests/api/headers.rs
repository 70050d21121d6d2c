//! What answers tell browsers.

use http::{HeaderMap, Method};

use super::harness::{ADMIN_KEY, TestApp};

/// The paths of the interface, with some id in the place of each parameter.
fn paths() -> Vec<String> {
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().keys();
    let mut filled: Vec<String> = paths
        .map(|path| {
            let parts = path.split('/').map(|part| match part.starts_with('{') {
                true => "019a0000-0000-7000-8000-000000000001",
                false => part,
            });
            parts.collect::<Vec<_>>().join("/")
        })
        .collect();
    filled.extend(["/openapi.json", "/nowhere", "/docsx", "/"].map(str::to_owned));
    filled
}

/// That a page of another origin learns nothing from an answer.
#[track_caller]
fn tells_no_other_origin(path: &str, headers: &HeaderMap) {
    let allowed = headers
        .keys()
        .find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(allowed, None, "{path}");
}

#[tokio::test]
async fn every_answer_says_what_browsers_may_do_with_it() {
    let app = TestApp::start().await;
    let mut seen = 0;
    for path in paths() {
        for (method, token) in [
            (Method::GET, ADMIN_KEY),
            (Method::GET, "wrong"),
            (Method::POST, ADMIN_KEY),
        ] {
            let origin = [("origin", "https://evil.example")];
            let answer = app.request(method, &path, token, &origin, "").await;
            let headers = &answer.headers;
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
            assert_eq!(headers["x-frame-options"], "DENY", "{path}");
            assert_eq!(headers["cache-control"], "no-store", "{path}");
            let policy = "default-src 'none'; frame-ancestors 'none'";
            assert_eq!(headers["content-security-policy"], policy, "{path}");
            assert!(!headers.contains_key("server"), "{path}");
            assert!(
                !headers.contains_key("strict-transport-security"),
                "{path}: this is not TLS"
            );
            tells_no_other_origin(&path, headers);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[tokio::test]
async fn a_preflight_is_answered_as_if_there_were_none() {
    let app = TestApp::start().await;
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    for path in paths().into_iter().chain(["/docs/".to_owned()]) {
        let answer = app
            .request(Method::OPTIONS, &path, "", &preflight, "")
            .await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        tells_no_other_origin(&path, &answer.headers);
    }
}

#[tokio::test]
async fn swagger_ui_needs_no_more_than_it_may() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").await.is(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    // Every script is a file of this server.
    let scripts: Vec<_> = page.text.split("<script").skip(1).collect();
    assert!(!scripts.is_empty(), "{}", page.text);
    for script in scripts {
        let (tag, rest) = script.split_once('>').unwrap();
        let file = tag
            .split("src=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap();
        assert!(
            rest.starts_with("</script>") || rest.trim_start().starts_with("</script>"),
            "{script}"
        );
        let file = file.trim_start_matches("./");
        assert!(!file.contains("//"), "{file}");
        let answer = app.get(&format!("/docs/{file}")).await.is(200);
        let media_type = answer.headers["content-type"].to_str().unwrap();
        assert!(media_type.contains("javascript"), "{file}: {media_type}");
    }
}
