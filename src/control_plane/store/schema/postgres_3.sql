-- SQLite's alone has changed.
SELECT 1;
