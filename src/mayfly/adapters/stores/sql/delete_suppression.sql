DELETE FROM suppressions WHERE kind = :kind AND digest = :digest
