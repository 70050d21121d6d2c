use guard_testkit::FakeClock;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

/// Keys made for these tests, which open nothing.
const RSA: &str = include_str!("keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");
const EC: &str = include_str!("keys/ec.pem");
const EC_PUBLIC: &str = include_str!("keys/ec.pub.pem");
const ED: &str = include_str!("keys/ed.pem");
const ED_PUBLIC: &str = include_str!("keys/ed.pub.pem");
/// The three public keys, a shared secret and a key for encryption.
const JWKS: &str = include_str!("keys/jwks.json");
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn signer(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 | Algorithm::RS512 => EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        Algorithm::ES256 => EncodingKey::from_ec_pem(EC.as_bytes()).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED.as_bytes()).unwrap(),
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    }
}

fn sign(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, claims, &signer(algorithm)).unwrap()
}

/// Claims that are accepted, but for what is changed.
fn claims(clock: &FakeClock, changed: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": ["other", "neural-guard"], "sub": "alice",
        "exp": clock.now().timestamp() + 60, "scope": "openid rules:read executions:read", "tenant": "acme",
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

struct World {
    clock: Arc<FakeClock>,
    verifier: JwtVerifier,
}

impl World {
    fn new(keys: impl FnOnce(Arc<FakeClock>) -> JwtKeys) -> Self {
        let clock = Arc::new(FakeClock::new());
        let terms = JwtTerms {
            issuer: Some("https://issuer.example".to_owned()),
            audience: Some("neural-guard".to_owned()),
            leeway: TimeDelta::seconds(30),
        };
        let verifier = JwtVerifier::new(keys(clock.clone()), terms, clock.clone());
        Self { clock, verifier }
    }

    fn pem(pem: &str) -> Self {
        Self::new(|_| JwtKeys::pem(pem).unwrap())
    }

    fn secret() -> Self {
        Self::new(|_| JwtKeys::secret(&SECRET.to_owned().into()).unwrap())
    }

    async fn ask(&self, token: &str) -> Result<Principal, &'static str> {
        let asked = self.verifier.principal_of(token).await;
        asked.map_err(|refusal| refusal.reason())
    }

    /// Asks with the right key and claims that are changed.
    async fn with(&self, changed: Value) -> Result<Principal, &'static str> {
        self.ask(&sign(
            Algorithm::HS256,
            None,
            &claims(&self.clock, &changed),
        ))
        .await
    }
}

