SELECT DISTINCT kind, form FROM suppressions
