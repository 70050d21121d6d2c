-- What was signed of the audit trail: body is the text that signature, an Ed25519 signature in base64, is of. floor: if it says
-- what retention lets go of, before when. The key begins with no tenant: it stands for the chains of all.
CREATE TABLE audit_checkpoints (
    number     INTEGER NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    signature  TEXT    NOT NULL,
    floor      INTEGER
) STRICT;
CREATE INDEX audit_checkpoints_roots ON audit_checkpoints (number) WHERE floor IS NOT NULL;
CREATE INDEX audit_checkpoints_by_age ON audit_checkpoints (created_at);
