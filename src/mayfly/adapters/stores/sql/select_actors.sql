SELECT id, name FROM actors ORDER BY id
