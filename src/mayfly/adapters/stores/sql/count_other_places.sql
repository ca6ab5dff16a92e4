SELECT COUNT(*) AS places FROM limit_places WHERE account = :account AND holder <> :holder
