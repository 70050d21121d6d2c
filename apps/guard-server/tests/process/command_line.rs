//! The command line.

use super::server::{guard_server, run};

#[test]
fn help_and_wrong_use() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["rules", "check", "--help"],
        &["keys", "create", "--help"],
        &["demo", "--help"],
        &["audit", "verify", "--help"],
    ] {
        let (code, out, _) = run(guard_server(folder.path()).args(arguments));
        assert_eq!(code, 0);
        assert!(out.contains("Usage: guard-server"), "{out}");
    }
    let (code, _, error) = run(guard_server(folder.path()).arg("srve"));
    assert_eq!(code, 2);
    assert!(error.contains("serve"), "{error}");
}

#[test]
fn check_config_shows_every_value_and_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("neural-guard.toml"),
        "[n8n]\ntimeout = \"20s\"\n",
    )
    .unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "N8N_WEBHOOK_TOKEN=token-in-dot-env\nNEURAL_GUARD__RETENTION=30d\nOTEL_EXPORTER_OTLP_ENDPOINT=http://there\n",
    )
    .unwrap();
    let (code, out, _) = run(guard_server(folder.path())
        .arg("check-config")
        .env("RUST_LOG", "debug"));
    assert_eq!(code, 0);
    let line = |name: &str| {
        out.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(line("n8n.timeout").ends_with("# from neural-guard.toml"));
    assert!(line("n8n.webhook_token").ends_with("# from environment N8N_WEBHOOK_TOKEN"));
    assert!(line("log.filter").ends_with("# from environment RUST_LOG"));
    assert!(line("server.listen").ends_with("# from default"));
    assert!(line("retention").ends_with("# from environment NEURAL_GUARD__RETENTION"));
    assert!(line("telemetry.otlp_endpoint").ends_with("; has no effect in this release"));
    assert!(!out.contains("token-in-dot-env"));
    assert!(
        !folder.path().join("data").exists(),
        "nothing is made by looking"
    );
}

#[test]
fn wrong_configuration_stops_the_start_with_all_errors() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("NEURAL_GUARD__SERVER__LISTEN", "nowhere"),
        ("NEURAL_GUARD__EXECUTOR__LEASE", "1s"),
        ("NEURAL_GUARD_API_KEY", "short"),
    ];
    for arguments in [&["serve"][..], &["check-config"], &[]] {
        let (code, _, error) = run(guard_server(folder.path()).args(arguments).envs(variables));
        assert_eq!(code, 1);
        assert!(
            error.contains("`server.listen` (from environment NEURAL_GUARD__SERVER__LISTEN)"),
            "{error}"
        );
        assert!(!error.contains("short\n"), "{error}");
    }
    let (code, _, error) = run(guard_server(folder.path()).env("NEURAL_GUARD__SERVR__LISTEN", "x"));
    assert_eq!(code, 1);
    assert!(error.contains("did you mean `server.listen`?"), "{error}");
}

#[test]
fn wrong_rules_stop_the_start_with_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rules:\n  - id: a\n    event_type: backup_failed\n    actoin: ignore\n  - id: b\n    event_type: '*'\n    action: ignore\n    mode: loud\n  - id: c\n    event_type: backup_faild\n    action: ignore\n";
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let commands = [
        &["serve"][..],
        &["rules", "check"],
        &["rules", "check", "rules.yaml"],
        &["rules", "test", "rules.yaml"],
    ];
    for arguments in commands {
        let mut command = guard_server(folder.path());
        command
            .env("NEURAL_GUARD__RULES__PATH", "rules.yaml")
            .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0");
        let (code, _, error) = run(command.args(arguments));
        assert_eq!(code, 1, "{arguments:?}");
        assert!(
            error
                .contains("rules.yaml:4:5: rule `a`: unknown key `actoin`; did you mean `action`?"),
            "{error}"
        );
        assert!(
            error.contains("rules.yaml:8:11: rule `b`: unknown mode `loud`"),
            "{error}"
        );
        assert!(
            error.contains("rules.yaml:10:5: rule `c`: unknown event type `backup_faild`"),
            "{error}"
        );
    }
}

#[test]
fn rules_check_says_what_rules_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let check = |rules: &str| {
        std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        let mut command = guard_server(folder.path());
        command.env("NEURAL_GUARD__RULES__FIELDS", "backup_failed:context.file");
        let (code, out, _) = run(command.args(["rules", "check", "rules.yaml"]));
        (code, out)
    };
    let never = "rules:\n  - id: a\n    event_type: backup_failed\n    action: ignore\n    conditions:\n      - { field: source, op: eq, value: x }\n      - { field: source, op: ne, value: x }\n";
    let (code, out) = check(never);
    assert_eq!(code, 1, "{out}");
    let line = "rules.yaml:2:5: error: rule `a`: it never matches: `source eq \"x\"` and `source ne \"x\"` exclude each other\n";
    assert!(
        out.contains(line) && out.contains("1 rules: 1 errors, 0 warnings"),
        "{out}"
    );

    let unknown = "rules:\n  - id: a\n    event_type: backup_failed\n    action: ignore\n    conditions: [{ field: context.fiel, op: exists }]\n";
    let (code, out) = check(unknown);
    assert_eq!(code, 0, "{out}");
    let line = "rules.yaml:5:5: warning: rule `a`: no event of its types is known to have `context.fiel`; did you mean `context.file`? (at /conditions/0)";
    assert!(out.contains(line), "{out}");
}

#[test]
fn rules_are_written_out_checked_and_tested() {
    let folder = tempfile::tempdir().unwrap();
    let guard = |arguments: &[&str]| run(guard_server(folder.path()).args(arguments));
    let (code, out, _) = guard(&["rules", "check"]);
    assert_eq!(
        (code, out.contains("rules are fine")),
        (0, true),
        "the default rules: {out}"
    );
    assert_eq!(guard(&["rules", "init", "mine"]).0, 0);
    let (code, _, error) = guard(&["rules", "init", "mine"]);
    assert_eq!(
        (code, error.contains("not overwritten")),
        (1, true),
        "{error}"
    );
    let (code, out, _) = guard(&["rules", "test", "mine"]);
    assert_eq!(
        (code, out.contains(" passed, 0 failed")),
        (0, true),
        "{out}"
    );
    let path = folder.path().join("mine/default.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replacen("op: gte, value: 3 }", "op: gte, value: 4 }", 1),
    )
    .unwrap();
    let (code, out, _) = guard(&["rules", "test", "mine"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("expected decision escalated, got no_action"),
        "{out}"
    );
    let (code, _, error) = guard(&["rules", "check", "nowhere"]);
    assert_eq!((code, error.contains("nowhere")), (1, true));
}

#[test]
fn migrate_makes_the_database_or_says_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(guard_server(folder.path()).arg("migrate"));
    assert_eq!(code, 0, "{out}");
    assert!(folder.path().join("data/neural-guard.db").exists());
    let mut command = guard_server(folder.path());
    let (code, _, error) = run(command
        .arg("migrate")
        .env("DATABASE_URL", "postgres://guard:secret@127.0.0.1:1/guard"));
    assert_eq!(
        (
            code,
            error.contains("`postgres://127.0.0.1:1/guard` cannot be reached")
        ),
        (1, true),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn the_demo_does_the_main_job_once() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, error) = run(guard_server(folder.path()).args(["demo", "--once"]));
    assert_eq!(code, 0, "{out}\n{error}");
    assert_eq!(out.matches("succeeded").count(), 4, "{out}");
    assert!(
        out.contains("a stand-in inside this process, not n8n"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'), "piped it is plain");
}
