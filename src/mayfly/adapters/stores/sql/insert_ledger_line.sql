INSERT INTO ledger_entries (seq, line) VALUES (:seq, :line)
