-- What is kept of a tenant. limits: quotas of its sources, as JSON. version: one more with each change, so that the sum of all says
-- whether anything has changed.
ALTER TABLE tenants ADD COLUMN label TEXT;
ALTER TABLE tenants ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN disabled_reason TEXT;
ALTER TABLE tenants ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- The tenant that always exists, and those that tokens have named before tenants had to be created: one step in the index for each.
WITH RECURSIVE recorded (tenant) AS (
    SELECT (SELECT tenant FROM audit_log ORDER BY tenant LIMIT 1)
    UNION ALL
    SELECT (SELECT a.tenant FROM audit_log a WHERE a.tenant > recorded.tenant ORDER BY a.tenant LIMIT 1)
    FROM recorded WHERE recorded.tenant IS NOT NULL)
INSERT INTO tenants (tenant, created_at)
SELECT known.tenant, (extract(epoch FROM now()) * 1000000)::bigint
FROM (SELECT 'default' AS tenant UNION SELECT tenant FROM recorded UNION SELECT tenant FROM control) known
WHERE known.tenant IS NOT NULL
ON CONFLICT DO NOTHING;
