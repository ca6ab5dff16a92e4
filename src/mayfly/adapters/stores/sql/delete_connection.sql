DELETE FROM connections WHERE target = :target AND name = :name
