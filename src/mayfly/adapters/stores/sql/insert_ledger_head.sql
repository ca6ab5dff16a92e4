INSERT INTO ledger_head (one, note, verifier_key) VALUES (1, :note, :verifier_key)
