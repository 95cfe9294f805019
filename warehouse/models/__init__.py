"""The SQL models, one file a table; `warehouse.models.model` reads them."""
