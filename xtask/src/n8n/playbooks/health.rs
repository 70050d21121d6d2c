//! Services whose work a standby can take over.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const FAILSAFE: Playbook = Playbook {
    name: "health-failsafe",
    about: "Moves the work of a service to its standby.",
    undo: Some("health-failback"),
    input: "(() => {
    const host = text('host', params.host?.name ?? params.host);
    const service = text('service (or host)', params.service ?? host, true);
    return { service, host, reason: event.event_type + ' (' + event.severity + ') reported by ' + event.source };
  })()",
    rehearsal: "'move ' + @.service + ' to its standby'",
    steps: &[
        Step {
            name: "Fail over",
            method: "POST",
            path: "/services/{{ encodeURIComponent(@.service) }}/failover",
            body: Some("{ host: @.host ?? undefined, reason: @.reason }"),
            undone: "@.service + ' could not be moved to its standby'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/services/{{ encodeURIComponent(@.service) }}",
            done: "$json.body?.active === 'standby'",
            again: "true",
            pauses: &[1, 2, 4, 8, 15],
            undone: "@.service + ' is not seen to be on its standby'",
            otherwise: "'it is on ' + ($json.body?.active ?? 'nothing known')",
            ..STEP
        },
    ],
    message: "@.service + ' is on its standby'",
    data: "{ service: @.service, host: @.host, active: 'standby' }",
};

pub(crate) const FAILBACK: Playbook = Playbook {
    name: "health-failback",
    about: "Moves the work of a service back from its standby.",
    undo: None,
    input: "(() => {
    const host = text('host', undone.host ?? params.host?.name ?? params.host);
    return { service: text('service (or host)', undone.service ?? params.service ?? host, true), host };
  })()",
    rehearsal: "'move ' + @.service + ' back from its standby'",
    steps: &[
        Step {
            name: "Fail back",
            method: "POST",
            path: "/services/{{ encodeURIComponent(@.service) }}/failback",
            body: Some("{ host: @.host ?? undefined }"),
            undone: "@.service + ' could not be moved back'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/services/{{ encodeURIComponent(@.service) }}",
            done: "$json.body?.active === 'primary'",
            again: "true",
            pauses: &[1, 2, 4, 8, 15],
            undone: "@.service + ' is not seen to be back'",
            otherwise: "'it is on ' + ($json.body?.active ?? 'nothing known')",
            ..STEP
        },
    ],
    message: "@.service + ' is back on its primary'",
    data: "{ service: @.service, host: @.host, active: 'primary' }",
};
