SELECT kind, count(*) AS entries FROM suppressions GROUP BY kind ORDER BY kind
