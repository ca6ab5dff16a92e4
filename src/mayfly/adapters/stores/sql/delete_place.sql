DELETE FROM limit_places WHERE account = :account AND holder = :holder
