DELETE FROM keys WHERE blob = :blob
