//! Files that may have been changed.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const CHECK: Playbook = Playbook {
    name: "integrity-check",
    about: "Compares files with what they should be. It succeeds once the check is done, whatever the check has found.",
    undo: None,
    input: "{ host: text('host', params.host?.name ?? params.host), paths: list('paths', params.paths) }",
    rehearsal: "'check ' + (@.paths.length ? @.paths.length + ' paths' : 'every file') + (@.host ? ' on ' + @.host : '')",
    steps: &[
        Step {
            name: "Check the files",
            method: "POST",
            path: "/integrity/checks",
            body: Some(
                "{ ...(@.host ? { host: @.host } : {}), ...(@.paths.length ? { paths: @.paths } : {}) }",
            ),
            done: "typeof $json.body?.check_id === 'string'",
            undone: "'The files could not be checked'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/integrity/checks/{{ encodeURIComponent($('Check the files').last().json.body.check_id) }}",
            done: "$json.body?.status === 'completed' && Array.isArray($json.body.changed)",
            again: "true",
            pauses: &[1, 2, 4, 8, 15],
            undone: "'The check of the files does not end'",
            otherwise: "'it is ' + ($json.body?.status ?? 'unknown')",
            ..STEP
        },
    ],
    message: "$json.body.checked + ' files were checked, ' + ($json.body.changed.length ? $json.body.changed.length + ' changed: ' \
              + $json.body.changed.slice(0, 5).join(', ') + ($json.body.changed.length > 5 ? ' and more' : '') : 'none changed')",
    data: "{ check_id: $json.body.check_id, host: @.host, checked: $json.body.checked, changed: $json.body.changed.slice(0, 100), \
           changed_count: $json.body.changed.length }",
};
