SELECT current, state FROM connections WHERE target = :target AND name = :name
