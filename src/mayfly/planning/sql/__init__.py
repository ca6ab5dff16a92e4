"""Warehouse SQL: one dialect class per engine; statements are composed from them."""
