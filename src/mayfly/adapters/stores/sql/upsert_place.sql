INSERT INTO limit_places (account, holder, until)
VALUES (:account, :holder, :until)
ON CONFLICT (account, holder) DO UPDATE SET until = excluded.until
