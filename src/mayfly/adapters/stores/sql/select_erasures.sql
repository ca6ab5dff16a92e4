SELECT request, target, kind, regulation, received_at, due_at, extension, ended_at, cancelled
FROM erasures ORDER BY received_at, request
