INSERT INTO key_marks (purpose, scope, mark)
VALUES (:purpose, :scope, :mark)
ON CONFLICT (purpose, scope) DO NOTHING
