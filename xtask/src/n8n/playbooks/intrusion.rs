//! Addresses that break in.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const LOCKDOWN: Playbook = Playbook {
    name: "intrusion-lockdown",
    about: "Blocks an address.",
    undo: Some("intrusion-unlock"),
    input: "(() => {
    const ip_address = text('ip_address', params.ip_address, true);
    if (ip_address !== null && !/^[0-9A-Fa-f:.]{2,45}$/.test(ip_address)) wrong('ip_address', 'is not an address');
    const reason = typeof params.reason === 'string' ? params.reason.slice(0, 500) : null;
    return { ip_address, reason: reason || event.event_type + ' (' + event.severity + ') reported by ' + event.source };
  })()",
    rehearsal: "'block ' + @.ip_address",
    steps: &[
        Step {
            name: "Block the address",
            method: "PUT",
            path: "/security/blocks/{{ encodeURIComponent(@.ip_address) }}",
            body: Some("{ reason: @.reason }"),
            undone: "@.ip_address + ' could not be blocked'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/security/blocks/{{ encodeURIComponent(@.ip_address) }}",
            done: "$json.body?.blocked === true",
            again: "true",
            undone: "@.ip_address + ' is not seen to be blocked'",
            otherwise: "'Sentinel says that it is not'",
            ..STEP
        },
    ],
    message: "@.ip_address + ' is blocked'",
    data: "{ ip_address: @.ip_address, blocked: true }",
};

pub(crate) const UNLOCK: Playbook = Playbook {
    name: "intrusion-unlock",
    about: "Lifts the block that intrusion-lockdown set.",
    undo: None,
    input: "(() => {
    const ip_address = text('ip_address', undone.ip_address ?? params.ip_address, true);
    if (ip_address !== null && !/^[0-9A-Fa-f:.]{2,45}$/.test(ip_address)) wrong('ip_address', 'is not an address');
    return { ip_address };
  })()",
    rehearsal: "'lift the block of ' + @.ip_address",
    steps: &[
        Step {
            name: "Lift the block",
            method: "DELETE",
            path: "/security/blocks/{{ encodeURIComponent(@.ip_address) }}",
            undone: "'The block of ' + @.ip_address + ' could not be lifted'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/security/blocks/{{ encodeURIComponent(@.ip_address) }}",
            done: "$json.body?.blocked === false",
            again: "true",
            undone: "'The block of ' + @.ip_address + ' is not seen to be lifted'",
            otherwise: "'Sentinel says that it is still blocked'",
            ..STEP
        },
    ],
    message: "@.ip_address + ' is no longer blocked'",
    data: "{ ip_address: @.ip_address, blocked: false }",
};
