UPDATE limits SET tokens = tokens WHERE account = :account AND name = :name RETURNING tokens, at
