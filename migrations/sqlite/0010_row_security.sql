-- SQLite has neither roles nor row-level security: who has the file has all of it.
SELECT 1;
