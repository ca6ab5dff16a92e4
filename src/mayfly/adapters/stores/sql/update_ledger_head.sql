UPDATE ledger_head SET note = :note WHERE one = 1
