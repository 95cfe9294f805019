"""Messages and calls merged from timeline rows and webhook deliveries."""
