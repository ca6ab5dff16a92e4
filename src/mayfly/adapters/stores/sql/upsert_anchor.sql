INSERT INTO anchors (name, entries, published_at, code)
VALUES (:name, :entries, :published_at, :code)
ON CONFLICT (name) DO UPDATE SET
    entries = excluded.entries, published_at = excluded.published_at, code = excluded.code
