-- Of a link's records only those at its ends are found by their place: the rest lie between them, by their ids. inside: there are
-- records of the same link, tenant and day (UTC, of the id) with a smaller and with a greater id; otherwise NULL.
ALTER TABLE audit_log ADD COLUMN inside INTEGER;
DROP INDEX audit_log_by_place;
CREATE INDEX audit_log_by_place ON audit_log (tenant, chain, link, audit_id) WHERE inside IS NULL;
