"""Tests of the page: figures, filters, refusals, files, hostile text."""
