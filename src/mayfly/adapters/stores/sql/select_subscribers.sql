SELECT name, kind, told, since FROM register_subscribers ORDER BY name
