"""The home and the webhook bodies of the store's tests, for the receiver's."""

from tests.warehouse.webhooks.conftest import home as home
