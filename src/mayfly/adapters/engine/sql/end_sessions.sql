SELECT COUNT(pg_terminate_backend(pid))
FROM pg_stat_activity
WHERE application_name = :name AND pid <> pg_backend_pid() AND datname = current_database()
