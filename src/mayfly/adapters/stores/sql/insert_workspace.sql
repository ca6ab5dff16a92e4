INSERT INTO workspace (workspace_id, name, installation_id, created_at)
VALUES (:workspace_id, :name, :installation_id, :created_at)
