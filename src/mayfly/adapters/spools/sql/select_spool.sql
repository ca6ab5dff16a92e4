SELECT form, spool_id, place FROM spool
