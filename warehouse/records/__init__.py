"""Raw records and the core tables made of them: loading, deletion, rebuild."""
