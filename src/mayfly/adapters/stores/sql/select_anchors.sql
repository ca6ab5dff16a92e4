SELECT name, entries, published_at, code FROM anchors ORDER BY name
