INSERT INTO spool (form, spool_id, place) VALUES (:form, :spool_id, :place)
