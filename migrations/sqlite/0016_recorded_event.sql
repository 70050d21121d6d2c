-- SQLite is written row by row and needs no type of what a commit sends.
SELECT 1;
