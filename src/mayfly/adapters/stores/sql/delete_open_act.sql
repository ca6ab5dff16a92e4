DELETE FROM open_acts WHERE id = :id
