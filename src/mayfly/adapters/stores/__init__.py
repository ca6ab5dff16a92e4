"""The store of acts on SQLite or PostgreSQL. Each statement has its own file in `sql/`."""
