UPDATE limits SET tokens = :tokens, at = :at WHERE account = :account AND name = :name
