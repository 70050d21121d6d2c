//! Mail, over a real conversation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guard_app::ports::{Notifier, SendOutcome};
use guard_domain::Severity;
use guard_notify::{ChannelSettings, SecretUrl, SmtpSettings, notifier};

use super::mail_server::{MailServer, Replies};
use super::{ID, clock, message, rejected, retried, sent};

const PASSWORD: &str = "p4ssw0rd";

fn settings(url: &str, starttls: bool) -> ChannelSettings {
    ChannelSettings::Smtp(SmtpSettings {
        url: SecretUrl::parse_smtp(url).unwrap(),
        starttls,
        from: "Neural Guard <guard@example.com>".parse().unwrap(),
        to: "one@example.com, \"Two, T.\" <two@example.com>"
            .parse()
            .unwrap(),
    })
}

fn channel(address: &str) -> Arc<dyn Notifier> {
    let settings = settings(&format!("smtp://user:{PASSWORD}@{address}"), false);
    assert!(!format!("{settings:?}").contains(PASSWORD));
    notifier(&settings, &clock()).unwrap()
}

async fn outcome_of(replies: Replies) -> SendOutcome {
    let server = MailServer::start(replies).await;
    let outcome = channel(&server.address)
        .send(&message(Severity::High, "db is down"))
        .await;
    assert!(!format!("{outcome:?}").contains(PASSWORD), "{outcome:?}");
    assert!(server.mails().is_empty() || matches!(outcome, SendOutcome::Sent { .. }));
    outcome
}

/// The header of a mail, unfolded.
fn header(data: &str, name: &str) -> String {
    let head = data.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let prefix = format!("{name}: ");
    let mut found = head.lines().filter_map(|line| line.strip_prefix(&prefix));
    let value = found.next().unwrap_or_else(|| panic!("no {name}: {data}"));
    assert_eq!(found.next(), None, "{name} twice: {data}");
    value.to_owned()
}

#[tokio::test]
async fn a_mail_reaches_everybody_and_says_how_urgent_it_is() {
    let server = MailServer::start(&[]).await;
    let channel = channel(&server.address);
    for (severity, priority, importance) in [
        (Severity::Critical, "1 (Highest)", "high"),
        (Severity::High, "2 (High)", "high"),
        (Severity::Medium, "3 (Normal)", "normal"),
        (Severity::Low, "5 (Lowest)", "low"),
    ] {
        let detail = sent(channel.send(&message(severity, "db is down")).await);
        assert_eq!(
            detail,
            format!(
                "the mail server smtp://****@{} took the message (250 queued as 1)",
                server.address
            )
        );
        let mail = server.mails().pop().unwrap();
        assert_eq!(header(&mail.data, "X-Priority"), priority);
        assert_eq!(header(&mail.data, "Importance"), importance);
        let label = severity.as_str().to_uppercase();
        let subject = header(&mail.data, "Subject");
        assert_eq!(subject, format!("[{label}] db is down"));
    }
    let mails = server.mails();
    let mail = &mails[0];
    // "\0user\0p4ssw0rd" in Base64.
    assert_eq!(mail.login.as_deref(), Some("AHVzZXIAcDRzc3cwcmQ="));
    assert!(mail.from.contains("<guard@example.com>"), "{mail:?}");
    assert_eq!(
        mail.to,
        ["RCPT TO:<one@example.com>", "RCPT TO:<two@example.com>"]
    );
    let id = format!("<{ID}_first@example.com>");
    for mail in &mails {
        assert_eq!(
            header(&mail.data, "Message-ID"),
            id,
            "the same for every attempt"
        );
    }
    assert_eq!(header(&mail.data, "Auto-Submitted"), "auto-generated");
    assert_eq!(
        header(&mail.data, "Date"),
        "Fri, 20 Nov 2026 03:00:00 +0000"
    );
    let body = mail.data.split_once("\r\n\r\n").unwrap().1;
    assert!(body.starts_with("db is down\r\n\r\nseverity: critical\r\n"));
    assert!(
        body.contains("rule: page\r\n") && body.contains(ID),
        "{body}"
    );
}

