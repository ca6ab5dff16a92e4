INSERT INTO erasures (request, target, kind, regulation, received_at, due_at, extension)
VALUES (:request, :target, :kind, :regulation, :received_at, :due_at, :extension)
ON CONFLICT (request) DO NOTHING
