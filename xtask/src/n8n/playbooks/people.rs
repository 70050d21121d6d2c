//! People who leave.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const OFFBOARDING: Playbook = Playbook {
    name: "offboarding",
    about: "Locks the account of somebody who leaves, and ends its sessions.",
    undo: Some("offboarding-reversal"),
    input: "{
    username: text('username', params.username, true),
    systems: list('systems', params.systems),
    reason: event.event_type + ' reported by ' + event.source,
  }",
    rehearsal: "'lock the account ' + @.username + (@.systems.length ? ' on ' + @.systems.join(', ') : '')",
    steps: &[
        Step {
            name: "Lock the account",
            method: "POST",
            path: "/users/{{ encodeURIComponent(@.username) }}/lock",
            body: Some("{ reason: @.reason, systems: @.systems }"),
            undone: "'The account ' + @.username + ' could not be locked'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/users/{{ encodeURIComponent(@.username) }}",
            done: "$json.body?.locked === true",
            again: "true",
            undone: "'The account ' + @.username + ' is not seen to be locked'",
            otherwise: "'Sentinel says that it is not'",
            ..STEP
        },
    ],
    message: "'The account ' + @.username + ' is locked'",
    data: "{ username: @.username, systems: @.systems, locked: true }",
};

pub(crate) const REVERSAL: Playbook = Playbook {
    name: "offboarding-reversal",
    about: "Unlocks the account that offboarding locked.",
    undo: None,
    input: "{ username: text('username', undone.username ?? params.username, true) }",
    rehearsal: "'unlock the account ' + @.username",
    steps: &[
        Step {
            name: "Unlock the account",
            method: "POST",
            path: "/users/{{ encodeURIComponent(@.username) }}/unlock",
            undone: "'The account ' + @.username + ' could not be unlocked'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/users/{{ encodeURIComponent(@.username) }}",
            done: "$json.body?.locked === false",
            again: "true",
            undone: "'The account ' + @.username + ' is not seen to be unlocked'",
            otherwise: "'Sentinel says that it is locked'",
            ..STEP
        },
    ],
    message: "'The account ' + @.username + ' is unlocked'",
    data: "{ username: @.username, locked: false }",
};
