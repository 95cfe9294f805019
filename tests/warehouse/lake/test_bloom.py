"""What a Bloom filter finds: all it holds, and few others, at the sizes that are in use."""

from __future__ import annotations

import numpy as np

from warehouse.lake import known_ids
from warehouse.lake.bloom import BloomFilter


def test_a_filter_holds_no_id_that_it_does_not_find_and_finds_few_that_it_does_not_hold() -> None:
    digests = np.random.default_rng(7).integers(0, 1 << 64, 2_100_000, np.uint64, endpoint=False)
    held, others = digests[:2_000_000], digests[2_000_000:]
    found = BloomFilter(known_ids._BITS, known_ids._OF_EACH)
    found.add(held)
    assert found.finds(held).all()
    assert found.finds(others).sum() <= 2
