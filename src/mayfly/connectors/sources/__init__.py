"""Sources: DuckDB files, folders of files, PostgreSQL."""
