DELETE FROM register_subscribers WHERE name = :name
