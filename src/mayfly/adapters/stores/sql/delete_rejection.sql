DELETE FROM rejections WHERE sync = :sync AND target = :target
