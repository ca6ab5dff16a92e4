SELECT workspace_id, name, installation_id, created_at FROM workspace
