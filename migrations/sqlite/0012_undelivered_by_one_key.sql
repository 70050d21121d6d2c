-- SQLite takes the index that fits most columns, with or without ANALYZE.
SELECT 1;
