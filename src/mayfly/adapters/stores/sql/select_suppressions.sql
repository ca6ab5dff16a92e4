SELECT digest FROM suppressions
