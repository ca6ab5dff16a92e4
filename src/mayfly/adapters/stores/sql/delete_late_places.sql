DELETE FROM limit_places WHERE account = :account AND until <= :now
