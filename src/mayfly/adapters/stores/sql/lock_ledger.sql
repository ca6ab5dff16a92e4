SELECT one FROM ledger_head WHERE one = 1 FOR UPDATE