#[tokio::test]
async fn every_algorithm_has_its_key() {
    let worlds = [
        (Algorithm::HS256, World::secret()),
        (Algorithm::RS256, World::pem(RSA_PUBLIC)),
        (Algorithm::ES256, World::pem(EC_PUBLIC)),
        (Algorithm::EdDSA, World::pem(ED_PUBLIC)),
    ];
    for (mine, world) in &worlds {
        for (theirs, _) in &worlds {
            let token = sign(*theirs, None, &claims(&world.clock, &json!({})));
            let asked = world.ask(&token).await;
            if mine == theirs {
                let principal = asked.unwrap();
                assert_eq!(principal.tenant.as_str(), "acme");
                assert_eq!(principal.subject, "jwt:alice");
                let scopes = [Scope::RulesRead, Scope::ExecutionsRead];
                assert_eq!(principal.scopes, scopes);
            } else {
                assert_eq!(asked, Err("jwt"), "{theirs:?} by the key of {mine:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_algorithm_and_a_confused_one_are_refused() {
    let world = World::pem(RSA_PUBLIC);
    let wanted = claims(&world.clock, &json!({}));
    // The public key, which everybody knows, as a shared secret.
    let confused = EncodingKey::from_secret(RSA_PUBLIC.as_bytes());
    let confused = encode(&Header::new(Algorithm::HS256), &wanted, &confused).unwrap();
    assert_eq!(world.ask(&confused).await, Err("jwt"));
    // The right key, and another algorithm of its kind.
    let other = sign(Algorithm::RS512, None, &wanted);
    assert_eq!(world.ask(&other).await, Err("jwt"));
    let good = sign(Algorithm::RS256, None, &wanted);
    world.ask(&good).await.unwrap();
    let parts: Vec<_> = good.split('.').collect();
    let part = |json: &str| {
        use base64::Engine;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json)
    };
    for alg in ["none", "None", "NONE", ""] {
        let header = part(&format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
        for signature in ["", parts[2]] {
            let token = format!("{header}.{}.{signature}", parts[1]);
            assert_eq!(world.ask(&token).await, Err("jwt"), "{alg}");
        }
    }
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(world.ask(&unsigned).await, Err("jwt"));
    let changed = part(&claims(&world.clock, &json!({"tenant": "other"})).to_string());
    let changed = format!("{}.{changed}.{}", parts[0], parts[2]);
    assert_eq!(world.ask(&changed).await, Err("jwt"));
    let critical = Header {
        crit: Some(vec!["exp".to_owned()]),
        ..Header::new(Algorithm::RS256)
    };
    let critical = encode(&critical, &wanted, &signer(Algorithm::RS256)).unwrap();
    assert_eq!(world.ask(&critical).await, Err("jwt"));
}

#[tokio::test]
async fn times_issuer_audience_and_subject_must_fit() {
    let world = World::secret();
    let now = world.clock.now().timestamp();
    for (changed, expected) in [
        (json!({"exp": now - 29}), Ok(())),
        (json!({"exp": now - 30}), Err("jwt_time")),
        (json!({"exp": 0}), Err("jwt_time")),
        (json!({"exp": null}), Err("jwt")),
        (json!({"exp": "tomorrow"}), Err("jwt")),
        (json!({"nbf": now + 30}), Ok(())),
        (json!({"nbf": now + 31}), Err("jwt_time")),
        (json!({"iss": "https://other.example"}), Err("jwt_claims")),
        (json!({"iss": null}), Err("jwt_claims")),
        (json!({"aud": "neural-guard"}), Ok(())),
        (json!({"aud": "other"}), Err("jwt_claims")),
        (json!({"aud": []}), Err("jwt_claims")),
        (json!({"aud": null}), Err("jwt_claims")),
        (json!({"sub": ""}), Err("jwt_claims")),
        (json!({"sub": "a\nb"}), Err("jwt_claims")),
        (json!({"sub": null}), Err("jwt")),
        (json!({"tenant": "A B"}), Err("jwt_claims")),
    ] {
        let asked = world.with(changed.clone()).await.map(drop);
        assert_eq!(asked, expected, "{changed}");
    }
    let nobody = world.with(json!({"tenant": null, "scope": null})).await;
    let nobody = nobody.unwrap();
    assert_eq!(nobody.tenant, TenantId::default_tenant());
    assert_eq!(nobody.scopes, [], "nothing is allowed that is not named");
    let unknown = world
        .with(json!({"scope": "openid Admin events:writes"}))
        .await;
    assert_eq!(unknown.unwrap().scopes, []);
}

#[test]
fn what_is_no_key_is_refused() {
    let short = JwtKeys::secret(&"x".repeat(31).into()).err();
    assert_eq!(short, Some(JwtKeyError::ShortSecret(31)));
    let private_of_others = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for wrong in ["", "key", private_of_others] {
        assert_eq!(JwtKeys::pem(wrong).err(), Some(JwtKeyError::Pem));
    }
}

async fn answer(server: &MockServer, response: ResponseTemplate) {
    server.reset().await;
    Mock::given(path("/keys"))
        .respond_with(response)
        .mount(server)
        .await;
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn keys_at_a_url_are_followed() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(503)).await;
    let world = World::new(|clock| {
        let url = Url::parse(&format!("{}/keys", server.uri())).unwrap();
        JwtKeys::jwks(Arc::new(Jwks::new(url, clock).unwrap()))
    });
    let wanted = claims(
        &world.clock,
        &json!({"exp": world.clock.now().timestamp() + 3600}),
    );
    let token = |algorithm, kid| sign(algorithm, Some(kid), &wanted);
    let rsa = token(Algorithm::RS256, "rsa");
    assert_eq!(world.ask(&rsa).await, Err("jwt"), "the keys are away");
    answer(&server, ResponseTemplate::new(200).set_body_string(JWKS)).await;
    assert_eq!(world.ask(&rsa).await, Err("jwt"), "asked just now");
    assert_eq!(asked(&server).await, 0);
    world.clock.advance(TimeDelta::seconds(10));
    world.ask(&rsa).await.unwrap();
    world.ask(&token(Algorithm::ES256, "ec")).await.unwrap();
    world.ask(&token(Algorithm::EdDSA, "ed")).await.unwrap();
    assert_eq!(world.ask(&token(Algorithm::ES256, "rsa")).await, Err("jwt"));
    assert_eq!(asked(&server).await, 1);
    for refused in ["oct", "enc", "unknown"] {
        world.clock.advance(TimeDelta::seconds(9));
        let algorithm = if refused == "oct" {
            Algorithm::HS256
        } else {
            Algorithm::RS256
        };
        assert_eq!(
            world.ask(&token(algorithm, refused)).await,
            Err("jwt"),
            "{refused}"
        );
    }
    let unnamed = sign(Algorithm::RS256, None, &wanted);
    assert_eq!(world.ask(&unnamed).await, Err("jwt"), "it could be of any");
    assert_eq!(
        asked(&server).await,
        2,
        "unknown keys are asked for now and then"
    );

    // What cannot be used changes nothing.
    let many = json!({"keys": vec![json!({"kty": "oct"}); 101]}).to_string();
    let padded = format!("{JWKS}{}", " ".repeat(64 * 1024));
    for wrong in ["<html>", r#"{"keys":[]}"#, &many, &padded] {
        answer(&server, ResponseTemplate::new(200).set_body_string(wrong)).await;
        world.clock.advance(TimeDelta::seconds(10));
        assert_eq!(world.ask(&token(Algorithm::RS256, "new")).await, Err("jwt"));
        assert_eq!(asked(&server).await, 1);
        world.ask(&rsa).await.unwrap();
    }
    let elsewhere = ResponseTemplate::new(302).insert_header("location", "/other");
    answer(&server, elsewhere).await;
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(world.ask(&token(Algorithm::RS256, "new")).await, Err("jwt"));
    world.ask(&rsa).await.unwrap();

    // The issuer changes its keys.
    let rotated = JWKS.replace("\"rsa\"", "\"new\"");
    answer(&server, ResponseTemplate::new(200).set_body_string(rotated)).await;
    world.clock.advance(TimeDelta::seconds(10));
    world.ask(&token(Algorithm::RS256, "new")).await.unwrap();
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(world.ask(&rsa).await, Err("jwt"), "the old one is gone");
}
