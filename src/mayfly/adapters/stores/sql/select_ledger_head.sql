SELECT note, verifier_key, (SELECT MAX(seq) FROM ledger_entries) AS last_seq
FROM ledger_head
WHERE one = 1
