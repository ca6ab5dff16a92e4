SELECT seq, line
FROM ledger_entries
WHERE seq >= :since
ORDER BY seq
LIMIT :most
