"""Webhook files into ``raw.webhook_events``: each delivery once."""
