//! Backups that failed.

use crate::n8n::flow::Playbook;
use crate::n8n::step::{STEP, Step};

pub(crate) const RECOVERY: Playbook = Playbook {
    name: "backup-recovery",
    about: "Runs a backup that failed again, up to three times, and verifies it.",
    undo: Some("backup-discard"),
    input: "{ backup_file: text('backup_file', params.backup_file), retry_count: count('retry_count', params.retry_count) }",
    rehearsal: "'run the backup ' + (@.backup_file ?? '(the current one)') + ' again and verify it'",
    steps: &[
        Step {
            name: "Run the backup",
            method: "POST",
            path: "/backup/trigger",
            body: Some(
                "{ ...(@.backup_file ? { backup_file: @.backup_file } : {}), retry_count: @.retry_count + 1 + $runIndex }",
            ),
            done: "$json.body?.status === 'completed' && typeof $json.body.file === 'string'",
            again: "$json.body?.status === 'failed'",
            pauses: &[5, 20],
            anew: true,
            undone: "'The backup ' + (@.backup_file ?? '(the current one)') + ' could not be made again'",
            otherwise: "'Sentinel says ' + ($json.body?.status ?? 'nothing') + detail($json.body?.error)",
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/backup/status/{{ encodeURIComponent($('Run the backup').last().json.body.file) }}",
            done: "$json.body?.exists === true && $json.body.verified === true",
            undone: "'The backup ' + $('Run the backup').last().json.body.file + ' was made again and could not be verified'",
            otherwise: "$json.body?.exists ? 'it is there and is not valid' : 'it is not there'",
            ..STEP
        },
    ],
    message: "'Backup ' + $('Run the backup').last().json.body.file + ' was made again and verified (' + $json.body.size_bytes + ' bytes)'",
    data: "{ file: $('Run the backup').last().json.body.file, size_bytes: $json.body.size_bytes, verified: true, \
           tries: [0, 1, 2].filter((run) => { try { return $('Run the backup').all(0, run).length } catch (error) { return false } }).length }",
};

pub(crate) const DISCARD: Playbook = Playbook {
    name: "backup-discard",
    about: "Deletes the backup that backup-recovery made.",
    undo: None,
    input: "{ backup_file: text('backup_file', undone.file ?? params.backup_file, true) }",
    rehearsal: "'delete the backup ' + @.backup_file",
    steps: &[
        Step {
            name: "Delete the backup",
            method: "DELETE",
            path: "/backup/{{ encodeURIComponent(@.backup_file) }}",
            undone: "'The backup ' + @.backup_file + ' could not be deleted'",
            ..STEP
        },
        Step {
            name: "Verify",
            method: "GET",
            path: "/backup/status/{{ encodeURIComponent(@.backup_file) }}",
            done: "$json.body?.exists === false",
            again: "true",
            undone: "'The backup ' + @.backup_file + ' was not deleted'",
            otherwise: "'Sentinel says that it is there'",
            ..STEP
        },
    ],
    message: "'Backup ' + @.backup_file + ' is deleted'",
    data: "{ file: @.backup_file, exists: false }",
};
