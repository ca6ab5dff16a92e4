UPDATE spool SET place = :place