#[tokio::test]
async fn no_text_begins_a_header_or_ends_the_mail() {
    let server = MailServer::start(&[]).await;
    let text = "x\r\nBcc: evil@example.com\r\n\r\n.\r\nQUIT\r\n\u{2028}ä";
    sent(
        channel(&server.address)
            .send(&message(Severity::High, text))
            .await,
    );
    let mail = server.mails().pop().unwrap();
    let head = mail.data.split("\r\n\r\n").next().unwrap();
    let names: Vec<_> = head
        .split("\r\n")
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert!(!names.contains(&"Bcc"), "{head}");
    assert_eq!(names.len(), 11, "{names:?}");
    assert_eq!(mail.to.len(), 2);
    assert!(
        head.contains("=?utf-8?"),
        "what is not ASCII is encoded: {head}"
    );
    assert!(mail.data.contains("raised: "), "nothing was cut: {mail:?}");
}

#[tokio::test]
async fn what_the_server_refuses_for_now_is_tried_again() {
    let cases: [Replies; 6] = [
        &[("", "421 too busy")],
        &[("AUTH", "454 later")],
        &[("MAIL", "451 later")],
        &[("RCPT", "450 greylisted")],
        &[("DATA", "452 no room")],
        &[("DONE", "451 later")],
    ];
    for replies in cases {
        let (after, detail) = retried(outcome_of(replies).await);
        let said = replies[0].1.get(4..).unwrap();
        assert!(detail.contains(said), "{detail}");
        assert_eq!(after, None);
    }
}

#[tokio::test]
async fn what_the_server_refuses_for_good_says_what_to_do() {
    let cases: [(Replies, &str); 5] = [
        (
            &[("AUTH", "535 5.7.8 no")],
            "check user and password in the channel's url",
        ),
        (&[("MAIL", "550 no")], "check the channel's from and to"),
        (
            &[("RCPT TO:<two", "550 no")],
            "check the channel's from and to",
        ),
        (&[("DATA", "554 no")], "check the channel's from and to"),
        (&[("DONE", "552 too big")], "what the server takes"),
    ];
    for (replies, advice) in cases {
        let detail = rejected(outcome_of(replies).await);
        assert!(detail.contains(advice), "{detail}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let server = MailServer::start(&[]).await;
    let url = format!("smtp://user:{PASSWORD}@{}", server.address);
    let channel = notifier(&settings(&url, true), &clock()).unwrap();
    let detail = rejected(channel.send(&message(Severity::High, "x")).await);
    assert!(
        detail.contains("STARTTLS is not supported")
            && detail.ends_with("check the channel's url and starttls"),
        "{detail}"
    );
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_password_is_not_sent_readable_to_another_machine() {
    let wrong = |url: &str, starttls| {
        let error = notifier(&settings(url, starttls), &clock()).err();
        error.map(|error| error.to_string())
    };
    let readable = wrong("smtp://user:pass@mail.example.com", false).unwrap();
    assert!(
        readable.contains("needs smtps:// or STARTTLS"),
        "{readable}"
    );
    assert_eq!(wrong("smtp://user:pass@mail.example.com", true), None);
    assert_eq!(wrong("smtps://user:pass@mail.example.com", false), None);
    assert_eq!(wrong("smtp://mail.example.com", false), None);
    assert_eq!(wrong("smtp://user:pass@[::1]:25", false), None);
    let encoded = wrong("smtps://user:%ff@mail.example.com", true).unwrap();
    assert!(encoded.contains("percent-encoded"), "{encoded}");
}

#[tokio::test]
async fn garbage_silence_and_absence_are_tried_again() {
    let (_, detail) = retried(outcome_of(&[("", "what?")]).await);
    assert!(detail.contains("did not take the message"), "{detail}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    // It accepts, and says nothing.
    let silent = channel(&address);
    let begun = Instant::now();
    let (_, detail) = retried(silent.send(&message(Severity::High, "x")).await);
    assert!(detail.ends_with("was not done within 10s"), "{detail}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    drop(free);
    let (_, detail) = retried(silent.send(&message(Severity::High, "x")).await);
    assert!(detail.contains("did not take the message"), "{detail}");
}
