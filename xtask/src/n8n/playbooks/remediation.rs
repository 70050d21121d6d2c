//! Services that keep failing.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const REMEDIATION: Playbook = Playbook {
    name: "auto-remediation",
    about: "Restarts a service with its last known good configuration, and waits until it runs.",
    undo: Some("remediation-restore"),
    input: "(() => {
    const host = text('host', params.host?.name ?? params.host);
    const service = text('service (or host)', params.service ?? host, true);
    return { service, host, reason: event.event_type + ' (' + event.severity + ') reported by ' + event.source };
  })()",
    rehearsal: "'restart ' + @.service + ' with its last known good configuration'",
    steps: &[
        Step {
            name: "Restart the service",
            method: "POST",
            path: "/services/{{ encodeURIComponent(@.service) }}/restart",
            body: Some("{ host: @.host ?? undefined, reason: @.reason }"),
            undone: "@.service + ' could not be restarted'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/services/{{ encodeURIComponent(@.service) }}",
            done: "$json.body?.status === 'running' && $json.body.configuration === 'last-known-good'",
            again: "true",
            pauses: &[1, 2, 4, 8, 15],
            undone: "@.service + ' was restarted and is not well'",
            otherwise: "'it is ' + ($json.body?.status ?? 'unknown') + ', its configuration is ' + ($json.body?.configuration ?? 'unknown')",
            ..STEP
        },
    ],
    message: "@.service + ' was restarted with its last known good configuration and is running'",
    data: "{ service: @.service, host: @.host, status: $json.body.status, configuration: $json.body.configuration, \
           restarts: $json.body.restarts ?? null }",
};

pub(crate) const RESTORE: Playbook = Playbook {
    name: "remediation-restore",
    about: "Restarts a service with the configuration that it had before auto-remediation.",
    undo: None,
    input: "(() => {
    const host = text('host', undone.host ?? params.host?.name ?? params.host);
    return { service: text('service (or host)', undone.service ?? params.service ?? host, true), host };
  })()",
    rehearsal: "'restart ' + @.service + ' with the configuration that it had before'",
    steps: &[
        Step {
            name: "Restore the service",
            method: "POST",
            path: "/services/{{ encodeURIComponent(@.service) }}/restore",
            body: Some("{ host: @.host ?? undefined }"),
            undone: "@.service + ' could not be restored'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/services/{{ encodeURIComponent(@.service) }}",
            done: "$json.body?.status === 'running' && $json.body.configuration === 'current'",
            again: "true",
            pauses: &[1, 2, 4, 8, 15],
            undone: "@.service + ' was restored and is not well'",
            otherwise: "'it is ' + ($json.body?.status ?? 'unknown') + ', its configuration is ' + ($json.body?.configuration ?? 'unknown')",
            ..STEP
        },
    ],
    message: "@.service + ' has the configuration back that it had before and is running'",
    data: "{ service: @.service, host: @.host, status: $json.body.status, configuration: $json.body.configuration }",
};
