DELETE FROM actors WHERE id = :id
