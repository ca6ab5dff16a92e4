SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table'
