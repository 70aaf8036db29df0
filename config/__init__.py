"""How the site is put together; no rules live here."""
