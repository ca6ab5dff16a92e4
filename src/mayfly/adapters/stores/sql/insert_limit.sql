INSERT INTO limits (account, name, tokens, at)
VALUES (:account, :name, :tokens, :at)
ON CONFLICT (account, name) DO NOTHING
